//! Layer normalisation over the last axis:
//! `y[.., i] = (x[.., i] − mean) / √(variance + epsilon) · scale[i] + shift[i]`.
//!
//! ONNX's `LayerNormalization`, `InstanceNormalization` and `GroupNormalization` are read here; each is
//! this over rows of some reshaped input.

use super::{Operator, compose, epilogue, expect, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::binary::BinaryOp;
use crate::ops::reduce::{Reduce, ReduceOp};
use crate::ops::unary::UnaryOp;
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Family, Shape};

/// `LayerNormalization`, `InstanceNormalization`, `GroupNormalization`.
pub const ONNX: &[Spelling] = &[
    ("LayerNormalization", import_layer),
    ("InstanceNormalization", import_instance),
    ("GroupNormalization", import_group),
];

/// Layer normalisation over the last axis. Operands: input `[.., L]`, scale `[L]`, shift `[L]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operator for LayerNorm {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats("layer normalisation", operands, 3..=3)?;
        let input = &operands[0];
        let Some(&len) = input.shape.last().filter(|&&len| len > 0) else {
            return Err(Fault::model(format!("layer normalisation of {input}, whose last axis is empty")));
        };
        expect::shape("layer normalisation", "the scale", &operands[1], &[len])?;
        expect::shape("layer normalisation", "the shift", &operands[2], &[len])?;
        Ok(input.clone())
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (scale, shift) = (operands[1].floats(), operands[2].floats());
        let len = scale.len();
        let mut values = operands[0].floats().to_vec();
        for row in values.chunks_exact_mut(len) {
            let mean = row.iter().sum::<f64>() / len as f64;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / len as f64;
            let factor = 1.0 / (variance + f64::from(self.epsilon)).sqrt();
            for ((x, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                *x = (*x - mean) * factor * scale + shift;
            }
        }
        Array { ty: ty.clone(), data: Data::Float(values) }
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("layer_norm eps {:e}", self.epsilon)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let scale = site.constant(1, "the scale of layer normalisation")?.to_f32();
        let shift = site.constant(2, "the shift of layer normalisation")?.to_f32();
        let len = scale.len();
        let outer = site.output.elements() / len.max(1);
        Ok(vec![Request {
            family: Family::LayerNorm,
            dtype: DType::F32,
            shape: Shape::new(outer, 1, len),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("outer", Arg::Usize(outer)),
                ("len", Arg::Usize(len)),
                ("epsilon", Arg::F32(self.epsilon)),
                ("scale", epilogue::channels(scale)),
                ("shift", epilogue::channels(shift)),
            ],
            rows: Rows::Whole,
            in_place: true,
        }])
    }
}

/// Over all axes from `axis` on; scale and bias broadcast to these. Mean and 1 / deviation are the other
/// outputs.
fn import_layer(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let axis = shape::axis(call.attributes.int_or("axis", -1)?, call.ty(input).rank())?;
    let epsilon = call.attributes.float_or("epsilon", 1e-5)?;
    let mut outputs = vec![layer(call, input, axis, epsilon)?];
    if call.outputs > 1 {
        outputs.extend(statistics(call, input, axis, epsilon)?);
    }
    Ok(outputs)
}

/// Mean, and 1 / √(variance + epsilon).
fn statistics(call: &mut Call<'_>, x: NodeId, axis: usize, epsilon: f32) -> Result<[NodeId; 2], Fault> {
    let axes: Vec<usize> = (axis..call.ty(x).rank()).collect();
    let over = Reduce { op: ReduceOp::Mean, axes, keep: true };
    let mean = call.emit(over.clone(), &[x])?;
    let centred = compose::binary(call, BinaryOp::Sub, x, mean)?;
    let square = compose::binary(call, BinaryOp::Mul, centred, centred)?;
    let variance = call.emit(over, &[square])?;
    let sum = compose::with_scalar(call, BinaryOp::Add, variance, f64::from(epsilon))?;
    let deviation = compose::unary(call, UnaryOp::Sqrt, sum)?;
    Ok([mean, compose::unary(call, UnaryOp::Reciprocal, deviation)?])
}

fn layer(call: &mut Call<'_>, input: NodeId, axis: usize, epsilon: f32) -> Result<NodeId, Fault> {
    let (scale, bias) = (call.input(1)?, call.optional(2));
    let ty = call.ty(input);
    let len: usize = ty.shape[axis..].iter().product();
    let rows: usize = ty.shape[..axis].iter().product();
    let fits = |value: NodeId| compose::is_fixed(call, value) && call.ty(value).elements() == len;
    if !fits(scale) || !bias.is_none_or(fits) {
        let normal = normalise(call, input, [rows, len], epsilon, None)?;
        return scale_and_shift(call, normal, scale, bias);
    }
    let scale = compose::reshape(call, scale, [len])?;
    let shift = match bias {
        Some(bias) => compose::reshape(call, bias, [len])?,
        None => call.emit_constant(Tensor::from_f32([len], &[])),
    };
    normalise(call, input, [rows, len], epsilon, Some([scale, shift]))
}

/// Over the spatial axes of each channel.
fn import_instance(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let groups = call.ty(call.input(0)?).shape.get(1).copied().unwrap_or(0);
    import_groups(call, groups)
}

fn import_group(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let groups = call.attributes.int("num_groups")?.and_then(|groups| usize::try_from(groups).ok());
    import_groups(call, groups.unwrap_or(0))
}

