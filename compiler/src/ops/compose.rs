//! Short words for spellings that become several operators.

use super::expect;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::ops::Op;
use crate::ops::activation::{Activate, Activation};
use crate::ops::binary::{Binary, BinaryOp};
use crate::ops::reshape::Reshape;
use crate::ops::transpose::Transpose;
use crate::ops::unary::{Unary, UnaryOp};
use crate::tensor::DType;

/// A value with permuted dimensions; nothing where they stay.
pub(super) fn transpose(
    call: &mut Call<'_>,
    value: NodeId,
    permutation: impl Into<Vec<usize>>,
) -> Result<NodeId, Fault> {
    let permutation = permutation.into();
    let stays = permutation.iter().copied().eq(0..permutation.len());
    if stays { Ok(value) } else { call.emit(Transpose { permutation }, &[value]) }
}

/// Whether a value depends on constants alone: one itself, or integers that are dequantized.
pub(super) fn is_fixed(call: &Call<'_>, value: NodeId) -> bool {
    match call.graph.op(value) {
        Op::Constant(_) => true,
        Op::Dequantize(_) | Op::Transpose(_) | Op::Reshape(_) => {
            call.graph.operands(value).into_iter().all(|operand| is_fixed(call, operand))
        }
        _ => false,
    }
}

/// The same elements under another shape; nothing where it is the shape they have.
pub(super) fn reshape(
    call: &mut Call<'_>,
    value: NodeId,
    shape: impl Into<Vec<usize>>,
) -> Result<NodeId, Fault> {
    let shape = shape.into();
    if call.ty(value).shape == shape { Ok(value) } else { call.emit(Reshape { shape }, &[value]) }
}

/// `activation(x)`; nothing for the identity.
pub(super) fn activate(call: &mut Call<'_>, activation: Activation, x: NodeId) -> Result<NodeId, Fault> {
    match activation {
        Activation::Identity => Ok(x),
        activation => call.emit(Activate { activation }, &[x]),
    }
}

/// `op(x)`
pub(super) fn unary(call: &mut Call<'_>, op: UnaryOp, x: NodeId) -> Result<NodeId, Fault> {
    call.emit(Unary { op }, &[x])
}

/// `op(a, b)`
pub(super) fn binary(call: &mut Call<'_>, op: BinaryOp, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
    call.emit(Binary { op, activation: Activation::Identity }, &[a, b])
}

/// `op(x, number)` with a scalar of the element type of `x`.
pub(super) fn with_scalar(
    call: &mut Call<'_>,
    op: BinaryOp,
    x: NodeId,
    number: f64,
) -> Result<NodeId, Fault> {
    let dtype = call.ty(x).dtype;
    let scalar = call.emit_scalar(dtype, number);
    binary(call, op, x, scalar)
}

/// `factor · x`; nothing for 1.
pub(super) fn scaled(call: &mut Call<'_>, x: NodeId, factor: f32) -> Result<NodeId, Fault> {
    if factor == 1.0 { Ok(x) } else { with_scalar(call, BinaryOp::Mul, x, f64::from(factor)) }
}

/// A value that has to be real numbers.
pub(super) fn float(call: &Call<'_>, x: NodeId) -> Result<(), Fault> {
    let ty = call.ty(x);
    match ty.dtype {
        DType::F32 => Ok(()),
        DType::I8 | DType::U8 | DType::I32 | DType::I64 | DType::Bool => {
            Err(Fault::unsupported(format!("{} of {ty}; it computes in f32", call.operator)))
        }
    }
}

/// A convolution by a weight, with operand 2 of the call as its bias of `outputs` values. A bias that is
/// computed is added behind it.
pub(super) fn with_bias(
    call: &mut Call<'_>,
    op: impl Into<Op>,
    map: NodeId,
    weight: NodeId,
    outputs: usize,
) -> Result<NodeId, Fault> {
    let Some(bias) = call.optional(2) else {
        return call.emit(op, &[map, weight]);
    };
    expect::shape(&call.operator, "the bias", &call.ty(bias), &[outputs])?;
    if is_fixed(call, bias) {
        return call.emit(op, &[map, weight, bias]);
    }
    let result = call.emit(op, &[map, weight])?;
    binary(call, BinaryOp::Add, result, bias)
}
