//! The graph: one type through all phases, imported → canonical → fused → laid out.
//!
//! A node is an operator and the one value it makes; a [`NodeId`] therefore names both. Edges run from
//! a value to its user and carry the operand's position. What holds in which phase is checked by
//! [`verify`]; the text form is [`Graph::text`].
//!
//! Values are row-major; spatial operators are NHWC from the moment they are imported, with
//! [`Transpose`](crate::ops::transpose::Transpose) nodes around them where the model is NCHW. The
//! passes then push those transposes out.

#[cfg(test)]
pub(crate) mod testing;
mod text;
pub mod verify;

use crate::error::Fault;
use crate::ops::Op;
use crate::ops::constant::Constant;
use crate::ops::input::Input;
use crate::tensor::{Tensor, TensorType};
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;
use std::collections::BTreeSet;

/// A node, and the value that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(NodeIndex);

impl NodeId {
    /// A number that is stable while the graph is changed.
    pub fn index(self) -> usize {
        self.0.index()
    }
}

/// How far a graph has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// As the front end built it: constants folded, everything else as the model says.
    Imported,
    /// One spelling for everything, transposes pushed out.
    Canonical,
    /// Batch-norm gone into weights; bias, activation and residual add in epilogues.
    Fused,
    /// What a kernel can read in another order than the graph has it is read so.
    LaidOut,
}

#[derive(Clone, Debug)]
struct Node {
    name: String,
    module: Option<String>,
    op: Op,
    ty: TensorType,
}

