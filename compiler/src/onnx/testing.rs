//! Imports single nodes in unit tests: what a spelling becomes, what it computes, and whether it asks for
//! kernels in the words of the runtime's steps.

use super::notes::Notes;
use super::{Attribute, Attributes, Call};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops;
use crate::plan::request::{Request, Site};
use crate::reference::{self, Array};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// An ONNX node with the values of its operands.
#[derive(Clone, Debug)]
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

    /// Adds a constant operand of integers.
    pub fn list(self, values: &[i64]) -> Self {
        self.constant(Array::from(&Tensor::from_i64(values)))
    }

    /// Leaves an operand out.
    pub fn absent(mut self) -> Self {
        self.operands.push(None);
        self
    }

    /// Imports the node, lowers and interprets what it became.
    pub fn run(self) -> Result<Became, Fault> {
        let (graph, given) = self.import()?;
        for id in graph.order() {
            lower(&graph, id)?.iter().for_each(assert_fields);
        }
        let trace = reference::run(&graph, &given)?;
        let values = graph.outputs().iter().map(|(_, id)| trace[id].clone()).collect();
        Ok(Became { values, text: graph.text() })
    }

    /// The graph that the node becomes, and the values of its inputs.
    pub fn import(self) -> Result<(Graph, Vec<Array>), Fault> {
        let spelling = ops::ONNX.iter().copied().flatten().find(|(name, _)| *name == self.operator);
        let (_, import) = spelling.ok_or_else(|| Fault::unsupported(self.operator))?;
        let (mut graph, mut given, mut inputs) = (Graph::new("test"), Vec::new(), Vec::new());
        for operand in self.operands {
            inputs.push(operand.map(|(value, constant)| {
                if constant {
                    return graph.add_constant("constant", Tensor::from(&value));
                }
                let id = graph.add_input(format!("x{}", given.len()), value.ty.clone());
                given.push(value);
                id
            }));
        }
        let outputs = import(&mut Call {
            graph: &mut graph,
            name: "node".into(),
            operator: self.operator.into(),
            opset: self.opset,
            attributes: self.attributes,
            outputs: self.outputs,
            module: None,
            inputs,
            notes: &mut Notes::default(),
        })?;
        outputs.iter().enumerate().for_each(|(i, &id)| graph.add_output(format!("y{i}"), id));
        Ok((graph, given))
    }
}

/// The kernel calls of a node.
fn lower(graph: &Graph, id: NodeId) -> Result<Vec<Request>, Fault> {
    let operands = graph.operand_types(id);
    let constants: Vec<_> = graph.operands(id).iter().map(|&n| graph.tensor(n)).collect();
    graph.op(id).lower(&Site { operands: &operands, constants: &constants, output: graph.ty(id) })
}

/// The fields are those of the step that the family is named after, in its order.
fn assert_fields(request: &Request) {
    let step = format!("{:?}", request.family);
    let given: Vec<&str> = request.fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(given, STEPS[&step], "{step}");
}

/// The fields of each step struct of the runtime.
static STEPS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let source = include_str!("../../../runtime/src/steps.rs");
    let items = syn::parse_file(source).expect("the runtime's source parses").items;
    let fields = |item: syn::ItemStruct| {
        let names = item.fields.into_iter().filter_map(|field| field.ident);
        (item.ident.to_string(), names.map(|name| name.to_string()).collect())
    };
    let structs = items.into_iter().filter_map(|item| match item {
        syn::Item::Struct(item) => Some(fields(item)),
        _ => None,
    });
    structs.collect()
});
