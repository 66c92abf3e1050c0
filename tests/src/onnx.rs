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
//!     .opset(6)
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

use mobilec::onnx::{ImportOptions, Imported};
use mobilec::reference::Array;
use mobilec::tensor::DType;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use protobuf::MessageField;

/// `FLOAT`
pub const F32: i32 = 1;
/// `UINT8`
pub const U8: i32 = 2;
/// `INT8`
pub const I8: i32 = 3;
/// `INT32`
pub const I32: i32 = 6;
/// `INT64`
pub const I64: i32 = 7;
/// `BOOL`
pub const BOOL: i32 = 9;
/// `FLOAT16`
pub const F16: i32 = 10;
/// `DOUBLE`
pub const F64: i32 = 11;

/// A Rust type whose values a tensor can be made of.
pub trait Element: Copy {
    /// The element type's number in ONNX.
    const TYPE: i32;
    /// Appends the value, little-endian.
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! elements {
    ($($T:ty = $TYPE:ident),*) => {
        $(
            impl Element for $T {
                const TYPE: i32 = $TYPE;
                fn put(self, bytes: &mut Vec<u8>) {
                    bytes.extend_from_slice(&self.to_le_bytes());
                }
            }
        )*
    };
}

elements!(f32 = F32, f64 = F64, u8 = U8, i8 = I8, i32 = I32, i64 = I64);

impl Element for bool {
    const TYPE: i32 = BOOL;
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
}

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

/// A tensor with `raw_data`.
pub fn tensor<T: Element>(name: &str, shape: &[usize], values: &[T]) -> TensorProto {
    let mut raw_data = Vec::new();
    values.iter().for_each(|value| value.put(&mut raw_data));
    TensorProto {
        name: name.into(),
        data_type: T::TYPE,
        dims: shape.iter().map(|&n| n as i64).collect(),
        raw_data,
        ..Default::default()
    }
}

/// The value of a tensor in the compiler's types: all floats are single precision, 16-bit integers
/// become `i32`, unsigned 32-bit and 64-bit ones `i64`.
///
/// # Errors
///
/// An element type that the compiler does not have.
pub fn array(tensor: &TensorProto) -> Result<Array, String> {
    let shape: Vec<usize> = tensor.dims.iter().map(|&n| n as usize).collect();
    let words = |bytes: usize| words(tensor, bytes);
    let ints = |dtype, values: Vec<i64>| Ok(Array::int(dtype, shape.clone(), values));
    let floats = |values: Vec<f64>| Ok(Array::float(shape.clone(), values));
    let single = |word: u64| f64::from(f32::from_bits(word as u32));
    match tensor.data_type {
        F32 => floats(words(4).into_iter().map(single).collect()),
        F64 => floats(words(8).into_iter().map(f64::from_bits).collect()),
        F16 => floats(words(2).into_iter().map(half).collect()),
        16 => floats(words(2).into_iter().map(|word| single(word << 16)).collect()),
        U8 => ints(DType::U8, words(1).into_iter().map(|word| word as i64).collect()),
        I8 => ints(DType::I8, words(1).into_iter().map(|word| word as i64).collect()),
        BOOL => ints(DType::Bool, words(1).into_iter().map(|word| word as i64).collect()),
        4 => ints(DType::I32, words(2).into_iter().map(|word| word as i64).collect()),
        5 => ints(DType::I32, words(2).into_iter().map(|word| i64::from(word as i16)).collect()),
        I32 => ints(DType::I32, words(4).into_iter().map(|word| word as i64).collect()),
        12 => ints(DType::I64, words(4).into_iter().map(|word| word as i64).collect()),
        I64 | 13 => ints(DType::I64, words(8).into_iter().map(|word| word as i64).collect()),
        other => Err(format!("element type {other}")),
    }
}

/// The elements' bits, from `raw_data` or from the field of their type.
fn words(tensor: &TensorProto, bytes: usize) -> Vec<u64> {
    let raw = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    let typed = [
        tensor.float_data.iter().map(|v| u64::from(v.to_bits())).collect::<Vec<u64>>(),
        tensor.double_data.iter().map(|v| v.to_bits()).collect(),
        tensor.int32_data.iter().map(|&v| v as u64).collect(),
        tensor.int64_data.iter().map(|&v| v as u64).collect(),
        tensor.uint64_data.clone(),
    ];
    match tensor.raw_data.is_empty() {
        true => typed.into_iter().find(|values| !values.is_empty()).unwrap_or_default(),
        false => tensor.raw_data.chunks_exact(bytes).map(raw).collect(),
    }
}

/// The value of an IEEE 754 half.
fn half(bits: u64) -> f64 {
    let (sign, exponent, fraction) = (bits >> 15 & 1, bits >> 10 & 31, (bits & 1023) as f64);
    let value = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent as i32 - 25),
    };
    if sign == 1 { -value } else { value }
}

/// `count` numbers between −1 and 1 that look random and depend on `seed` alone (a multiplicative
/// congruential generator; Park and Miller, 1988).
pub fn noise(seed: u32, count: usize) -> Vec<f32> {
    let modulus = 0x7fff_ffff_u64;
    let mut state = u64::from(seed) * 2_654_435_761 % (modulus - 1) + 1;
    let mut next = || {
        state = state * 48_271 % modulus;
        (state as f64 / modulus as f64 * 2.0 - 1.0) as f32
    };
    (0..count + 8).map(|_| next()).skip(8).collect()
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
