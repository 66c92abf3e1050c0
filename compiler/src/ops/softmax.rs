//! e^(x − max) / Σ along an axis, or its logarithm.
//!
//! Up to opset 12 ONNX's `Softmax` takes all dimensions from `axis` on together; from opset 13 on `axis`
//! alone.

use super::shape::{self, Split};
use super::{Operator, compose, expect};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `Softmax` and `LogSoftmax`.
pub const ONNX: &[Spelling] =
    &[("Softmax", |call| import(call, false)), ("LogSoftmax", |call| import(call, true))];

/// e^(x − max) / Σ along an axis, or its logarithm. Operand: any shape that has the axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// The axis.
    pub axis: usize,
    /// The logarithm of the result.
    pub log: bool,
}

impl Operator for Softmax {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats("softmax", operands, 1..=1)?;
        let ty = &operands[0];
        if self.axis < ty.rank() && !ty.shape.contains(&0) {
            Ok(ty.clone())
        } else {
            Err(Fault::model(format!("softmax along axis {} of {ty}", self.axis)))
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let lanes = Split::at(&ty.shape, self.axis);
        let mut values = operands[0].floats().to_vec();
        for lane in 0..lanes.outer * lanes.inner {
            let (outer, inner) = lanes.outer_inner(lane);
            let at = |i: usize| lanes.position(outer, i, inner);
            let max = (0..lanes.len).map(|i| values[at(i)]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..lanes.len).map(|i| (values[at(i)] - max).exp()).sum();
            for i in 0..lanes.len {
                let shifted = values[at(i)] - max;
                values[at(i)] = if self.log { shifted - sum.ln() } else { shifted.exp() / sum };
            }
        }
        Array { ty: ty.clone(), data: Data::Float(values) }
    }

    fn describe(&self) -> String {
        format!("{} axis {}", if self.log { "log_softmax" } else { "softmax" }, self.axis)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let Split { outer, len, inner } = Split::at(&site.output.shape, self.axis);
        Ok(vec![Request {
            family: Family::Softmax,
            dtype: DType::F32,
            shape: Shape::new(outer, inner, len),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("outer", Arg::Usize(outer)),
                ("len", Arg::Usize(len)),
                ("inner", Arg::Usize(inner)),
                ("log", Arg::Bool(self.log)),
            ],
            rows: Rows::Whole,
            in_place: true,
        }])
    }
}

fn import(call: &mut Call<'_>, log: bool) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let together = call.opset < 13;
    let axis = call.attributes.int_or("axis", if together { 1 } else { -1 })?;
    let axis = shape::axis(axis, ty.rank())?;
    if !together || ty.shape[axis + 1..].iter().all(|&length| length == 1) {
        return Ok(vec![call.emit(Softmax { axis, log }, &[input])?]);
    }
    let Split { outer, len, inner } = Split::at(&ty.shape, axis);
    let rows = compose::reshape(call, input, [outer, len * inner])?;
    let result = call.emit(Softmax { axis: 1, log }, &[rows])?;
    Ok(vec![compose::reshape(call, result, ty.shape)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(axis: usize, log: bool, expected: [f64; 4]) {
        let ln3 = 3.0_f64.ln();
        let input = Array::float([2, 2], vec![0.0, ln3, 0.0, 0.0]);
        let op = Softmax { axis, log };
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        let value = op.eval(&[&input], &ty);
        let error = value.floats().iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(error < 1e-15, "{value:?}");
    }

    #[test]
    fn along_rows_and_columns() {
        check(1, false, [0.25, 0.75, 0.5, 0.5]);
        check(0, false, [0.5, 0.75, 0.5, 0.25]);
        check(1, true, [0.25, 0.75, 0.5, 0.5].map(f64::ln));
    }

    #[test]
    fn up_to_opset_12_all_dimensions_from_the_axis_on_go_together() {
        use crate::onnx::testing::Case;
        let value = |opset| {
            let case = Case::new("Softmax", opset).input(Array::float([1, 2, 2], vec![0.0; 4]));
            case.int("axis", 1).run().unwrap().values[0].floats()[0]
        };
        assert_eq!((value(12), value(13)), (0.25, 0.5));
    }

    #[test]
    fn an_axis_that_is_not_there_is_a_fault() {
        assert!(Softmax { axis: 2, log: false }.infer(&[TensorType::f32([2, 2])]).is_err());
        assert!(Softmax { axis: 1, log: false }.infer(&[TensorType::f32([2, 0])]).is_err());
    }
}
