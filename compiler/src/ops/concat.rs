//! Tensors one behind the other along an axis.

use super::view::{self, View};
use super::{Operator, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Request, Site};
use crate::reference::{Array, Data};
use crate::tensor::TensorType;

/// `Concat`.
pub const ONNX: &[Spelling] = &[("Concat", import)];

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let operands = (0..call.arity()).map(|i| call.input(i)).collect::<Result<Vec<_>, _>>()?;
    let rank = call.ty(call.input(0)?).rank();
    let axis = call.attributes.int("axis")?.ok_or_else(|| Fault::model("Concat without an axis"))?;
    let axis = shape::axis(axis, rank)?;
    match operands[..] {
        [only] => Ok(vec![only]),
        _ => Ok(vec![call.emit(Concat { axis }, &operands)?]),
    }
}

/// Tensors one behind the other along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operator for Concat {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [first, others @ ..] = operands else { return Err(Fault::model("a concat of nothing")) };
        let mut ty = first.clone();
        if self.axis >= ty.rank() {
            return Err(Fault::model(format!("concat along axis {} of {first}", self.axis)));
        }
        for other in others {
            let fits = |i: usize| i == self.axis || other.shape[i] == ty.shape[i];
            if other.dtype != ty.dtype || other.rank() != ty.rank() || !(0..ty.rank()).all(fits) {
                let message = format!("concat of {first} and {other} along axis {}", self.axis);
                return Err(Fault::model(message));
            }
            ty.shape[self.axis] = ty.shape[self.axis].saturating_add(other.shape[self.axis]);
        }
        Ok(ty)
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let rows: usize = ty.shape[..self.axis].iter().product();
        let data = if ty.dtype.is_float() {
            Data::Float(interleave(rows, &operands.iter().map(|x| x.floats()).collect::<Vec<_>>()))
        } else {
            Data::Int(interleave(rows, &operands.iter().map(|x| x.ints()).collect::<Vec<_>>()))
        };
        Array { ty: ty.clone(), data }
    }

    fn describe(&self) -> String {
        format!("concat axis={}", self.axis)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let whole = View::whole(&site.output.shape);
        let step: usize = site.output.shape[self.axis + 1..].iter().product();
        let mut at = 0;
        let mut requests = Vec::new();
        for (i, operand) in site.operands.iter().enumerate().filter(|(_, ty)| ty.elements() > 0) {
            let output = View { offset: at * step, strides: whole.strides.clone() };
            let input = View::whole(&operand.shape);
            requests.push(view::copy(operand.dtype, &operand.shape, i, &input, &output)?);
            at += operand.shape[self.axis];
        }
        Ok(requests)
    }
}

/// One of `rows` equal parts of each slice after the other.
fn interleave<T: Copy>(rows: usize, slices: &[&[T]]) -> Vec<T> {
    let part = |row: usize| {
        slices.iter().flat_map(move |slice| {
            let len = slice.len() / rows;
            slice[row * len..(row + 1) * len].iter().copied()
        })
    };
    (0..rows).flat_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;
    use crate::plan::request::{Arg, Operand};

    #[test]
    fn rows_of_operands_alternate_along_the_inner_axis() {
        let a = Array::float([2, 1], vec![1.0, 2.0]);
        let b = Array::float([2, 2], vec![3.0, 4.0, 5.0, 6.0]);
        let op = Concat { axis: 1 };
        let ty = op.infer(&[a.ty.clone(), b.ty.clone()]).unwrap();
        assert_eq!(op.eval(&[&a, &b], &ty), Array::float([2, 3], vec![1.0, 3.0, 4.0, 2.0, 5.0, 6.0]));
    }

    #[test]
    fn the_second_copy_starts_behind_the_first() {
        let operands = [TensorType::f32([2, 3, 4]), TensorType::f32([2, 5, 4])];
        let output = TensorType::f32([2, 8, 4]);
        let site = Site { operands: &operands, constants: &[None, None], output: &output };
        let requests = Concat { axis: 1 }.lower(&site).unwrap();
        assert_eq!(requests[1].fields[1], ("output", Arg::Place(Operand::Output, 3 * 4 * 4)));
        assert_eq!(requests[1].fields[2], ("shape", Arg::Usizes(vec![1, 1, 1, 1, 2, 20])));
        assert_eq!(requests[1].fields[4], ("output_strides", Arg::Isizes(vec![0, 0, 0, 0, 32, 1])));
    }

    #[test]
    fn other_dimensions_must_agree() {
        let op = Concat { axis: 0 };
        assert!(op.infer(&[TensorType::f32([2, 3]), TensorType::f32([2, 4])]).is_err());
        assert!(op.infer(&[TensorType::f32([2, 3]), TensorType::f32([2])]).is_err());
        assert!(op.infer(&[TensorType::f32([0, 3]), TensorType::f32([2, 3])]).is_ok());
    }

    #[test]
    fn the_axis_may_count_from_the_end() {
        let [a, b] = [1.0, 2.0].map(|v| Array::float([1, 1], vec![v]));
        let became = Case::new("Concat", 13).int("axis", -1).input(a).constant(b).run().unwrap();
        assert_eq!(became.values, [Array::float([1, 2], vec![1.0, 2.0])]);
    }
}
