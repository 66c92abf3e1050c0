//! `condition ? a : b` with ONNX broadcasting.

use super::view::{self, View};
use super::{Operator, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `Where`.
pub const ONNX: &[Spelling] = &[("Where", import)];

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let operands = [call.input(0)?, call.input(1)?, call.input(2)?];
    Ok(vec![call.emit(Select {}, &operands)?])
}

/// `condition ? a : b` with ONNX broadcasting.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {}

impl Operator for Select {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [condition, a, b] = shape::operands("select", operands)?;
        if condition.dtype != DType::Bool || a.dtype != b.dtype {
            return Err(Fault::model(format!("select of {condition}, {a} and {b}: types do not fit")));
        }
        let both = shape::broadcast(&a.shape, &b.shape)?;
        Ok(TensorType::new(a.dtype, shape::broadcast(&condition.shape, &both)?))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let [condition, a, b] = [operands[0], operands[1], operands[2]];
        let [c, i, j] = [condition, a, b].map(|x| View::broadcast(&x.ty.shape, &ty.shape).index(&ty.shape));
        let first: Vec<bool> = (0..ty.elements()).map(|at| condition.ints()[c(at)] != 0).collect();
        let from = |at: usize| if first[at] { (a, i(at)) } else { (b, j(at)) };
        let data = if ty.dtype.is_float() {
            Data::Float((0..first.len()).map(from).map(|(x, at)| x.floats()[at]).collect())
        } else {
            Data::Int((0..first.len()).map(from).map(|(x, at)| x.ints()[at]).collect())
        };
        Array { ty: ty.clone(), data }
    }

    fn describe(&self) -> String {
        "select".into()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let to = &site.output.shape;
        let operands: &[TensorType; 3] = shape::operands("select", site.operands)?;
        let [c, a, b] = operands.each_ref().map(|ty| View::broadcast(&ty.shape, to));
        let (lengths, [condition_strides, a_strides, b_strides]) = view::walk(to, [&c, &a, &b])?;
        Ok(vec![Request {
            family: Family::Select,
            dtype: view::moved(site.output.dtype),
            shape: Shape::elements(site.output.elements()),
            fields: vec![
                ("condition", Arg::Place(Operand::Input(0), 0)),
                ("a", Arg::Place(Operand::Input(1), 0)),
                ("b", Arg::Place(Operand::Input(2), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("shape", lengths),
                ("condition_strides", condition_strides),
                ("a_strides", a_strides),
                ("b_strides", b_strides),
            ],
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_operands_stretch() {
        let condition = Array::int(DType::Bool, [2, 1], vec![1, 0]);
        let a = Array::float([3], vec![1.0, 2.0, 3.0]);
        let b = Array::float([], vec![9.0]);
        let types = [condition.ty.clone(), a.ty.clone(), b.ty.clone()];
        let ty = Select {}.infer(&types).unwrap();
        let expect = Array::float([2, 3], vec![1.0, 2.0, 3.0, 9.0, 9.0, 9.0]);
        assert_eq!(Select {}.eval(&[&condition, &a, &b], &ty), expect);
    }

    #[test]
    fn the_condition_must_be_bool() {
        assert!(Select {}.infer(&[TensorType::f32([]), TensorType::f32([]), TensorType::f32([])]).is_err());
    }
}
