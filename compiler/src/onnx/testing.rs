//! Imports single nodes in unit tests: what a spelling becomes, and what it computes.

use super::notes::Notes;
use super::{Attribute, Attributes, Call};
use crate::error::Fault;
use crate::graph::Graph;
use crate::ops;
use crate::reference::{self, Array};
use crate::tensor::Tensor;

/// An ONNX node with the values of its operands.
pub struct Case {
    operator: &'static str,
    opset: i64,
    attributes: Attributes,
    operands: Vec<Option<(Array, bool)>>,
    outputs: usize,
}

/// What a node became.
pub struct Became {
    /// Its outputs' values.
    pub values: Vec<Array>,
    /// The graph as text.
    pub text: String,
}

impl Case {
    /// A node with one output.
    pub fn new(operator: &'static str, opset: i64) -> Self {
        Self { operator, opset, attributes: Attributes::default(), operands: Vec::new(), outputs: 1 }
    }

    /// Sets an attribute.
    pub fn with(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.0.insert(name.to_owned(), value);
        self
    }

    /// Sets an attribute of integers.
    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.with(name, Attribute::Ints(values.to_vec()))
    }

    /// Sets an integer attribute.
    pub fn int(self, name: &str, value: i64) -> Self {
        self.with(name, Attribute::Int(value))
    }

    /// Sets a text attribute.
    pub fn text(self, name: &str, value: &str) -> Self {
        self.with(name, Attribute::String(value.to_owned()))
    }

    /// How many outputs it declares.
    pub fn outputs(mut self, count: usize) -> Self {
        self.outputs = count;
        self
    }

    /// Adds an operand that is an input of the graph.
    pub fn input(mut self, value: Array) -> Self {
        self.operands.push(Some((value, false)));
        self
    }

    /// Adds an operand that is a constant.
    pub fn constant(mut self, value: Array) -> Self {
        self.operands.push(Some((value, true)));
        self
    }

    /// Leaves an operand out.
    pub fn absent(mut self) -> Self {
        self.operands.push(None);
        self
    }

    /// Imports the node and interprets what it became.
    pub fn run(self) -> Result<Became, Fault> {
        let spelling = ops::ONNX.iter().copied().flatten().find(|(name, _)| *name == self.operator);
        let (_, import) = spelling.ok_or_else(|| Fault::unsupported(self.operator))?;
        let mut graph = Graph::new("test");
        let mut given = Vec::new();
        let mut inputs = Vec::new();
        for (i, operand) in self.operands.into_iter().enumerate() {
            inputs.push(operand.map(|(value, constant)| {
                if constant {
                    return graph.add_constant(format!("c{i}"), Tensor::from(&value));
                }
                let id = graph.add_input(format!("x{i}"), value.ty.clone());
                given.push(value);
                id
            }));
        }
        let mut notes = Notes::default();
        let mut call = Call {
            graph: &mut graph,
            name: "node".into(),
            operator: self.operator.into(),
            opset: self.opset,
            attributes: self.attributes,
            outputs: self.outputs,
            module: None,
            inputs,
            notes: &mut notes,
        };
        let outputs = import(&mut call)?;
        for (i, &output) in outputs.iter().enumerate() {
            graph.add_output(format!("y{i}"), output);
        }
        let trace = reference::run(&graph, &given)?;
        Ok(Became { values: outputs.iter().map(|id| trace[id].clone()).collect(), text: graph.text() })
    }
}
