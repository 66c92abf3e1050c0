//! `ConvInteger`, `MatMulInteger` and `DynamicQuantizeLinear`, whose zero points and scales may be computed.
//!
//! Sums of products of codes are computed in single precision: while every partial sum stays below 2^24 they are
//! integers and exact, whatever the order. Where that cannot be promised the operator is refused.

use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::ops::binary::BinaryOp;
use crate::ops::cast::Cast;
use crate::ops::compose::{binary, reshape, unary, with_scalar};
use crate::ops::reduce::{Reduce, ReduceOp};
use crate::ops::unary::UnaryOp;
use crate::tensor::DType;

/// Integers below are exact in single precision.
const EXACT: f64 = 16_777_216.0;
/// The largest magnitude of a code less a zero point.
const LARGEST_CODE: f64 = 255.0;

/// `x, w, x_zp, w_zp`
pub(super) fn conv(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let outputs = call.ty(w).shape.first().copied().unwrap_or(1).max(1);
    let depth = call.ty(w).elements() / outputs;
    let mut per_output = vec![1; call.ty(w).rank().max(1)];
    per_output[0] = outputs;
    let x = centred(call, x, 2, None)?;
    let w = centred(call, w, 3, Some(per_output))?;
    check(call, w, depth, |at| at / depth.max(1))?;
    let y = call.as_operator("Conv", &[Some(x), Some(w)], 13)?;
    Ok(vec![call.emit(Cast { to: DType::I32 }, &[y])?])
}

/// `a, b, a_zp, b_zp`; a zero point may be one a row of `a`, or one a column of `b`.
pub(super) fn matmul(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let rows = call.optional(2).map_or(1, |zero| call.ty(zero).elements());
    let columns = call.ty(b).shape.last().copied().unwrap_or(1).max(1);
    let depth = call.ty(a).shape.last().copied().unwrap_or(1);
    let per_row = (call.optional(2).is_some_and(|zero| call.ty(zero).rank() == 1)).then(|| vec![rows, 1]);
    let a = centred(call, a, 2, per_row)?;
    let b = centred(call, b, 3, None)?;
    check(call, b, depth, |at| at % columns)?;
    let y = call.as_operator("MatMul", &[Some(a), Some(b)], 13)?;
    Ok(vec![call.emit(Cast { to: DType::I32 }, &[y])?])
}

/// `x` less its zero point, in real numbers; zero points of several elements are given a shape.
fn centred(
    call: &mut Call<'_>,
    x: NodeId,
    zero_point: usize,
    shape: Option<Vec<usize>>,
) -> Result<NodeId, Fault> {
    let x = call.emit(Cast { to: DType::F32 }, &[x])?;
    let Some(zero) = call.optional(zero_point) else { return Ok(x) };
    let zero = call.emit(Cast { to: DType::F32 }, &[zero])?;
    let zero = match (call.ty(zero).elements(), shape) {
        (1, _) => reshape(call, zero, Vec::new())?,
        (_, Some(shape)) => reshape(call, zero, shape)?,
        (_, None) => zero,
    };
    binary(call, BinaryOp::Sub, x, zero)
}

/// Refuses sums of `depth` products by `weights` that might not be exact; `sum` says which sum a weight is part
/// of.
fn check(call: &Call<'_>, weights: NodeId, depth: usize, sum: impl Fn(usize) -> usize) -> Result<(), Fault> {
    let largest = match call.graph.floats(weights) {
        Some(values) => {
            let mut sums = vec![0.0_f64; values.len()];
            values.iter().enumerate().for_each(|(at, value)| sums[sum(at)] += value.abs());
            sums.into_iter().fold(0.0, f64::max) * LARGEST_CODE
        }
        None => depth as f64 * LARGEST_CODE * LARGEST_CODE,
    };
    if largest < EXACT {
        return Ok(());
    }
    let message = format!("{} of {depth} products a sum, which may reach {largest}", call.operator);
    Err(Fault::unsupported(message).help("quantise statically, with DequantizeLinear or QLinear operators"))
}

/// `y, y_scale, y_zp` of `x`: the range of `x` and 0 in 256 codes.
pub(super) fn dynamic(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    let count = call.ty(x).elements();
    let flat = reshape(call, x, [count])?;
    let range = [(ReduceOp::Min, BinaryOp::Min), (ReduceOp::Max, BinaryOp::Max)];
    let mut ends = [x; 2];
    for (end, (reduce, with_zero)) in ends.iter_mut().zip(range) {
        let value = call.emit(Reduce { op: reduce, axes: vec![0], keep: false }, &[flat])?;
        *end = with_scalar(call, with_zero, value, 0.0)?;
    }
    let [least, most] = ends;
    let width = binary(call, BinaryOp::Sub, most, least)?;
    let scale = with_scalar(call, BinaryOp::Div, width, 255.0)?;
    let steps = binary(call, BinaryOp::Div, least, scale)?;
    let steps = unary(call, UnaryOp::Neg, steps)?;
    let steps = unary(call, UnaryOp::Round, steps)?;
    let zero_point = saturated(call, steps)?;
    let quotient = binary(call, BinaryOp::Div, x, scale)?;
    let quotient = unary(call, UnaryOp::Round, quotient)?;
    let moved = binary(call, BinaryOp::Add, quotient, zero_point)?;
    let codes = saturated(call, moved)?;
    let [codes, zero_point] = [codes, zero_point].map(|real| call.emit(Cast { to: DType::U8 }, &[real]));
    Ok(vec![codes?, scale, zero_point?])
}

fn saturated(call: &mut Call<'_>, x: NodeId) -> Result<NodeId, Fault> {
    let at_least = with_scalar(call, BinaryOp::Max, x, 0.0)?;
    with_scalar(call, BinaryOp::Min, at_least, LARGEST_CODE)
}