/// A network. See the [module documentation](self).
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The model's name, for messages.
    pub name: String,
    nodes: StableDiGraph<Node, usize>,
    inputs: Vec<NodeId>,
    outputs: Vec<(String, NodeId)>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds an operator; its type is inferred from its operands' types.
    ///
    /// # Errors
    ///
    /// What the operator says of operands that do not fit.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        operands: &[NodeId],
    ) -> Result<NodeId, Fault> {
        let op = op.into();
        let types: Vec<TensorType> = operands.iter().map(|&n| self.ty(n).clone()).collect();
        let ty = infer(&op, &types)?;
        let id = self.insert(name.into(), op, ty);
        self.connect(id, operands);
        Ok(id)
    }

    /// Like [`Graph::add`], with the name and module path of another node.
    ///
    /// # Errors
    ///
    /// What the operator says of operands that do not fit.
    pub fn add_like(&mut self, of: NodeId, op: impl Into<Op>, operands: &[NodeId]) -> Result<NodeId, Fault> {
        let (name, module) = (self.name(of).to_owned(), self.module(of).map(str::to_owned));
        let id = self.add(name, op, operands)?;
        self.set_module(id, module);
        Ok(id)
    }

    /// Adds a constant with the name and module path of another node.
    pub fn add_constant_like(&mut self, of: NodeId, tensor: Tensor) -> NodeId {
        let (name, module) = (self.name(of).to_owned(), self.module(of).map(str::to_owned));
        let id = self.add_constant(name, tensor);
        self.set_module(id, module);
        id
    }

    /// Adds a graph input.
    pub fn add_input(&mut self, name: impl Into<String>, ty: TensorType) -> NodeId {
        let id = self.insert(name.into(), Op::Input(Input { ty: ty.clone() }), ty);
        self.inputs.push(id);
        id
    }

    /// Puts a new input of another type in the place of one; users of the old one go on reading it until
    /// [`Graph::replace`] gives them something else.
    pub fn exchange_input(&mut self, old: NodeId, ty: TensorType) -> NodeId {
        let name = self.name(old).to_owned();
        let new = self.insert(name, Op::Input(Input { ty: ty.clone() }), ty);
        for input in &mut self.inputs {
            if *input == old {
                *input = new;
            }
        }
        new
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: impl Into<String>, tensor: Tensor) -> NodeId {
        let ty = tensor.ty.clone();
        self.insert(name.into(), Op::Constant(Constant { tensor }), ty)
    }

    /// Declares a value to be a result of the network.
    pub fn add_output(&mut self, name: impl Into<String>, value: NodeId) {
        self.outputs.push((name.into(), value));
    }

    /// Makes another value the output at a position.
    pub fn set_output(&mut self, at: usize, value: NodeId) {
        self.outputs[at].1 = value;
    }

    fn insert(&mut self, name: String, op: Op, ty: TensorType) -> NodeId {
        NodeId(self.nodes.add_node(Node { name, module: None, op, ty }))
    }

    fn connect(&mut self, id: NodeId, operands: &[NodeId]) {
        for (slot, operand) in operands.iter().enumerate() {
            self.nodes.add_edge(operand.0, id.0, slot);
        }
    }

    /// Graph inputs, in the model's order.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// Graph outputs, in the model's order, by name.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }

    /// The operator of a node.
    pub fn op(&self, id: NodeId) -> &Op {
        &self.nodes[id.0].op
    }

    /// The type of a node's value.
    pub fn ty(&self, id: NodeId) -> &TensorType {
        &self.nodes[id.0].ty
    }

    /// The name that the model gave to a node or that a pass derived from one.
    pub fn name(&self, id: NodeId) -> &str {
        &self.nodes[id.0].name
    }

    /// The module path that the exporter recorded.
    pub fn module(&self, id: NodeId) -> Option<&str> {
        self.nodes[id.0].module.as_deref()
    }

    /// Sets the module path of a node.
    pub fn set_module(&mut self, id: NodeId, module: Option<String>) {
        self.nodes[id.0].module = module;
    }

    /// Sets the name of a node.
    pub fn set_name(&mut self, id: NodeId, name: impl Into<String>) {
        self.nodes[id.0].name = name.into();
    }

    /// The tensor of a constant node.
    pub fn tensor(&self, id: NodeId) -> Option<&Tensor> {
        match self.op(id) {
            Op::Constant(constant) => Some(&constant.tensor),
            _ => None,
        }
    }

    /// The values of a constant `f32` node, in double precision.
    pub fn floats(&self, id: NodeId) -> Option<Vec<f64>> {
        self.tensor(id).filter(|tensor| tensor.ty.dtype.is_float()).map(Tensor::to_f64)
    }

    /// The value of a constant `f32` node of one element, whatever its rank.
    pub fn scalar(&self, id: NodeId) -> Option<f64> {
        (self.ty(id).elements() == 1).then(|| self.floats(id)?.first().copied()).flatten()
    }

    /// The values a node reads, by position.
    pub fn operands(&self, id: NodeId) -> Vec<NodeId> {
        let mut edges: Vec<(usize, NodeId)> = self
            .nodes
            .edges_directed(id.0, Direction::Incoming)
            .map(|edge| (*edge.weight(), NodeId(edge.source())))
            .collect();
        edges.sort_unstable();
        edges.into_iter().map(|(_, operand)| operand).collect()
    }

    /// The operand at a position.
    pub fn operand(&self, id: NodeId, slot: usize) -> Option<NodeId> {
        self.operands(id).get(slot).copied()
    }

    /// Types of a node's operands.
    pub fn operand_types(&self, id: NodeId) -> Vec<TensorType> {
        self.operands(id).iter().map(|&n| self.ty(n).clone()).collect()
    }

    /// Nodes that read a value, in a fixed order; one that reads it twice stands twice.
    pub fn users(&self, id: NodeId) -> Vec<NodeId> {
        let mut users: Vec<NodeId> =
            self.nodes.neighbors_directed(id.0, Direction::Outgoing).map(NodeId).collect();
        users.sort_unstable();
        users
    }

    /// Whether a value is a result of the network.
    pub fn is_output(&self, id: NodeId) -> bool {
        self.outputs.iter().any(|(_, value)| *value == id)
    }

    /// The one user of a value that nothing else reads and that is not an output.
    pub fn only_user(&self, id: NodeId) -> Option<NodeId> {
        match self.users(id)[..] {
            [user] if !self.is_output(id) => Some(user),
            _ => None,
        }
    }

    /// Whether the node still exists.
    pub fn contains(&self, id: NodeId) -> bool {
        self.nodes.contains_node(id.0)
    }

    /// All users of `old`, and the outputs, read `new` from now on. Types must be equal.
    pub fn replace(&mut self, old: NodeId, new: NodeId) {
        self.replace_except(old, new, &[]);
    }

    /// Like [`Graph::replace`], but the users in `except` go on reading `old`.
    pub fn replace_except(&mut self, old: NodeId, new: NodeId, except: &[NodeId]) {
        debug_assert_eq!(self.ty(old), self.ty(new), "{} → {}", self.name(old), self.name(new));
        let edges: Vec<_> = self
            .nodes
            .edges_directed(old.0, Direction::Outgoing)
            .filter(|edge| !except.contains(&NodeId(edge.target())))
            .map(|edge| (edge.id(), edge.target(), *edge.weight()))
            .collect();
        for (edge, target, slot) in edges {
            self.nodes.remove_edge(edge);
            self.nodes.add_edge(new.0, target, slot);
        }
        for (_, value) in &mut self.outputs {
            if *value == old {
                *value = new;
            }
        }
    }

    /// [`Graph::replace`], after which what only `old` needed is gone.
    pub fn substitute(&mut self, old: NodeId, new: NodeId) {
        self.replace(old, new);
        self.prune(old);
    }

    /// Removes a node that nothing reads, and then its operands that nothing reads. Inputs stay.
    pub fn prune(&mut self, id: NodeId) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let unread = self.contains(id) && self.users(id).is_empty() && !self.is_output(id);
            if unread && !self.inputs.contains(&id) {
                stack.extend(self.operands(id));
                self.nodes.remove_node(id.0);
            }
        }
    }

    /// Gives a node another operator and operands; its type is inferred anew and its users keep it.
    /// Old operands that nothing reads any more are gone.
    ///
    /// # Errors
    ///
    /// What the operator says of operands that do not fit; the graph is then unchanged.
    pub fn rewrite(&mut self, id: NodeId, op: impl Into<Op>, operands: &[NodeId]) -> Result<(), Fault> {
        let op = op.into();
        let types: Vec<TensorType> = operands.iter().map(|&n| self.ty(n).clone()).collect();
        let ty = infer(&op, &types)?;
        let old = self.operands(id);
        let edges: Vec<_> = self.nodes.edges_directed(id.0, Direction::Incoming).map(|e| e.id()).collect();
        for edge in edges {
            self.nodes.remove_edge(edge);
        }
        self.connect(id, operands);
        let node = &mut self.nodes[id.0];
        node.op = op;
        node.ty = ty;
        for operand in old {
            self.prune(operand);
        }
        Ok(())
    }

    /// Removes every node from which no output can be reached. Inputs stay.
    pub fn sweep(&mut self) {
        let mut live: BTreeSet<NodeId> = self.inputs.iter().copied().collect();
        let mut stack: Vec<NodeId> = self.outputs.iter().map(|(_, value)| *value).collect();
        while let Some(id) = stack.pop() {
            if live.insert(id) {
                stack.extend(self.operands(id));
            }
        }
        self.nodes.retain_nodes(|_, index| live.contains(&NodeId(index)));
    }

    /// All nodes, every value before its users: depth first from the outputs, operands in their order,
    /// so that the order depends on the network alone. Unused inputs come first.
    ///
    /// # Panics
    ///
    /// Never on a verified graph; [`Graph::add`] cannot make a cycle.
    pub fn order(&self) -> Vec<NodeId> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let roots = self.inputs.iter().copied().chain(self.outputs.iter().map(|(_, value)| *value));
        for root in roots {
            let mut stack = vec![(root, false)];
            while let Some((id, operands_done)) = stack.pop() {
                if operands_done {
                    order.push(id);
                } else if seen.insert(id) {
                    stack.push((id, true));
                    stack.extend(self.operands(id).into_iter().rev().map(|n| (n, false)));
                }
            }
        }
        order
    }

    /// Whether some operands lead back to the node that reads them.
    pub fn is_cyclic(&self) -> bool {
        petgraph::algo::is_cyclic_directed(&self.nodes)
    }

    /// Trained numbers: elements of the constants that convolutions, dense layers and norms read. Of a
    /// batch-norm two a channel are left when it is imported, its factor and its summand, which is what
    /// was trained of it.
    pub fn parameters(&self) -> usize {
        let weighted = self.order().into_iter().filter(|&id| self.op(id).has_weights());
        let constants: BTreeSet<NodeId> = weighted
            .flat_map(|id| self.operands(id))
            .filter(|&id| self.tensor(id).is_some_and(|tensor| tensor.ty.rank() > 0))
            .collect();
        constants.iter().map(|&id| self.ty(id).elements()).sum()
    }

    /// Multiply-adds of one inference.
    pub fn macs(&self) -> u64 {
        self.order().iter().map(|&id| self.node_macs(id)).sum()
    }

    /// Multiply-adds of one node.
    pub fn node_macs(&self, id: NodeId) -> u64 {
        self.op(id).macs(&self.operand_types(id), self.ty(id))
    }
}

fn infer(op: &Op, operands: &[TensorType]) -> Result<TensorType, Fault> {
    let ty = op.infer(operands)?;
    TensorType::checked(ty.dtype, ty.shape)
}
