//! Index of the largest or smallest element along an axis, as `i64`.

use super::Operator;
use super::shape::{self, Split};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `ArgMax` and `ArgMin`.
pub const ONNX: &[Spelling] =
    &[("ArgMax", |call| import(call, false)), ("ArgMin", |call| import(call, true))];

fn import(call: &mut Call<'_>, min: bool) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let axis = shape::axis(call.attributes.int_or("axis", 0)?, call.ty(input).rank())?;
    let last = call.attributes.int_or("select_last_index", 0)? != 0;
    let keep = call.attributes.int_or("keepdims", 1)? != 0;
    Ok(vec![call.emit(ArgReduce { axis, min, last, keep }, &[input])?])
}

/// Index of the largest or smallest element along an axis, as `i64`.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgReduce {
    /// The axis.
    pub axis: usize,
    /// The smallest instead of the largest.
    pub min: bool,
    /// Of equal ones the last instead of the first.
    pub last: bool,
    /// Whether the axis stays with length 1.
    pub keep: bool,
}

impl ArgReduce {
    /// The index of the first element, or the last where `last`, that none is ahead of.
    fn pick<T: PartialOrd + Copy>(&self, values: impl Iterator<Item = T>) -> usize {
        let ahead = |a: T, b: T| if self.min { a < b } else { a > b };
        let mut best: Option<(usize, T)> = None;
        for (i, value) in values.enumerate() {
            if best.is_none_or(|(_, top)| ahead(value, top) || (self.last && value == top)) {
                best = Some((i, value));
            }
        }
        best.map_or(0, |(i, _)| i)
    }
}

impl Operator for ArgReduce {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("argmax", operands)?;
        if input.shape.get(self.axis).is_none_or(|&length| length == 0) {
            return Err(Fault::model(format!("{} of {input}", self.describe())));
        }
        let mut shape = input.shape.clone();
        if self.keep {
            shape[self.axis] = 1;
        } else {
            shape.remove(self.axis);
        }
        Ok(TensorType::new(DType::I64, shape))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let split = Split::at(&operands[0].ty.shape, self.axis);
        let row = |flat| {
            let (outer, inner) = split.outer_inner(flat);
            (0..split.len).map(move |l| split.position(outer, l, inner))
        };
        let rows = (0..ty.elements()).map(row);
        let indices: Vec<usize> = match &operands[0].data {
            Data::Float(values) => rows.map(|row| self.pick(row.map(|at| values[at]))).collect(),
            Data::Int(values) => rows.map(|row| self.pick(row.map(|at| values[at]))).collect(),
        };
        Array::int(DType::I64, ty.shape.clone(), indices.into_iter().map(|i| i as i64).collect())
    }

    fn describe(&self) -> String {
        let name = if self.min { "argmin" } else { "argmax" };
        let last = if self.last { " last" } else { "" };
        let keep = if self.keep { " keep" } else { "" };
        format!("{name} axis={}{last}{keep}", self.axis)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("argmax", site.operands)?;
        let split = Split::at(&input.shape, self.axis);
        Ok(vec![Request {
            family: Family::ArgReduce,
            dtype: input.dtype,
            shape: Shape::new(split.outer, split.inner, split.len),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("outer", Arg::Usize(split.outer)),
                ("len", Arg::Usize(split.len)),
                ("inner", Arg::Usize(split.inner)),
                ("min", Arg::Bool(self.min)),
                ("last", Arg::Bool(self.last)),
            ],
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(min: bool, last: bool, expect: &[i64]) {
        let input = Array::float([2, 3], vec![1.0, 3.0, 3.0, 0.0, 0.0, 5.0]);
        let op = ArgReduce { axis: 1, min, last, keep: false };
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(op.eval(&[&input], &ty).ints(), expect);
    }

    #[test]
    fn of_equal_elements_the_first_or_the_last() {
        check(false, false, &[1, 2]);
        check(false, true, &[2, 2]);
        check(true, false, &[0, 0]);
        check(true, true, &[0, 1]);
    }

    #[test]
    fn an_empty_axis_has_no_largest_element() {
        let op = ArgReduce { axis: 0, min: false, last: false, keep: true };
        assert!(op.infer(&[TensorType::f32([0, 3])]).is_err());
        assert!(op.infer(&[TensorType::f32([])]).is_err());
    }
}