/// Over the elements of `groups` equal parts of each image's channels.
fn import_groups(call: &mut Call<'_>, groups: usize) -> Result<Vec<NodeId>, Fault> {
    let (input, scale, bias) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let ty = call.ty(input);
    let (batch, channels) = match ty.shape[..] {
        [batch, channels, _, ..] if groups > 0 && channels % groups == 0 => (batch, channels),
        _ => return Err(Fault::model(format!("{} of {ty} in {groups} groups", call.operator))),
    };
    let rows = batch * groups;
    let len = ty.elements() / rows.max(1);
    let epsilon = call.attributes.float_or("epsilon", 1e-5)?;
    let normal = normalise(call, input, [rows, len], epsilon, None)?;
    let scale = per_channel(call, scale, groups, &ty)?;
    let bias = per_channel(call, bias, groups, &ty)?;
    let result = scale_and_shift(call, normal, scale, Some(bias))?;
    debug_assert_eq!(call.ty(result).shape.get(1), Some(&channels));
    Ok(vec![result])
}

/// A parameter `[C]`, or `[groups]` as opset 18 has it, in the shape `[C, 1, ..]`.
fn per_channel(call: &mut Call<'_>, value: NodeId, groups: usize, input: &TensorType) -> Result<NodeId, Fault> {
    let ty = call.ty(value);
    let mut shape = vec![1; input.rank() - 1];
    shape[0] = input.shape[1];
    if ty.shape == [input.shape[1]] {
        return compose::reshape(call, value, shape);
    }
    expect::shape(&call.operator, "a parameter", &ty, &[groups])?;
    let width = input.shape[1] / groups;
    let column = compose::reshape(call, value, [groups, 1])?;
    let ones = call.emit_constant(Tensor::from_f32([1, width], &vec![1.0; width]));
    let wide = compose::binary(call, BinaryOp::Mul, column, ones)?;
    compose::reshape(call, wide, shape)
}

/// Normalises `rows` rows of `len` elements each, with scale and shift where given.
fn normalise(
    call: &mut Call<'_>,
    input: NodeId,
    [rows, len]: [usize; 2],
    epsilon: f32,
    parameters: Option<[NodeId; 2]>,
) -> Result<NodeId, Fault> {
    let shape = call.ty(input).shape;
    let flat =
        if shape.last() == Some(&len) { input } else { compose::reshape(call, input, [rows, len])? };
    let [scale, shift] = parameters.unwrap_or_else(|| {
        [1.0, 0.0].map(|value| call.emit_constant(Tensor::from_f32([len], &vec![value; len])))
    });
    let result = call.emit(LayerNorm { epsilon }, &[flat, scale, shift])?;
    compose::reshape(call, result, shape)
}

/// `x · scale + bias` for parameters that broadcast to `x`.
fn scale_and_shift(
    call: &mut Call<'_>,
    x: NodeId,
    scale: NodeId,
    bias: Option<NodeId>,
) -> Result<NodeId, Fault> {
    let mut result = compose::binary(call, BinaryOp::Mul, x, scale)?;
    if let Some(bias) = bias {
        result = compose::binary(call, BinaryOp::Add, result, bias)?;
    }
    if call.ty(result) == call.ty(x) {
        Ok(result)
    } else {
        let (x, scale) = (call.ty(x), call.ty(scale));
        Err(Fault::model(format!("scale and bias of {}, {scale}, do not fit {x}", call.operator)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Attribute;
    use crate::onnx::testing::Case;

    #[test]
    fn rows_are_normalised_one_by_one() {
        let input = Array::float([2, 2], vec![1.0, 3.0, -2.0, 2.0]);
        let [scale, shift] = [[1.0, 2.0], [0.0, 10.0]].map(|v| Array::float([2], v.to_vec()));
        let op = LayerNorm { epsilon: 0.0 };
        let ty = op.infer(&[input.ty.clone(), scale.ty.clone(), shift.ty.clone()]).unwrap();
        assert_eq!(op.eval(&[&input, &scale, &shift], &ty).floats(), [-1.0, 12.0, -1.0, 12.0]);
    }

    /// All values are ±1 before the scale and bias of two channels.
    fn check(case: Case, shape: &[usize], operator: &str, values: &[f64]) {
        let values = values.to_vec();
        let became = case.with("epsilon", Attribute::Float(0.0)).run().unwrap();
        assert!(became.text.contains(operator), "{}", became.text);
        assert_eq!(became.values, [Array::float(shape, values)]);
    }

    #[test]
    fn two_axes_are_one_row() {
        let case = |axis| {
            let x = Array::float([1, 2, 2], vec![0.0, 2.0, 2.0, 0.0]);
            let case = Case::new("LayerNormalization", 17).input(x).int("axis", axis);
            case.constant(Array::float([2, 2], vec![1.0, 2.0, 3.0, 4.0]))
        };
        check(case(1), &[1, 2, 2], "reshape", &[-1.0, 2.0, 3.0, -4.0]);
        check(case(-2), &[1, 2, 2], "reshape", &[-1.0, 2.0, 3.0, -4.0]);
    }

    #[test]
    fn instances_and_groups_are_rows_of_their_own() {
        let x = || Array::float([1, 2, 1, 2], vec![0.0, 2.0, 6.0, 4.0]);
        let [scale, bias] = [[1.0, 2.0], [0.0, 10.0]].map(|v| Array::float([2], v.to_vec()));
        let both = |case: Case| case.input(x()).constant(scale.clone()).constant(bias.clone());
        let instance = both(Case::new("InstanceNormalization", 7));
        check(instance, &[1, 2, 1, 2], "layer_norm", &[-1.0, 1.0, 12.0, 8.0]);
        let group = both(Case::new("GroupNormalization", 21)).int("num_groups", 2);
        check(group, &[1, 2, 1, 2], "layer_norm", &[-1.0, 1.0, 12.0, 8.0]);
    }
}
