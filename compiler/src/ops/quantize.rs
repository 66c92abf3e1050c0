//! `saturate(round_half_even(x / scale) + zero_point)`. Operands: input, scale (scalar or `[C]`), zero point of the result's type.
//!
//! ONNX's operators on codes are read here too, as what they mean between the two directions.

mod integer;
mod operators;

use super::Operator;
use super::cast::element;
use super::dequantize::Dequantize;
use super::shape::{self, Split};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Family, Shape};

/// `QuantizeLinear`, and every operator on codes.
pub const ONNX: &[Spelling] = &[
    ("QuantizeLinear", import),
    ("DynamicQuantizeLinear", integer::dynamic),
    ("ConvInteger", integer::conv),
    ("MatMulInteger", integer::matmul),
    ("QLinearConv", operators::conv),
    ("QLinearMatMul", operators::matmul),
    ("com.microsoft::QGemm", operators::gemm),
    ("com.microsoft::QLinearAdd", |call| operators::binary(call, "Add")),
    ("com.microsoft::QLinearMul", |call| operators::binary(call, "Mul")),
    ("com.microsoft::QLinearAveragePool", |call| operators::pool(call, "AveragePool")),
    ("com.microsoft::QLinearGlobalAveragePool", |call| operators::pool(call, "GlobalAveragePool")),
    ("com.microsoft::QLinearConcat", operators::concat),
    ("com.microsoft::QLinearSigmoid", |call| operators::unary(call, "Sigmoid", 13)),
    ("com.microsoft::QLinearLeakyRelu", |call| operators::unary(call, "LeakyRelu", 13)),
    ("com.microsoft::QLinearSoftmax", operators::softmax),
];

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let to = match call.attributes.int_or("output_dtype", 0)? {
        0 => DType::U8,
        code => call.element_type(code)?,
    };
    let (operands, axis) = operands(call, to)?;
    Ok(vec![call.emit(Quantize { axis }, &operands)?])
}

/// Input, scale and zero point, which is 0 of a type where there is none; and the axis, 0 where the
/// input has no axis of that number and one scale. Shared with the way back.
pub(super) fn operands(call: &mut Call<'_>, missing: DType) -> Result<([NodeId; 3], usize), Fault> {
    let input = call.input(0)?;
    let operands = operands_at(call, input, [1, 2], missing)?;
    let axis = match call.ty(operands[1]).elements() {
        1 => 0,
        _ => shape::axis(call.attributes.int_or("axis", 1)?, call.ty(input).rank())?,
    };
    Ok((operands, axis))
}

/// A value with the scale and the zero point at these positions of the call.
fn operands_at(
    call: &mut Call<'_>,
    value: NodeId,
    [scale_at, zero_at]: [usize; 2],
    missing: DType,
) -> Result<[NodeId; 3], Fault> {
    let scale = call.input(scale_at)?;
    if call.attributes.int_or("block_size", 0)? != 0 || call.ty(scale).rank() > 1 {
        let message = format!("scales {}: quantisation in blocks", call.ty(scale));
        return Err(Fault::unsupported(message).help("quantise per tensor or per channel"));
    }
    call.constant(scale_at, "the scale")?;
    call.constant(zero_at, "the zero point")?;
    let zero_point = call.optional(zero_at).unwrap_or_else(|| {
        let zeros = Array::zeros(&TensorType::new(missing, call.ty(scale).shape));
        call.emit_constant(Tensor::from(&zeros))
    });
    Ok([value, scale, zero_point])
}

/// `saturate(round_half_even(x / scale) + zero_point)`. Operands: input, scale (scalar or `[C]`), zero point of the result's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize {
    /// The axis of a scale per channel.
    pub axis: usize,
}

