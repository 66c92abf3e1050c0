//! Makes ONNX models in a few lines, with an implementation that shares nothing with the compiler's.
//!
//! ```
//! use mobilec_tests::onnx::{F32, Model, node, noise};
//!
//! let bytes = Model::new()
//!     .input("x", F32, [1, 3, 8, 8])
//!     .initializer("w", [4, 3, 1, 1], &noise(1, 12))
//!     .node(node("Conv", "x w", "c").ints("strides", &[2, 2]))
//!     .node(node("Clip", "c", "y").float("min", 0.0).float("max", 6.0))
//!     .output("y")
//!     .opset(10)
//!     .bytes();
//! # assert!(!bytes.is_empty());
//! ```
//!
//! Names are listed in one text, separated by spaces; `_` is an operand or result that is left out.
//! A shape is an array of numbers, or a text for what numbers cannot say: `"N,3,?,8"` has a symbolic
//! dimension `N` and one without a value. What the builder has no method for is done on the message
//! itself with [`Model::edit`] or [`Node::edit`].
//!
//! A made model is imported with [`Model::import`], or its refusal read with [`Model::refused`]; its
//! answer is what [`mobilec::reference::run`] says of `imported.graph`.

mod values;

use mobilec::onnx::{ImportOptions, Imported};
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use protobuf::MessageField;
pub use values::*;

/// A shape that may have symbolic dimensions.
#[derive(Clone, Debug)]
pub struct Shape(Vec<Dimension>);

impl Shape {
    fn of(dims: impl IntoIterator<Item = i64>) -> Self {
        let dim = |n| Dimension { value: Some(dimension::Value::DimValue(n)), ..Default::default() };
        Self(dims.into_iter().map(dim).collect())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self::of(dims.map(|n| n as i64))
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self::of(dims.iter().map(|&n| n as i64))
    }
}

impl From<&str> for Shape {
    /// `"N,3,?,8"`; an empty text is a scalar.
    fn from(text: &str) -> Self {
        let dim = |part: &str| Dimension {
            value: match (part, part.parse::<i64>()) {
                ("?", _) => None,
                (_, Ok(n)) => Some(dimension::Value::DimValue(n)),
                (name, Err(_)) => Some(dimension::Value::DimParam(name.into())),
            },
            ..Default::default()
        };
        Self(text.split(',').filter(|part| !part.is_empty()).map(dim).collect())
    }
}

fn names(list: &str) -> Vec<String> {
    list.split_whitespace().map(|name| if name == "_" { String::new() } else { name.into() }).collect()
}

/// A value's declaration.
pub fn value(name: &str, data_type: i32, shape: impl Into<Shape>) -> ValueInfoProto {
    let shape = TensorShapeProto { dim: shape.into().0, ..Default::default() };
    let tensor =
        type_proto::Tensor { elem_type: data_type, shape: MessageField::some(shape), ..Default::default() };
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), type_: MessageField::some(ty), ..Default::default() }
}

/// A metadata entry.
pub fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into(), ..Default::default() }
}

/// A node. Its name is its type and its first output's name, such as `Conv_y`.
pub fn node(op_type: &str, inputs: &str, outputs: &str) -> Node {
    let output = names(outputs);
    let name = format!("{op_type}_{}", output.first().map_or("", String::as_str));
    let proto =
        NodeProto { op_type: op_type.into(), name, input: names(inputs), output, ..Default::default() };
    Node(proto)
}

/// A node that is being made. See [`node`].
#[derive(Clone, Debug)]
pub struct Node(NodeProto);

impl Node {
    /// Gives it another name; empty for none.
    pub fn named(mut self, name: &str) -> Self {
        self.0.name = name.into();
        self
    }

    /// Puts it into another domain, such as `com.microsoft`.
    pub fn domain(mut self, domain: &str) -> Self {
        self.0.domain = domain.into();
        self
    }

    /// Adds an integer attribute.
    pub fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, AttributeType::INT, |a| a.i = value)
    }

    /// Adds a list of integers.
    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.attribute(name, AttributeType::INTS, |a| a.ints = values.to_vec())
    }

    /// Adds a number.
    pub fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, AttributeType::FLOAT, |a| a.f = value)
    }

    /// Adds a list of numbers.
    pub fn floats(self, name: &str, values: &[f32]) -> Self {
        self.attribute(name, AttributeType::FLOATS, |a| a.floats = values.to_vec())
    }

    /// Adds a text.
    pub fn text(self, name: &str, value: &str) -> Self {
        self.attribute(name, AttributeType::STRING, |a| a.s = value.as_bytes().to_vec())
    }

    /// Adds a tensor; see [`tensor`] (a tensor in an attribute needs no name).
    pub fn tensor(self, name: &str, value: TensorProto) -> Self {
        self.attribute(name, AttributeType::TENSOR, |a| a.t = MessageField::some(value))
    }

    /// Adds a subgraph.
    pub fn graph(self, name: &str, value: GraphProto) -> Self {
        self.attribute(name, AttributeType::GRAPH, |a| a.g = MessageField::some(value))
    }

    /// Adds a metadata entry, such as `pkg.torch.onnx.name_scopes`.
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.0.metadata_props.push(entry(key, value));
        self
    }

    /// Changes the message itself.
    pub fn edit(mut self, change: impl FnOnce(&mut NodeProto)) -> Self {
        change(&mut self.0);
        self
    }

    fn attribute(mut self, name: &str, ty: AttributeType, set: impl FnOnce(&mut AttributeProto)) -> Self {
        let mut attribute = AttributeProto { name: name.into(), type_: ty.into(), ..Default::default() };
        set(&mut attribute);
        self.0.attribute.push(attribute);
        self
    }
}

