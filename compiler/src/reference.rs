//! The reference interpreter: plain `f64`/`i64` semantics, no kernels, no planning.
//!
//! It folds constants, and `mobilec check` and the tests compare emitted code with it; it shares no
//! code with the runtime. What an operator means stands in its own file under [`crate::ops`]; here are
//! the arrays they compute on and the walk over a graph.

use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::tensor::{DType, Tensor, TensorType};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Elements of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// For [`DType::F32`], in double precision.
    Float(Vec<f64>),
    /// For every other type.
    Int(Vec<i64>),
}

/// A tensor value while interpreting: row-major, in double precision or 64-bit integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Element type and shape.
    pub ty: TensorType,
    /// The elements; the variant fits `ty.dtype`.
    pub data: Data,
}

impl Array {
    /// An `f32`-typed array from values in double precision.
    pub fn float(shape: impl Into<Vec<usize>>, values: Vec<f64>) -> Self {
        Self { ty: TensorType::f32(shape), data: Data::Float(values) }
    }

    /// An integer array; values wrap into the type's range.
    pub fn int(dtype: DType, shape: impl Into<Vec<usize>>, mut values: Vec<i64>) -> Self {
        for v in &mut values {
            *v = wrap(dtype, *v);
        }
        Self { ty: TensorType::new(dtype, shape), data: Data::Int(values) }
    }

    /// All zeros.
    pub fn zeros(ty: &TensorType) -> Self {
        let count = ty.elements();
        let data =
            if ty.dtype.is_float() { Data::Float(vec![0.0; count]) } else { Data::Int(vec![0; count]) };
        Self { ty: ty.clone(), data }
    }

    /// The elements as `f64`, whatever the type.
    pub fn to_floats(&self) -> Vec<f64> {
        match &self.data {
            Data::Float(values) => values.clone(),
            Data::Int(values) => values.iter().map(|&v| v as f64).collect(),
        }
    }

    /// The elements of a float array; empty for an integer one.
    pub fn floats(&self) -> &[f64] {
        match &self.data {
            Data::Float(values) => values,
            Data::Int(_) => &[],
        }
    }

    /// The elements of an integer array; empty for a float one.
    pub fn ints(&self) -> &[i64] {
        match &self.data {
            Data::Int(values) => values,
            Data::Float(_) => &[],
        }
    }

    /// Rearranges elements: element `i` of the result is element `index(i)` of `self`.
    pub fn gather(&self, ty: TensorType, index: impl Fn(usize) -> usize) -> Self {
        let count = ty.elements();
        let data = match &self.data {
            Data::Float(values) => Data::Float((0..count).map(|i| values[index(i)]).collect()),
            Data::Int(values) => Data::Int((0..count).map(|i| values[index(i)]).collect()),
        };
        Self { ty, data }
    }
}

impl From<&Tensor> for Array {
    fn from(tensor: &Tensor) -> Self {
        let data = if tensor.ty.dtype.is_float() {
            Data::Float(tensor.to_f64())
        } else {
            Data::Int(tensor.to_i64())
        };
        Self { ty: tensor.ty.clone(), data }
    }
}

impl From<&Array> for Tensor {
    /// Floats are rounded to single precision.
    fn from(array: &Array) -> Self {
        let bytes: Vec<u8> = match (&array.data, array.ty.dtype) {
            (Data::Float(values), _) => values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
            (Data::Int(values), DType::I64) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            (Data::Int(values), DType::I32) => {
                values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect()
            }
            (Data::Int(values), _) => values.iter().map(|&v| v as u8).collect(),
        };
        let ty = array.ty.clone();
        Tensor::new(ty, Bytes::from(bytes)).expect("an array has as many elements as its shape says")
    }
}

/// Wraps `value` into the range of an integer type.
pub fn wrap(dtype: DType, value: i64) -> i64 {
    match dtype {
        DType::I8 => i64::from(value as i8),
        DType::U8 => i64::from(value as u8),
        DType::I32 => i64::from(value as i32),
        DType::Bool => i64::from(value != 0),
        DType::I64 | DType::F32 => value,
    }
}

/// Values of all nodes of a graph, by node.
pub type Trace = BTreeMap<NodeId, Array>;

/// Interprets a graph on one input per [`Op::Input`] node, in the graph's input order.
///
/// Every value is kept. Float values are rounded to single precision only where a tensor is stored as
/// a constant, so the result is what exact arithmetic on the graph would give, within 1e-12 or so.
///
/// # Errors
///
/// An input that is missing or has another type than the graph's.
pub fn run(graph: &Graph, inputs: &[Array]) -> Result<Trace, Fault> {
    let mut trace = Trace::new();
    for node in graph.order() {
        let value = match graph.op(node) {
            Op::Input(_) => given(graph, node, inputs)?.clone(),
            op => {
                let operands: Vec<&Array> = graph.operands(node).iter().map(|n| &trace[n]).collect();
                op.eval(&operands, graph.ty(node))
            }
        };
        debug_assert_eq!(value.ty, *graph.ty(node), "{}", graph.name(node));
        trace.insert(node, value);
    }
    Ok(trace)
}

/// Whether a graph has operators on 8-bit codes.
pub fn is_quantized(graph: &Graph) -> bool {
    graph.order().into_iter().any(|id| on_codes(graph.op(id)))
}

fn on_codes(op: &Op) -> bool {
    matches!(
        op,
        Op::QuantizedLayer(_)
            | Op::QuantizedMatMul(_)
            | Op::QuantizedBinary(_)
            | Op::QuantizedPool(_)
            | Op::QuantizedSoftmax(_)
            | Op::Lookup(_)
    )
}

/// Nodes whose values emitted code gives to the bit: made from the inputs by operators on codes, by
/// quantising and back, and by moving elements. What is computed in real numbers is rounded otherwise.
pub fn exact(graph: &Graph) -> BTreeSet<NodeId> {
    let mut exact = BTreeSet::new();
    for id in graph.order() {
        let itself = match graph.op(id) {
            Op::Input(_) | Op::Constant(_) | Op::Quantize(_) | Op::Dequantize(_) => true,
            Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Gather(_) | Op::Expand(_) => true,
            Op::Concat(_) | Op::Pad(_) => true,
            op => on_codes(op),
        };
        if itself && graph.operands(id).iter().all(|operand| exact.contains(operand)) {
            exact.insert(id);
        }
    }
    exact
}

fn given<'a>(graph: &Graph, node: NodeId, inputs: &'a [Array]) -> Result<&'a Array, Fault> {
    let name = graph.name(node);
    let position = graph.inputs().iter().position(|&n| n == node);
    let array = position
        .and_then(|i| inputs.get(i))
        .ok_or_else(|| Fault::model(format!("no value was given for input {name}")))?;
    if array.ty == *graph.ty(node) {
        Ok(array)
    } else {
        Err(Fault::model(format!("input {name} is {}, but {} was given", graph.ty(node), array.ty)))
    }
}