impl Operator for Quantize {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input, scale, zero_point] = shape::operands("quantize", operands)?;
        check_scales("quantize", input, scale, zero_point, self.axis)?;
        let to = zero_point.dtype;
        if input.dtype != DType::F32 || !matches!(to, DType::U8 | DType::I8) {
            return Err(Fault::unsupported(format!("quantize of {input} to {to}")));
        }
        Ok(TensorType::new(to, input.shape.clone()))
    }

    /// In single precision, as ONNX's definition has it.
    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (scales, zeros) = (operands[1].floats(), operands[2].ints());
        let channel = channel_of(&ty.shape, scales.len(), self.axis);
        let (low, high) = if ty.dtype == DType::I8 { (-128.0, 127.0) } else { (0.0, 255.0) };
        let value = |(i, &x): (usize, &f64)| {
            let c = channel(i);
            let steps = (x as f32 / scales[c] as f32).round_ties_even();
            (f64::from(steps) + zeros[c] as f64).clamp(low, high) as i64
        };
        let values = operands[0].floats().iter().enumerate().map(value).collect();
        Array::int(ty.dtype, ty.shape.clone(), values)
    }

    fn describe(&self) -> String {
        format!("quantize axis={}", self.axis)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let mut fields = scale_fields(site, self.axis)?;
        fields.push(("to", Arg::Path(element(site.output.dtype))));
        Ok(vec![Request {
            family: Family::Quantize,
            dtype: DType::F32,
            shape: Shape::elements(site.output.elements()),
            fields,
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

/// One scale and zero point for all, or one for each position of the axis.
pub(super) fn check_scales(
    what: &str,
    input: &TensorType,
    scale: &TensorType,
    zero_point: &TensorType,
    axis: usize,
) -> Result<(), Fault> {
    let count = scale.elements();
    let fits = count == 1 || input.shape.get(axis) == Some(&count);
    if scale.dtype == DType::F32 && scale.rank() <= 1 && fits && zero_point.elements() == count {
        Ok(())
    } else {
        let message = format!("{what} of {input} along axis {axis} by {scale} and {zero_point}");
        Err(Fault::model(message))
    }
}

/// Which scale a flat position has.
pub(super) fn channel_of(shape: &[usize], scales: usize, axis: usize) -> impl Fn(usize) -> usize + use<> {
    let inner = if scales == 1 { 1 } else { shape[axis + 1..].iter().product::<usize>() };
    move |flat| flat / inner % scales
}

/// All fields of both directions but the element type: scales and zero points become constants.
pub(super) fn scale_fields(site: &Site<'_>, axis: usize) -> Result<Vec<(&'static str, Arg)>, Fault> {
    let scales = site.constant(1, "the scale")?.to_f32();
    let zeros = site.constant(2, "the zero point")?.to_i64();
    let shape = &site.output.shape;
    let split = match scales.len() {
        1 => Split { outer: 1, len: 1, inner: site.output.elements() },
        _ => Split::at(shape, axis),
    };
    let scales = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
    let zeros = zeros.iter().flat_map(|&z| (z as i32).to_le_bytes()).collect();
    Ok(vec![
        ("input", Arg::Place(Operand::Input(0), 0)),
        ("output", Arg::Place(Operand::Output, 0)),
        ("outer", Arg::Usize(split.outer)),
        ("channels", Arg::Usize(split.len)),
        ("inner", Arg::Usize(split.inner)),
        ("scale", Arg::Weights(Packed::Raw(scales))),
        ("zero_point", Arg::Weights(Packed::Raw(zeros))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    fn check(x: &[f64], scale: &[f64], zero_point: &Array, expect: &[i64]) {
        let input = Array::float([1, x.len()], x.to_vec());
        let scale = Array::float([scale.len()], scale.to_vec());
        let op = Quantize { axis: 1 };
        let ty = op.infer(&[input.ty.clone(), scale.ty.clone(), zero_point.ty.clone()]).unwrap();
        assert_eq!(op.eval(&[&input, &scale, zero_point], &ty).ints(), expect);
    }

    #[test]
    fn halves_round_to_even_before_the_zero_point() {
        let zero = Array::int(DType::U8, [1], vec![1]);
        check(&[1.0, 3.0, 5.0, -1.0, -9.0, 1e9], &[2.0], &zero, &[1, 3, 3, 1, 0, 255]);
    }

    #[test]
    fn each_channel_has_its_scale() {
        let zero = Array::int(DType::I8, [3], vec![0, 1, -1]);
        check(&[1.0, 1.0, 1000.0], &[1.0, 0.5, 0.1], &zero, &[1, 3, 127]);
    }

    #[test]
    fn the_quotient_is_rounded_to_single_precision() {
        // 0.35 / 0.1 of the nearest single-precision numbers is 3.49999989, which is 3.5 in single
        // precision: a tie that goes to 4.
        let scale = f64::from(0.1_f32);
        check(&[f64::from(0.35_f32)], &[scale], &Array::int(DType::U8, [1], vec![0]), &[4]);
    }

    #[test]
    fn a_missing_zero_point_is_zero_of_u8() {
        let scale = Array::float([], vec![0.5]);
        let case = Case::new("QuantizeLinear", 13).input(Array::float([2], vec![1.0, -1.0])).constant(scale);
        assert_eq!(case.run().unwrap().values, [Array::int(DType::U8, [2], vec![2, 0])]);
    }

    #[test]
    fn blocks_are_refused() {
        let scale = Array::float([1, 1], vec![0.5]);
        let case = Case::new("QuantizeLinear", 21).input(Array::float([1, 2], vec![1.0, -1.0]));
        assert_eq!(
            case.constant(scale).run().map(|_| ()).unwrap_err().blame,
            crate::error::Blame::Unsupported
        );
    }
}
