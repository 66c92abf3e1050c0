//! Steps along an axis.

use super::Place;

/// A reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ReduceOp {
    Sum,
    Mean,
    Max,
    Min,
    Product,
}

/// `output[o, i] = op over l of input[o, l, i]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// `[outer, len, inner]`
    pub input: Place,
    /// `[outer, inner]`
    pub output: Place,
    /// Product of the dimensions before the reduced ones.
    pub outer: usize,
    /// Product of the reduced dimensions, which are neighbours.
    pub len: usize,
    /// Product of the dimensions behind the reduced ones.
    pub inner: usize,
    /// Which.
    pub op: ReduceOp,
}

/// Index of the largest or smallest element, as `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgReduce {
    /// `[outer, len, inner]`
    pub input: Place,
    /// `i64 [outer, inner]`
    pub output: Place,
    /// Product of the dimensions before the axis.
    pub outer: usize,
    /// Length of the axis.
    pub len: usize,
    /// Product of the dimensions behind the axis.
    pub inner: usize,
    /// The smallest instead of the largest.
    pub min: bool,
    /// Of equal ones the last instead of the first.
    pub last: bool,
}

/// e^(x − max) / Σ along an axis, or its logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// `[outer, len, inner]`
    pub input: Place,
    /// `[outer, len, inner]`; may be `input`.
    pub output: Place,
    /// Product of the dimensions before the axis.
    pub outer: usize,
    /// Length of the axis.
    pub len: usize,
    /// Product of the dimensions behind the axis.
    pub inner: usize,
    /// The logarithm of the result.
    pub log: bool,
}

/// `(x − mean) / √(variance + epsilon) · scale + shift` over the last `len` elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// `[outer, len]`
    pub input: Place,
    /// `[outer, len]`; may be `input`.
    pub output: Place,
    /// Rows.
    pub outer: usize,
    /// Normalised elements.
    pub len: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Offset of `len` factors.
    pub scale: usize,
    /// Offset of `len` summands.
    pub shift: usize,
}
