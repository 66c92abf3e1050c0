//! `(x − zero_point) · scale`. Operands: input, scale (scalar or `[C]`), zero point of the input's type.

use super::cast::element;
use super::quantize::{self, channel_of, check_scales, scale_fields};
use super::{Operator, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `DequantizeLinear`.
pub const ONNX: &[Spelling] = &[("DequantizeLinear", import)];

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let dtype = call.ty(call.input(0)?).dtype;
    let (operands, axis) = quantize::operands(call, dtype)?;
    Ok(vec![call.emit(Dequantize { axis }, &operands)?])
}

/// `(x − zero_point) · scale`. Operands: input, scale (scalar or `[C]`), zero point of the input's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantize {
    /// The axis of a scale per channel.
    pub axis: usize,
}

impl Operator for Dequantize {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input, scale, zero_point] = shape::operands("dequantize", operands)?;
        check_scales("dequantize", input, scale, zero_point, self.axis)?;
        if zero_point.dtype != input.dtype {
            return Err(Fault::model(format!("dequantize of {input} with zero point {zero_point}")));
        }
        match input.dtype {
            DType::U8 | DType::I8 | DType::I32 => Ok(TensorType::f32(input.shape.clone())),
            DType::F32 | DType::I64 | DType::Bool => {
                Err(Fault::unsupported(format!("dequantize of {input}")))
            }
        }
    }

    /// In single precision, as ONNX's definition has it.
    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (scales, zeros) = (operands[1].floats(), operands[2].ints());
        let channel = channel_of(&ty.shape, scales.len(), self.axis);
        let value = |(i, &x): (usize, &i64)| {
            let c = channel(i);
            f64::from((x - zeros[c]) as f32 * scales[c] as f32)
        };
        Array::float(ty.shape.clone(), operands[0].ints().iter().enumerate().map(value).collect())
    }

    fn describe(&self) -> String {
        format!("dequantize axis={}", self.axis)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input, _, _] = shape::operands("dequantize", site.operands)?;
        let mut fields = scale_fields(site, self.axis)?;
        fields.push(("from", Arg::Path(element(input.dtype))));
        Ok(vec![Request {
            family: Family::Dequantize,
            dtype: DType::F32,
            shape: Shape::elements(site.output.elements()),
            fields,
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_the_outer_one_for_weights() {
        let input = Array::int(DType::I8, [2, 2], vec![-128, 127, 1, 2]);
        let scale = Array::float([2], vec![0.5, 2.0]);
        let zero = Array::int(DType::I8, [2], vec![0, 1]);
        let op = Dequantize { axis: 0 };
        let ty = op.infer(&[input.ty.clone(), scale.ty.clone(), zero.ty.clone()]).unwrap();
        let expect = Array::float([2, 2], vec![-64.0, 63.5, 0.0, 2.0]);
        assert_eq!(op.eval(&[&input, &scale, &zero], &ty), expect);
    }

    #[test]
    fn a_scale_per_channel_must_have_the_axis_length() {
        let types =
            [TensorType::new(DType::U8, [2, 3]), TensorType::f32([2]), TensorType::new(DType::U8, [2])];
        assert!(Dequantize { axis: 1 }.infer(&types).is_err());
        assert!(Dequantize { axis: 0 }.infer(&types).is_ok());
        assert!(Dequantize { axis: 7 }.infer(&types).is_err());
    }
}
