//! Steps: what one kernel call reads, computes and writes, as plain data.
//!
//! An emitted module holds one constant of these types per layer. Fields are public so that a module
//! can be read and written by hand; a kernel trusts none of them: it checks that a step fits the memory
//! it is given, and does nothing when it does not (a debug build says so). The compiler's plan checker
//! proves for an emitted module that this cannot happen.
//!
//! Maps are NHWC with one image; rows are rows of a map. Offsets are in bytes and aligned to the element.

mod quantized;

pub use quantized::*;

/// Where a tensor lies: a byte offset into one of the memories that a network runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the arena.
    Arena(usize),
    /// In the caller's input of that number.
    Input(usize, usize),
    /// In the weights.
    Weights(usize),
}

impl Place {
    /// The place so many bytes behind this one.
    pub(crate) const fn behind(self, bytes: usize) -> Self {
        match self {
            Self::Arena(at) => Self::Arena(at.saturating_add(bytes)),
            Self::Input(index, at) => Self::Input(index, at.saturating_add(bytes)),
            Self::Weights(at) => Self::Weights(at.saturating_add(bytes)),
        }
    }
}

/// A feature map `[height, width, channels]` of which the last `rows` rows are held in a ring: row `y`
/// lies at `place + y % rows * width * channels * size_of(element)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// Where row 0 lies.
    pub place: Place,
    /// Rows of the map.
    pub height: usize,
    /// Columns of the map.
    pub width: usize,
    /// Channels, innermost in memory.
    pub channels: usize,
    /// Rows that are held, at most `height`; equal to it when the whole map is.
    pub rows: usize,
}

impl Map {
    /// A map `[height, width, channels]` that is held whole.
    pub const fn whole(place: Place, [height, width, channels]: [usize; 3]) -> Self {
        Self { place, height, width, channels, rows: height }
    }

    /// A map `[height, width, channels]` of which `rows` rows are held.
    pub const fn ring(place: Place, [height, width, channels]: [usize; 3], rows: usize) -> Self {
        Self { place, height, width, channels, rows }
    }
}

/// A function of one number, applied before a value is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x
    Identity,
    /// min(max(x, lo), hi): ReLU, ReLU6 and every other clamp
    Clamp {
        /// Lower bound.
        lo: f32,
        /// Upper bound; may be infinite.
        hi: f32,
    },
    /// x · min(max(x/6 + 1/2, 0), 1)
    HardSwish,
    /// min(max(alpha·x + beta, 0), 1)
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// x / (1 + e^−x)
    Silu,
    /// x · Φ(x), with the error function
    Gelu,
    /// x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))
    GeluTanh,
    /// tanh x
    Tanh,
    /// x for x ≥ 0, alpha·x below
    LeakyRelu {
        /// Slope below 0.
        alpha: f32,
    },
    /// x for x ≥ 0, alpha (e^x − 1) below
    Elu {
        /// Limit below 0, negated.
        alpha: f32,
    },
    /// ln(1 + e^x)
    Softplus,
}

impl Activation {
    /// max(x, 0)
    pub const RELU: Self = Self::Clamp { lo: 0.0, hi: f32::INFINITY };
    /// min(max(x, 0), 6)
    pub const RELU6: Self = Self::Clamp { lo: 0.0, hi: 6.0 };
}

/// `y = after(activation(sum + bias) + residual)`; `after` is applied only with a residual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epilogue {
    /// Applied to the sum with its bias.
    pub activation: Activation,
    /// A map of the output's shape that is added; it may be the output itself.
    pub residual: Option<Map>,
    /// Applied behind the residual.
    pub after: Activation,
}

impl Epilogue {
    /// An activation and nothing else.
    pub const fn new(activation: Activation) -> Self {
        Self { activation, residual: None, after: Activation::Identity }
    }

    /// `activation(sum + bias) + residual`
    pub const fn add(activation: Activation, residual: Map) -> Self {
        Self { activation, residual: Some(residual), after: Activation::Identity }
    }
}

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
}

/// Convolution, dense or in groups: weights are a matrix `[kh·kw·(c/groups)] × n`, packed.
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
    /// Offset of the packed matrix; row index `(ky·kw + kx)·(c/groups) + ci`.
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

/// An activation by itself, element by element; `output` may be `input`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activate {
    /// Any shape.
    pub input: Map,
    /// The same shape.
    pub output: Map,
    /// Which.
    pub activation: Activation,
}

/// An operation on two maps of one shape, then an activation; `output` may be `a` or `b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combine {
    /// Left operand.
    pub a: Map,
    /// Right operand.
    pub b: Map,
    /// The same shape.
    pub output: Map,
    /// Which.
    pub op: BinaryOp,
    /// Applied to the result.
    pub activation: Activation,
}

