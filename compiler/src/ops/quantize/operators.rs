//! Quantised operators of ONNX and of ONNX Runtime (`com.microsoft`), read as what they mean: the float
//! operator between `DequantizeLinear` and `QuantizeLinear`. The fusions then see one form only.

use super::{Dequantize, Quantize, operands_at};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::reference::Array;
use crate::tensor::{DType, Tensor};

/// `x, x_scale, x_zp, w, w_scale, w_zp, y_scale, y_zp, bias`
pub(super) fn conv(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = real(call, [0, 1, 2], 0)?;
    let w = real(call, [3, 4, 5], 0)?;
    let bias = bias(call, 8, [1, 4], 1.0)?;
    let y = call.as_operator("Conv", &[Some(x), Some(w), bias], 13)?;
    Ok(vec![codes(call, y, [6, 7], 0)?])
}

/// `a, a_scale, a_zp, b, b_scale, b_zp, y_scale, y_zp`: scales one for all, of `a` one a row, of `b` one a
/// column.
pub(super) fn matmul(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let axis = |call: &Call<'_>, position: usize, back: usize| -> Result<usize, Fault> {
        Ok(call.ty(call.input(position)?).rank().saturating_sub(back))
    };
    let (rows, columns) = (axis(call, 0, 2)?, axis(call, 3, 1)?);
    let a = real(call, [0, 1, 2], rows)?;
    let b = real(call, [3, 4, 5], columns)?;
    let y = call.as_operator("MatMul", &[Some(a), Some(b)], 13)?;
    Ok(vec![codes(call, y, [6, 7], 0)?])
}

/// `a, a_scale, a_zp, b, b_scale, b_zp, c, y_scale, y_zp`; without a scale the result is real numbers.
pub(super) fn gemm(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let transposed = call.attributes.int_or("transB", 0)? != 0;
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    let a = real(call, [0, 1, 2], 0)?;
    let b = real(call, [3, 4, 5], usize::from(!transposed))?;
    let c = bias(call, 6, [1, 4], f64::from(alpha))?;
    let y = call.as_operator("Gemm", &[Some(a), Some(b), c], 13)?;
    if call.optional(7).is_none() {
        return Ok(vec![y]);
    }
    Ok(vec![codes(call, y, [7, 8], 0)?])
}

/// `a, a_scale, a_zp, b, b_scale, b_zp, y_scale, y_zp`
pub(super) fn binary(call: &mut Call<'_>, operator: &str) -> Result<Vec<NodeId>, Fault> {
    let (a, b) = (real(call, [0, 1, 2], 0)?, real(call, [3, 4, 5], 0)?);
    let y = call.as_operator(operator, &[Some(a), Some(b)], 13)?;
    Ok(vec![codes(call, y, [6, 7], 0)?])
}

/// `x, x_scale, x_zp, y_scale, y_zp`
pub(super) fn unary(call: &mut Call<'_>, operator: &str, opset: i64) -> Result<Vec<NodeId>, Fault> {
    let x = real(call, [0, 1, 2], 0)?;
    let y = call.as_operator(operator, &[Some(x)], opset)?;
    Ok(vec![codes(call, y, [3, 4], 0)?])
}

/// As of an operator set of the standard, which an attribute names.
pub(super) fn softmax(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let opset = call.attributes.int_or("opset", 13)?;
    unary(call, "Softmax", opset)
}

/// A pool of `[N,C,H,W]`, or with `channels_last` of `[N,H,W,C]`.
pub(super) fn pool(call: &mut Call<'_>, operator: &str) -> Result<Vec<NodeId>, Fault> {
    let last = call.attributes.int_or("channels_last", 0)? != 0;
    let x = real(call, [0, 1, 2], 0)?;
    let x = if last { call.to_nchw(x)? } else { x };
    let y = call.as_operator(operator, &[Some(x)], 13)?;
    let y = if last { call.to_nhwc(y)? } else { y };
    Ok(vec![codes(call, y, [3, 4], 0)?])
}

/// `y_scale, y_zp`, then for each operand `x, x_scale, x_zp`
pub(super) fn concat(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let operands = (2..call.arity()).step_by(3).map(|at| Ok(Some(real(call, [at, at + 1, at + 2], 0)?)));
    let operands = operands.collect::<Result<Vec<_>, Fault>>()?;
    let y = call.as_operator("Concat", &operands, 13)?;
    Ok(vec![codes(call, y, [0, 1], 0)?])
}

/// `DequantizeLinear` of the operands at these positions.
fn real(call: &mut Call<'_>, positions: [usize; 3], axis: usize) -> Result<NodeId, Fault> {
    let codes = call.input(positions[0])?;
    let dtype = call.ty(codes).dtype;
    let scales = operands_at(call, codes, [positions[1], positions[2]], dtype)?;
    call.emit(Dequantize { axis }, &scales)
}

/// `QuantizeLinear` by the operands at these positions.
fn codes(call: &mut Call<'_>, value: NodeId, positions: [usize; 2], axis: usize) -> Result<NodeId, Fault> {
    let scales = operands_at(call, value, positions, DType::U8)?;
    call.emit(Quantize { axis }, &scales)
}

/// A bias that counts in units of `factor` times the product of two scales.
fn bias(
    call: &mut Call<'_>,
    position: usize,
    scales: [usize; 2],
    factor: f64,
) -> Result<Option<NodeId>, Fault> {
    let Some(bias) = call.optional(position) else { return Ok(None) };
    let [a, b] = scales.map(|at| call.constant(at, "the scale").map(|t| t.map_or(vec![1.0], |t| t.to_f64())));
    let (a, b) = (a?, b?);
    let [a] = a[..] else { return Err(Fault::unsupported("an input quantised by several scales")) };
    let units: Vec<f64> = b.iter().map(|b| f64::from((a * b * factor) as f32)).collect();
    let shape: Vec<usize> = if units.len() == 1 { Vec::new() } else { vec![units.len()] };
    let zeros = Array::int(call.ty(bias).dtype, shape.clone(), vec![0; units.len()]);
    let zeros = call.emit_constant(Tensor::from(&zeros));
    let units = call.emit_constant(Tensor::from(&Array::float(shape, units)));
    let axis = call.ty(bias).rank().saturating_sub(1);
    Ok(Some(call.emit(Dequantize { axis }, &[bias, units, zeros])?))
}

