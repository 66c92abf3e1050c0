//! Steps that move elements, or make them of neighbours along an axis.

use super::Place;

/// A copy between two strided views: transpose, slice, expand, one operand of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The element at index 0.
    pub input: Place,
    /// The element at index 0.
    pub output: Place,
    /// Elements along each dimension, 1 in front.
    pub shape: [usize; 6],
    /// Elements of the input from one index to the next; negative or 0 where needed.
    pub input_strides: [isize; 6],
    /// Elements of the output likewise.
    pub output_strides: [isize; 6],
}

/// One value everywhere: the border of a pad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Where to.
    pub output: Place,
    /// Elements.
    pub len: usize,
    /// Offset of one element in the weights.
    pub value: usize,
}

/// `output[o, j, i] = input[o, indices[j], i]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// `[outer, len, inner]`
    pub input: Place,
    /// `[outer, count, inner]`
    pub output: Place,
    /// Product of the dimensions before the axis.
    pub outer: usize,
    /// Length of the axis.
    pub len: usize,
    /// Indices.
    pub count: usize,
    /// Product of the dimensions behind the axis.
    pub inner: usize,
    /// Offset of `count` indices, `u32`, each below `len`.
    pub indices: usize,
}

/// Linear interpolation along one axis:
/// `output[o, j, i] = (1 − f[j]) · input[o, lo[j], i] + f[j] · input[o, hi[j], i]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpolate {
    /// `[outer, len, inner]`
    pub input: Place,
    /// `[outer, count, inner]`
    pub output: Place,
    /// Product of the dimensions before the axis.
    pub outer: usize,
    /// Length of the axis.
    pub len: usize,
    /// Positions.
    pub count: usize,
    /// Product of the dimensions behind the axis.
    pub inner: usize,
    /// Offset of `count` × `{ lo: u32, hi: u32, f: f32 }`.
    pub table: usize,
}
