//! The walk over the nodes: each goes to its operator's file as a [`Call`].
//!
//! Every node is tried, so that all problems are found; what depends on a node that failed is skipped
//! in silence.

use super::external::Files;
use super::model::{Model, of_tensor, plain_domain};
use super::notes::Notes;
use super::operators::Operators;
use super::origin::{self, shown};
use super::proto::{NodeProto, TensorProto};
use super::{Attributes, Call, Import, weights};
use crate::error::{Blame, Fault, Problem};
use crate::graph::{Graph, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// A graph while it is imported.
pub struct Walk<'a> {
    /// The model.
    pub model: &'a Model,
    /// What has been imported.
    pub graph: Graph,
    /// Values that some node or result reads.
    pub used: &'a BTreeSet<&'a str>,
    /// What was assumed.
    pub notes: &'a mut Notes,
    /// What was found, and at which node of the model.
    pub problems: Vec<(usize, Problem)>,
    operators: Operators,
    files: Files<'a>,
    weights: BTreeMap<&'a str, &'a TensorProto>,
    /// Values by name; `None` where the maker failed.
    values: BTreeMap<String, Option<NodeId>>,
}

impl<'a> Walk<'a> {
    /// Nothing imported yet.
    pub fn new(
        name: &str,
        model: &'a Model,
        files: Files<'a>,
        used: &'a BTreeSet<&'a str>,
        notes: &'a mut Notes,
    ) -> Self {
        let weights = model.graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        Self {
            model,
            graph: Graph::new(shown(name)),
            used,
            notes,
            problems: Vec::new(),
            operators: Operators::new(),
            files,
            weights,
            values: BTreeMap::new(),
        }
    }

    /// Gives a value its name.
    pub fn bind(&mut self, name: String, id: NodeId) {
        self.values.insert(name, Some(id));
    }

    /// A value by its name; an initializer is read when it is first needed. `None` where it has a
    /// problem that is known already.
    pub fn value(&mut self, name: &str) -> Option<NodeId> {
        if let Some(value) = self.values.get(name) {
            return *value;
        }
        let value = match self.initializer(name) {
            Ok(value) => value,
            Err(fault) => {
                self.problems.push((0, Problem::whole(fault)));
                None
            }
        };
        self.values.insert(name.to_owned(), value);
        value
    }

    fn initializer(&mut self, name: &str) -> Result<Option<NodeId>, Fault> {
        let Some(proto) = self.weights.get(name) else {
            return if self.is_sparse(name) {
                Err(Fault::unsupported(format!("tensor {}: sparse tensors are not supported", shown(name))))
            } else {
                Ok(None)
            };
        };
        let tensor =
            weights::tensor(proto, self.files, self.notes).map_err(|fault| of_tensor(proto, fault))?;
        Ok(Some(self.graph.add_constant(shown(name), tensor)))
    }

    fn is_sparse(&self, name: &str) -> bool {
        let mut sparse =
            self.model.graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
        sparse.any(|values| values.name == name)
    }

    /// Imports nodes, each after the makers of its operands.
    pub fn nodes(&mut self, order: &[usize]) {
        for &index in order {
            let node = &self.model.graph.node[index];
            let made = self.node(node).unwrap_or_else(|fault| {
                let fault = self.with_help(node, fault);
                self.problems.push((index, self.model.problem(node, fault)));
                None
            });
            self.bind_outputs(index, node, made);
        }
    }

    /// The node's outputs, or `None` where an operand has failed.
    fn node(&mut self, node: &'a NodeProto) -> Result<Option<Vec<NodeId>>, Fault> {
        let mut operands = Vec::new();
        for input in &node.input {
            operands.push(if input.is_empty() { None } else { Some(self.value(input)) });
        }
        let import = self.operators.find(self.model, node)?;
        if operands.contains(&Some(None)) {
            return Ok(None);
        }
        let operands = operands.into_iter().map(Option::flatten).collect();
        self.call(node, import, operands).map(Some)
    }

    fn call(
        &mut self,
        node: &NodeProto,
        import: Import,
        inputs: Vec<Option<NodeId>>,
    ) -> Result<Vec<NodeId>, Fault> {
        let attributes = Attributes::read(&node.attribute, self.files, self.notes)?;
        import(&mut Call {
            graph: &mut self.graph,
            name: origin::name(node),
            module: origin::module(node),
            operator: node.op_type.clone(),
            opset: self.model.opset_of(&plain_domain(node.domain.clone())),
            attributes,
            outputs: node.output.len(),
            inputs,
            notes: self.notes,
        })
    }

    fn bind_outputs(&mut self, index: usize, node: &NodeProto, made: Option<Vec<NodeId>>) {
        for (position, output) in node.output.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            let value = made.as_ref().and_then(|values| values.get(position).copied());
            if made.is_some() && value.is_none() && self.used.contains(output.as_str()) {
                let fault = Fault::unsupported(format!("its output {} is not computed", shown(output)));
                self.problems.push((index, self.model.problem(node, fault)));
            }
            self.values.insert(output.clone(), value);
        }
    }

    /// Where an operator is not supported, the model can be cut before it.
    fn with_help(&self, node: &NodeProto, fault: Fault) -> Fault {
        let is_computed = |name: &&String| {
            let value = self.values.get(name.as_str()).copied().flatten();
            value.is_some_and(|id| self.graph.tensor(id).is_none() && !self.graph.inputs().contains(&id))
        };
        match node.input.iter().find(is_computed) {
            Some(value) if fault.blame == Blame::Unsupported && fault.help.is_none() => {
                fault.help(format!("cut the model before it with --until-output {}", shown(value)))
            }
            _ => fault,
        }
    }

    /// The graph, without what no result needs.
    ///
    /// # Errors
    ///
    /// The problems that were found, in the order of the model's nodes.
    pub fn finish(mut self) -> Result<Graph, Vec<Problem>> {
        if self.problems.is_empty() {
            self.graph.sweep();
            return Ok(self.graph);
        }
        self.problems.sort_by_key(|(index, _)| *index);
        Err(self.problems.into_iter().map(|(_, problem)| problem).collect())
    }
}