/// Each channel times a factor: the second half of squeeze-and-excite. `output` may be `input`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelScale {
    /// `[h, w, c]`
    pub input: Map,
    /// `[1, 1, c]`
    pub scale: Map,
    /// `[h, w, c]`
    pub output: Map,
    /// Applied to the result.
    pub activation: Activation,
}

/// Each channel times a constant factor plus a constant: a batch-norm that could not be folded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelAffine {
    /// `[h, w, c]`
    pub input: Map,
    /// `[h, w, c]`; may be `input`.
    pub output: Map,
    /// Offset of `c` factors.
    pub scale: usize,
    /// Offset of `c` summands.
    pub shift: usize,
    /// Applied to the result.
    pub activation: Activation,
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

/// A function of one number by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum UnaryOp {
    Abs,
    Neg,
    Sqrt,
    Exp,
    Log,
    Erf,
    Reciprocal,
    Floor,
    Ceil,
    /// Half to even.
    Round,
    Sign,
    Sin,
    Cos,
    /// 1 where the operand is 0, else 0.
    Not,
}

/// A function of one number, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unary {
    /// Where from.
    pub input: Place,
    /// Where to; may be `input`.
    pub output: Place,
    /// Elements.
    pub len: usize,
    /// Which.
    pub op: UnaryOp,
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Pow,
    /// Remainder with the sign of the divisor.
    Mod,
    And,
    Or,
    Xor,
}

/// A function of two numbers with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Left operand.
    pub a: Place,
    /// Right operand.
    pub b: Place,
    /// Row-major, `shape`.
    pub output: Place,
    /// The result's shape, 1 in front.
    pub shape: [usize; 6],
    /// Elements of `a` from one index to the next along each dimension; 0 where it is broadcast.
    pub a_strides: [isize; 6],
    /// Elements of `b` likewise.
    pub b_strides: [isize; 6],
    /// Which.
    pub op: BinaryOp,
}

/// A relation between two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CompareOp {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A relation with broadcasting; the result is one byte an element, 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Left operand.
    pub a: Place,
    /// Right operand.
    pub b: Place,
    /// Row-major, `shape`, `bool`.
    pub output: Place,
    /// The result's shape, 1 in front.
    pub shape: [usize; 6],
    /// As in [`Binary`].
    pub a_strides: [isize; 6],
    /// As in [`Binary`].
    pub b_strides: [isize; 6],
    /// Which.
    pub op: CompareOp,
}

/// `condition ? a : b` with broadcasting, for elements of any type of the kernel's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Select {
    /// `bool`.
    pub condition: Place,
    /// Where it is 1.
    pub a: Place,
    /// Where it is 0.
    pub b: Place,
    /// Row-major, `shape`.
    pub output: Place,
    /// The result's shape, 1 in front.
    pub shape: [usize; 6],
    /// Elements of `condition` from one index to the next.
    pub condition_strides: [isize; 6],
    /// Elements of `a` likewise.
    pub a_strides: [isize; 6],
    /// Elements of `b` likewise.
    pub b_strides: [isize; 6],
}

/// Element types of [`Cast`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "names of Rust's own types")]
pub enum Element {
    F32,
    I8,
    U8,
    I32,
    I64,
    Bool,
}

/// Conversion between element types: floats truncate towards zero, integers wrap, `bool` is `x != 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    /// Any shape.
    pub input: Map,
    /// The same shape.
    pub output: Map,
    /// Type of the input.
    pub from: Element,
    /// Type of the output.
    pub to: Element,
}

/// `saturate(round_half_even(x / scale) + zero_point)`, in single precision as ONNX's QuantizeLinear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantize {
    /// `f32 [outer, channels, inner]`
    pub input: Place,
    /// `to [outer, channels, inner]`
    pub output: Place,
    /// Product of the dimensions before the axis.
    pub outer: usize,
    /// Scales; 1 for one scale per tensor.
    pub channels: usize,
    /// Product of the dimensions behind the axis.
    pub inner: usize,
    /// Offset of `channels` scales.
    pub scale: usize,
    /// Offset of `channels` zero points, `i32`.
    pub zero_point: usize,
    /// [`Element::U8`] or [`Element::I8`].
    pub to: Element,
}

/// `(x − zero_point) · scale`, in single precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dequantize {
    /// `from [outer, channels, inner]`
    pub input: Place,
    /// `f32 [outer, channels, inner]`
    pub output: Place,
    /// Product of the dimensions before the axis.
    pub outer: usize,
    /// Scales; 1 for one scale per tensor.
    pub channels: usize,
    /// Product of the dimensions behind the axis.
    pub inner: usize,
    /// Offset of `channels` scales.
    pub scale: usize,
    /// Offset of `channels` zero points, `i32`.
    pub zero_point: usize,
    /// [`Element::U8`], [`Element::I8`] or [`Element::I32`].
    pub from: Element,
}

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