/// A model that is being made: IR version 8 and opset 17 until told otherwise.
#[derive(Clone, Debug)]
pub struct Model(ModelProto);

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// A model without inputs, nodes or outputs.
    pub fn new() -> Self {
        let graph = GraphProto { name: "test".into(), ..Default::default() };
        let proto = ModelProto {
            ir_version: 8,
            producer_name: "mobilec-tests".into(),
            graph: MessageField::some(graph),
            ..Default::default()
        };
        Self(proto).opset(17)
    }

    /// Sets the version of the default operator set.
    pub fn opset(mut self, version: i64) -> Self {
        self.0.opset_import.retain(|set| !set.domain.is_empty());
        self.domain("", version)
    }

    /// Imports an operator set of another domain.
    pub fn domain(mut self, domain: &str, version: i64) -> Self {
        let set = OperatorSetIdProto { domain: domain.into(), version, ..Default::default() };
        self.0.opset_import.push(set);
        self
    }

    /// Sets the IR version.
    pub fn ir(mut self, version: i64) -> Self {
        self.0.ir_version = version;
        self
    }

    /// Declares a graph input.
    pub fn input(self, name: &str, data_type: i32, shape: impl Into<Shape>) -> Self {
        let value = value(name, data_type, shape);
        self.edit_graph(|graph| graph.input.push(value))
    }

    /// Adds a weight.
    pub fn initializer<T: Element>(self, name: &str, shape: impl AsRef<[usize]>, values: &[T]) -> Self {
        self.tensor(tensor(name, shape.as_ref(), values))
    }

    /// Adds a weight that is made elsewhere.
    pub fn tensor(self, tensor: TensorProto) -> Self {
        self.edit_graph(|graph| graph.initializer.push(tensor))
    }

    /// Adds a node.
    pub fn node(self, node: Node) -> Self {
        self.edit_graph(|graph| graph.node.push(node.0))
    }

    /// Declares an output without saying its type.
    pub fn output(self, name: &str) -> Self {
        self.edit_graph(|graph| {
            graph.output.push(ValueInfoProto { name: name.into(), ..Default::default() });
        })
    }

    /// Declares an output and its type.
    pub fn typed_output(self, name: &str, data_type: i32, shape: impl Into<Shape>) -> Self {
        let value = value(name, data_type, shape);
        self.edit_graph(|graph| graph.output.push(value))
    }

    /// Changes the message itself.
    pub fn edit(mut self, change: impl FnOnce(&mut ModelProto)) -> Self {
        change(&mut self.0);
        self
    }

    /// Changes the graph's message.
    pub fn edit_graph(mut self, change: impl FnOnce(&mut GraphProto)) -> Self {
        change(self.0.graph.mut_or_insert_default());
        self
    }

    /// The graph's message, for a subgraph of another model.
    pub fn graph(self) -> GraphProto {
        self.0.graph.unwrap_or_default()
    }

    /// The file.
    ///
    /// # Panics
    ///
    /// Never: every message of this builder can be written.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.write_to_bytes().expect("the message has no required fields")
    }

    /// The model as the compiler imports it.
    ///
    /// # Panics
    ///
    /// With the error of a model that is refused.
    pub fn import(&self) -> Imported {
        self.import_with(&ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The text of the error with which the model is refused.
    ///
    /// # Panics
    ///
    /// If it is accepted.
    pub fn refused(&self) -> String {
        match self.import_with(&ImportOptions::default()) {
            Ok(imported) => panic!("accepted as\n{}", imported.graph.text()),
            Err(error) => error.to_string(),
        }
    }

    /// Imports it under the name `m.onnx`.
    ///
    /// # Errors
    ///
    /// Those of a model that is refused.
    pub fn import_with(&self, options: &ImportOptions) -> mobilec::Result<Imported> {
        mobilec::onnx::import("m.onnx", self.bytes().into(), options)
    }
}
