//! Conversion to another element type.

use super::{Operator, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `Cast` and `CastLike`.
pub const ONNX: &[Spelling] = &[("Cast", import), ("CastLike", import_like)];

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let code = call.attributes.int("to")?.ok_or_else(|| Fault::model("Cast without a type"))?;
    let to = call.element_type(code)?;
    let input = call.input(0)?;
    Ok(vec![emit(call, input, to)?])
}

fn import_like(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (input, like) = (call.input(0)?, call.input(1)?);
    let to = call.ty(like).dtype;
    Ok(vec![emit(call, input, to)?])
}

fn emit(call: &mut Call<'_>, input: NodeId, to: DType) -> Result<NodeId, Fault> {
    if call.ty(input).dtype == to { Ok(input) } else { call.emit(Cast { to }, &[input]) }
}

/// Conversion to another element type: floats truncate towards zero and saturate, integers wrap, `bool`
/// is `x != 0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// Type of the result.
    pub to: DType,
}

impl Operator for Cast {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("cast", operands)?;
        Ok(TensorType::new(self.to, input.shape.clone()))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        match (&operands[0].data, self.to) {
            (_, DType::F32) => Array::float(ty.shape.clone(), operands[0].to_floats()),
            (Data::Float(values), to) => {
                let values = values.iter().map(|&x| truncate(to, x)).collect();
                Array::int(to, ty.shape.clone(), values)
            }
            (Data::Int(values), to) => Array::int(to, ty.shape.clone(), values.clone()),
        }
    }

    fn describe(&self) -> String {
        format!("cast {}", self.to)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("cast", site.operands)?;
        let map = MapShape::flat(&site.output.shape);
        Ok(vec![Request {
            family: Family::Cast,
            dtype: input.dtype,
            shape: Shape { m: map.height * map.width, n: map.channels, ..Shape::elements(1) },
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), map)),
                ("output", Arg::Map(Operand::Output, map)),
                ("from", Arg::Path(element(input.dtype))),
                ("to", Arg::Path(element(self.to))),
            ],
            rows: Rows::SAME,
            in_place: false,
        }])
    }
}

fn truncate(to: DType, x: f64) -> i64 {
    match to {
        DType::I8 => i64::from(x as i8),
        DType::U8 => i64::from(x as u8),
        DType::I32 => i64::from(x as i32),
        DType::Bool => i64::from(x != 0.0),
        DType::I64 | DType::F32 => x as i64,
    }
}

/// The element type as the runtime's steps spell it.
pub(super) const fn element(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "Element::F32",
        DType::I8 => "Element::I8",
        DType::U8 => "Element::U8",
        DType::I32 => "Element::I32",
        DType::I64 => "Element::I64",
        DType::Bool => "Element::Bool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &Array, to: DType, expect: &[i64]) {
        let ty = TensorType::new(to, input.ty.shape.clone());
        assert_eq!(Cast { to }.eval(&[input], &ty).ints(), expect);
    }

    #[test]
    fn floats_truncate_towards_zero() {
        check(&Array::float([4], vec![1.9, -1.9, 0.5, -0.5]), DType::I32, &[1, -1, 0, 0]);
        check(&Array::float([3], vec![0.5, 0.0, -2.0]), DType::Bool, &[1, 0, 1]);
    }

    #[test]
    fn floats_saturate_and_integers_wrap() {
        check(&Array::float([2], vec![300.0, -300.0]), DType::I8, &[127, -128]);
        check(&Array::int(DType::I64, [2], vec![300, -1]), DType::U8, &[44, 255]);
    }
}
