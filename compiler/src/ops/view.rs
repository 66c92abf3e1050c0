//! Strided views of row-major tensors: what transposes, slices, expansions and broadcasting have in
//! common, for the reference and for the kernels' strides.

use crate::error::Fault;
use crate::plan::request::{Arg, Operand, Request, Rows};
use crate::tensor::{DType, TensorType, dims};
use mobilec_targets::{Family, Shape};

/// Dimensions that a kernel walks over.
pub const MAX_RANK: usize = 6;

/// Where the elements of a tensor lie inside a larger one. Strides and offset are in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Position of the element at index 0.
    pub offset: usize,
    /// From one index to the next, along each dimension of the view; may be 0 or negative.
    pub strides: Vec<isize>,
}

impl View {
    /// A whole row-major tensor.
    pub fn whole(shape: &[usize]) -> Self {
        let mut stride = 1;
        let mut strides: Vec<isize> = Vec::with_capacity(shape.len());
        for &d in shape.iter().rev() {
            strides.push(stride);
            stride *= d as isize;
        }
        strides.reverse();
        Self { offset: 0, strides }
    }

    /// A whole row-major tensor, broadcast to a shape that it broadcasts to.
    pub fn broadcast(shape: &[usize], to: &[usize]) -> Self {
        let whole = Self::whole(shape);
        let added = to.len() - shape.len();
        let stride = |i: usize| match i.checked_sub(added) {
            Some(j) if shape[j] == to[i] => whole.strides[j],
            Some(_) | None => 0,
        };
        Self { offset: 0, strides: (0..to.len()).map(stride).collect() }
    }

    /// The position of the element with a flat row-major index into a view of this shape.
    pub fn index(&self, shape: &[usize]) -> impl Fn(usize) -> usize + use<> {
        let offset = self.offset as isize;
        let merged = merge(shape, [&self.strides]);
        move |flat| {
            let (mut rest, mut at) = (flat, offset);
            for &(len, [stride]) in merged.iter().rev() {
                at += (rest % len) as isize * stride;
                rest /= len;
            }
            at as usize
        }
    }
}

/// Dimensions with the strides of `N` views, outermost first: those of length 1 are dropped, and
/// neighbours that all views walk over without a gap become one.
pub fn merge<const N: usize>(shape: &[usize], strides: [&[isize]; N]) -> Vec<(usize, [isize; N])> {
    let mut merged: Vec<(usize, [isize; N])> = Vec::new();
    for (i, &len) in shape.iter().enumerate().filter(|&(_, &len)| len != 1) {
        let step: [isize; N] = std::array::from_fn(|view| strides[view][i]);
        match merged.last_mut() {
            Some((outer, last)) if *last == step.map(|s| s * len as isize) => {
                *outer *= len;
                *last = step;
            }
            Some(_) | None => merged.push((len, step)),
        }
    }
    merged
}

/// The fields of a kernel that walks over a shape: the shape, then the strides of each view.
///
/// # Errors
///
/// More than [`MAX_RANK`] dimensions that do not merge.
pub fn walk<const N: usize>(shape: &[usize], views: [&View; N]) -> Result<(Arg, [Arg; N]), Fault> {
    let merged = merge(shape, views.map(|view| view.strides.as_slice()));
    let Some(missing) = MAX_RANK.checked_sub(merged.len()) else {
        return Err(Fault::unsupported(format!(
            "[{}] has more than {MAX_RANK} dimensions that must be walked over one by one",
            dims(shape)
        )));
    };
    let mut lengths = vec![1; missing];
    lengths.extend(merged.iter().map(|(len, _)| *len));
    let strides = std::array::from_fn(|view| {
        let mut strides = vec![0; missing];
        strides.extend(merged.iter().map(|(_, strides)| strides[view]));
        Arg::Isizes(strides)
    });
    Ok((Arg::Usizes(lengths), strides))
}

/// A copy of `shape` from a view of an operand to a view of the result.
///
/// # Errors
///
/// More than [`MAX_RANK`] dimensions that do not merge.
pub fn copy(
    dtype: DType,
    shape: &[usize],
    operand: usize,
    input: &View,
    output: &View,
) -> Result<Request, Fault> {
    let (lengths, [input_strides, output_strides]) = walk(shape, [input, output])?;
    let bytes = dtype.bytes();
    Ok(Request {
        family: Family::Copy,
        dtype: moved(dtype),
        shape: Shape::elements(shape.iter().product()),
        fields: vec![
            ("input", Arg::Place(Operand::Input(operand), input.offset * bytes)),
            ("output", Arg::Place(Operand::Output, output.offset * bytes)),
            ("shape", lengths),
            ("input_strides", input_strides),
            ("output_strides", output_strides),
        ],
        rows: Rows::Whole,
        in_place: false,
    })
}

/// The element type that stands for all of its size in kernels that only move elements.
pub fn moved(dtype: DType) -> DType {
    match dtype {
        DType::I8 | DType::U8 | DType::Bool => DType::U8,
        DType::F32 | DType::I32 => DType::F32,
        DType::I64 => DType::I64,
    }
}

/// Positions in `a` and `b` of each element of their broadcast, in row-major order.
pub fn pairs(a: &TensorType, b: &TensorType, shape: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let a = View::broadcast(&a.shape, shape).index(shape);
    let b = View::broadcast(&b.shape, shape).index(shape);
    (0..shape.iter().product()).map(move |i| (a(i), b(i)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_without_a_gap_merge() {
        let whole = View::whole(&[2, 1, 3, 4]);
        assert_eq!(merge(&[2, 1, 3, 4], [&whole.strides]), vec![(24, [1])]);
        let channel = View::broadcast(&[4], &[2, 1, 3, 4]);
        assert_eq!(merge(&[2, 1, 3, 4], [&whole.strides, &channel.strides]), vec![(6, [4, 0]), (4, [1, 1])]);
    }

    #[test]
    fn index_walks_a_transposed_view() {
        let view = View { offset: 0, strides: vec![1, 3] };
        let index = view.index(&[3, 2]);
        assert_eq!((0..6).map(index).collect::<Vec<_>>(), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn seven_dimensions_are_refused_only_where_they_do_not_merge() {
        let shape = [2; 7];
        let whole = View::whole(&shape);
        assert!(walk(&shape, [&whole]).is_ok());
        let gaps = View { offset: 0, strides: whole.strides.iter().rev().copied().collect() };
        assert!(walk(&shape, [&gaps]).is_err());
    }
}
