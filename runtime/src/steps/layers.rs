//! Steps that sum products, and pools.

use super::{Activation, Epilogue, Map, Place};

/// 1×1 convolution, stride 1, or a matrix product by constants:
/// `output[p, n] = epilogue(Σ_k input[p, k] · weights[k, n] + bias[n])` for every position `p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointwise {
    /// `[h, w, k]`
    pub input: Map,
    /// `[h, w, n]`
    pub output: Map,
    /// Offset of the packed `k`×`n` matrix.
    pub weights: usize,
    /// Offset of `n` values.
    pub bias: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
    /// What later steps read.
    pub prefetch: Prefetch,
}

/// Weights that are asked for while a layer computes, in time for a later step that reads each of them once: from
/// beyond the caches near the core, which would hold it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefetch {
    /// Offset of the first byte.
    pub at: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Prefetch {
    /// Nothing.
    pub const NONE: Self = Self { at: 0, bytes: 0 };

    /// `bytes` of the weights from `at` on.
    pub const fn new(at: usize, bytes: usize) -> Self {
        Self { at, bytes }
    }
}

/// Convolution, dense or in groups: weights are a matrix `[kh·kw·(c/groups)] × n`, packed, or for kernels by Winograd's
/// method what becomes of it at their points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    /// `[h, w, c]`
    pub input: Map,
    /// `[oh, ow, n]`
    pub output: Map,
    /// Taps along rows and columns.
    pub kernel: [usize; 2],
    /// Along rows and columns.
    pub stride: [usize; 2],
    /// Along rows and columns.
    pub dilation: [usize; 2],
    /// Rows above and columns to the left; those below and to the right follow from the output's shape.
    pub pad: [usize; 2],
    /// Groups; output channel `o` reads input channels of group `o / (n / groups)`.
    pub groups: usize,
    /// Offset of the packed matrix; row index `(ky·kw + kx)·(c/groups) + ci`, or `point·(c/groups) + ci`.
    pub weights: usize,
    /// Offset of `n` values.
    pub bias: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
}

/// Dense convolution of a map of planes, `[c, h, w]`, such as a picture in NCHW: as [`Conv2d`] with one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanarConv2d {
    /// Where the planes lie, behind one another.
    pub input: Place,
    /// Planes, rows and columns of the input.
    pub size: [usize; 3],
    /// `[oh, ow, n]`
    pub output: Map,
    /// Taps along rows and columns.
    pub kernel: [usize; 2],
    /// Along rows and columns.
    pub stride: [usize; 2],
    /// Along rows and columns.
    pub dilation: [usize; 2],
    /// Rows above and columns to the left.
    pub pad: [usize; 2],
    /// Offset of the packed matrix; row index `(ky·kw + kx)·c + ci`.
    pub weights: usize,
    /// Offset of `n` values.
    pub bias: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
}

/// Depthwise convolution: output channel `o` reads input channel `o / multiplier`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depthwise {
    /// `[h, w, c]`
    pub input: Map,
    /// `[oh, ow, c·multiplier]`
    pub output: Map,
    /// Taps along rows and columns.
    pub kernel: [usize; 2],
    /// Along rows and columns.
    pub stride: [usize; 2],
    /// Along rows and columns.
    pub dilation: [usize; 2],
    /// Rows above and columns to the left.
    pub pad: [usize; 2],
    /// Output channels per input channel.
    pub multiplier: usize,
    /// Offset of `[kh·kw, c·multiplier]` values, in panels of the kernel's tile width.
    pub weights: usize,
    /// Offset of `c·multiplier` values, padded likewise.
    pub bias: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
}

/// Transposed convolution; weights `[kh·kw·(c/groups)] × n` row-major with `n` all output channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvTranspose2d {
    /// `[h, w, c]`
    pub input: Map,
    /// `[oh, ow, n]`
    pub output: Map,
    /// Taps along rows and columns.
    pub kernel: [usize; 2],
    /// Along rows and columns.
    pub stride: [usize; 2],
    /// Along rows and columns.
    pub dilation: [usize; 2],
    /// Rows above and columns to the left that are cut off.
    pub pad: [usize; 2],
    /// Groups.
    pub groups: usize,
    /// Offset of the matrix; row `(ky·kw + kx)·(c/groups) + ci`, where `ci` counts inside the group.
    pub weights: usize,
    /// Offset of `n` values.
    pub bias: usize,
    /// Applied to the result.
    pub activation: Activation,
}

/// Batched matrix product of two tensors that are both computed: `[.., m, k] · [.., k, n]`, row-major.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatMul {
    /// `[batch.., m, k]`
    pub a: Place,
    /// `[batch.., k, n]`
    pub b: Place,
    /// `[batch.., m, n]`
    pub output: Place,
    /// Batch dimensions of the output, 1 in front.
    pub batch: [usize; 4],
    /// Elements from one matrix of `a` to the next along each; 0 where it is broadcast.
    pub a_strides: [usize; 4],
    /// Elements from one matrix of `b` to the next along each; 0 where it is broadcast.
    pub b_strides: [usize; 4],
    /// Rows.
    pub m: usize,
    /// Columns.
    pub n: usize,
    /// Depth.
    pub k: usize,
}

/// How a window is pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value inside the map.
    Max,
    /// The mean over the window's positions inside the map.
    Average,
    /// The mean over the window's positions inside the padded map.
    AveragePadded,
}

/// Pooling over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool2d {
    /// `[h, w, c]`
    pub input: Map,
    /// `[oh, ow, c]`
    pub output: Map,
    /// Taps along rows and columns.
    pub kernel: [usize; 2],
    /// Along rows and columns.
    pub stride: [usize; 2],
    /// Along rows and columns.
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pad: [usize; 4],
    /// How.
    pub pooling: Pooling,
}

/// Mean (or maximum) of each channel over the whole map. The row range is of *input* rows; ranges come in
/// order, the first starts at 0, and the output is complete after the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalPool {
    /// `[h, w, c]`
    pub input: Map,
    /// `[1, 1, c]`
    pub output: Map,
    /// The largest value instead of the mean.
    pub max: bool,
}
