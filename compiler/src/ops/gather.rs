//! Indices along an axis, known when compiling.

use super::shape::{self, MAX_TABLE, Split};
use super::{Operator, view};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{TensorType, dims};
use mobilec_targets::{Family, Shape};

/// `Gather`.
pub const ONNX: &[Spelling] = &[("Gather", import)];

/// Negative indices count from the end.
fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let indices = call.constant(1, "the list of indices")?;
    let indices = indices.ok_or_else(|| Fault::model("Gather without indices"))?;
    let axis = shape::axis(call.attributes.int_or("axis", 0)?, ty.rank())?;
    let length = ty.shape[axis];
    let index = |index: i64| {
        shape::axis(index, length)
            .map_err(|_| Fault::model(format!("index {index} is outside dimension {axis} of {ty}")))
    };
    let index_shape = indices.ty.shape.clone();
    let indices = indices.to_i64().into_iter().map(index).collect::<Result<_, _>>()?;
    Ok(vec![call.emit(Gather { axis, indices, index_shape }, &[input])?])
}

/// Indices along an axis, known when compiling.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The axis, which the result replaces by `index_shape`.
    pub axis: usize,
    /// The indices, row-major, each inside the axis.
    pub indices: Vec<usize>,
    /// The shape of the indices; empty for a single one.
    pub index_shape: Vec<usize>,
}

impl Gather {
    /// Indices in a row, so that the axis stays.
    pub fn along(axis: usize, indices: Vec<usize>) -> Self {
        Self { axis, index_shape: vec![indices.len()], indices }
    }
}

/// The value with some indices of an axis; the value itself where they are all in order.
///
/// # Errors
///
/// An index outside the axis, or too many.
pub(super) fn emit(
    call: &mut Call<'_>,
    value: NodeId,
    axis: usize,
    indices: Vec<usize>,
) -> Result<NodeId, Fault> {
    if indices.iter().copied().eq(0..call.ty(value).shape[axis]) {
        return Ok(value);
    }
    call.emit(Gather::along(axis, indices), &[value])
}

impl Operator for Gather {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("gather", operands)?;
        let count = TensorType::checked(input.dtype, self.index_shape.clone())?.elements();
        let Some(&length) = input.shape.get(self.axis) else {
            return Err(Fault::model(format!("gather along axis {} of {input}", self.axis)));
        };
        if let Some(index) = self.indices.iter().find(|&&index| index >= length) {
            return Err(Fault::model(format!("index {index} is outside dimension {} of {input}", self.axis)));
        }
        if count != self.indices.len() || count > MAX_TABLE {
            let shape = dims(&self.index_shape);
            return Err(Fault::unsupported(format!("{} indices [{shape}]", self.indices.len())));
        }
        let mut shape = input.shape.clone();
        shape.splice(self.axis..=self.axis, self.index_shape.iter().copied());
        Ok(TensorType::new(input.dtype, shape))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let split = Split::at(&operands[0].ty.shape, self.axis);
        let count = self.indices.len().max(1);
        operands[0].gather(ty.clone(), |flat| {
            let (row, inner) = split.outer_inner(flat);
            split.position(row / count, self.indices[row % count], inner)
        })
    }

    /// `gather axis=1 [0,0,1,1,…,111]`
    fn describe(&self) -> String {
        let list = match self.indices[..] {
            [a, b, c, d, .., z] if self.indices.len() > 8 => format!("{},…,{z}", dims(&[a, b, c, d])),
            _ => dims(&self.indices),
        };
        format!("gather axis={} [{list}]", self.axis)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("gather", site.operands)?;
        let split = Split::at(&input.shape, self.axis);
        let indices = self.indices.iter().flat_map(|&i| (i as u32).to_le_bytes()).collect();
        Ok(vec![Request {
            family: Family::Gather,
            dtype: view::moved(input.dtype),
            shape: Shape::elements(site.output.elements()),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("outer", Arg::Usize(split.outer)),
                ("len", Arg::Usize(split.len)),
                ("count", Arg::Usize(self.indices.len())),
                ("inner", Arg::Usize(split.inner)),
                ("indices", Arg::Weights(Packed::Raw(indices))),
            ],
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    fn check(op: &Gather, expect: &Array) {
        let input = Array::float([2, 3], (0..6).map(f64::from).collect());
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(op.eval(&[&input], &ty), *expect);
    }

    #[test]
    fn a_single_index_drops_the_axis() {
        let op = Gather { axis: 1, indices: vec![2], index_shape: vec![] };
        check(&op, &Array::float([2], vec![2.0, 5.0]));
    }

    #[test]
    fn the_indices_shape_replaces_the_axis() {
        let op = Gather { axis: 0, indices: vec![1, 0], index_shape: vec![2, 1] };
        check(&op, &Array::float([2, 1, 3], vec![3.0, 4.0, 5.0, 0.0, 1.0, 2.0]));
        check(&Gather::along(1, vec![0, 0]), &Array::float([2, 2], vec![0.0, 0.0, 3.0, 3.0]));
        check(&Gather::along(1, vec![]), &Array::float([2, 0], vec![]));
    }

    #[test]
    fn indices_outside_are_refused() {
        assert!(Gather::along(0, vec![2]).infer(&[TensorType::f32([2, 3])]).is_err());
        assert!(Gather::along(2, vec![0]).infer(&[TensorType::f32([2, 3])]).is_err());
    }

    #[test]
    fn negative_indices_count_from_the_end() {
        let x = Array::float([3], vec![1.0, 2.0, 3.0]);
        let last = Case::new("Gather", 13).input(x.clone()).list(&[-1, 0]).run().unwrap();
        assert_eq!(last.values, [Array::float([2], vec![3.0, 1.0])]);
        let outside = Case::new("Gather", 13).input(x).list(&[-4]).run().map(|_| ()).unwrap_err();
        assert_eq!(outside.message, "index -4 is outside dimension 0 of f32[3]");
    }
}
