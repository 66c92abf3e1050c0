//! Steps on eight-bit codes, and how a sum becomes a code.

use super::{Map, MatMul, Place, Pooling};

/// Eight-bit codes of real numbers: `real = scale · (code − zero_point)`. Kernels need no scale: it is in
/// the multipliers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// Whether they are `i8`; else `u8`.
    pub signed: bool,
    /// The code of 0.
    pub zero_point: i32,
}

impl Codes {
    /// Codes of type `i8`.
    pub const fn i8(zero_point: i32) -> Self {
        Self { signed: true, zero_point }
    }

    /// Codes of type `u8`.
    pub const fn u8(zero_point: i32) -> Self {
        Self { signed: false, zero_point }
    }
}

/// How an integer sum is scaled and rounded before the zero point is added and the result is clamped.
///
/// Both rules give the same bytes on every CPU, because every kernel executes the same exact operations:
///
/// - The sum itself is exact: it is of integers in 32 bits, the compiler has proved from the actual weights
///   that its value fits, and addition modulo 2^32 gives that value in any order.
/// - [`Rounding::Onnx`] is three operations in single precision, each of which IEEE 754 defines to the bit:
///   the conversion of the sum (exact below 2^24, else rounded to nearest, halves to even), one
///   multiplication, and the rounding to an integer, halves to even. No multiply-add is fused with them, and
///   none could be: nothing is added before the rounding but the second term of a [`QuantizedCombine`],
///   which is added by an addition of its own. A vector kernel may clamp before it rounds, since the bounds
///   are integers and rounding is monotonic; after that the number fits every conversion.
/// - [`Rounding::Tflite`] is integer arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// ONNX's `QuantizeLinear`: `round_half_even((sum as f32) · multiplier)`.
    Onnx,
    /// The reference kernels of TensorFlow Lite and CMSIS-NN: gemmlowp's
    /// `RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(sum · 2^max(shift, 0), multiplier), max(−shift, 0))`.
    Tflite,
}

/// `code = clamp(rounded(sum) + zero_point, range)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantize {
    /// How the sum is scaled and rounded.
    pub rounding: Rounding,
    /// What is made.
    pub codes: Codes,
    /// Least and greatest code: the type's, or what an activation leaves of them.
    pub range: [i32; 2],
}

impl Requantize {
    /// By the rule of ONNX.
    pub const fn onnx(codes: Codes, range: [i32; 2]) -> Self {
        Self { rounding: Rounding::Onnx, codes, range }
    }

    /// By the rule of TensorFlow Lite.
    pub const fn tflite(codes: Codes, range: [i32; 2]) -> Self {
        Self { rounding: Rounding::Tflite, codes, range }
    }
}

/// Convolution of codes, dense or in groups: `requantize(Σ (x − z)·w + b)`. A signed code counts 128 higher
/// in the bias, which also holds `−z·Σ w`; the window reads the zero point outside the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedConv2d {
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
    /// Weights are `i16`; else `i8`. Kernels for pairs always take `i16`.
    pub wide: bool,
    /// Offset of the weights: `[n, kh·kw·(c/groups)]`, or in pairs.
    pub weights: usize,
    /// Offset of `n` values of `i32`.
    pub bias: usize,
    /// Offset of `n` factors: `f32` by the rule of ONNX, `i32` with 31 fractional bits by the other.
    pub multipliers: usize,
    /// Offset of `n` exponents, for the rule of TensorFlow Lite.
    pub shifts: usize,
    /// What the input's codes are.
    pub codes: Codes,
    /// What is done before storing.
    pub requantize: Requantize,
}

/// Depthwise convolution of codes: output channel `o` reads input channel `o / multiplier`. Else as
/// [`QuantizedConv2d`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedDepthwise {
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
    /// Weights are `i16`; else `i8`. Kernels for pairs always take `i16`.
    pub wide: bool,
    /// Offset of `[kh·kw, c·multiplier]` weights, or of these in pairs.
    pub weights: usize,
    /// Offset of `c·multiplier` values of `i32`.
    pub bias: usize,
    /// Offset of `c·multiplier` factors.
    pub multipliers: usize,
    /// Offset of `c·multiplier` exponents, for the rule of TensorFlow Lite.
    pub shifts: usize,
    /// What the input's codes are.
    pub codes: Codes,
    /// What is done before storing.
    pub requantize: Requantize,
}

/// Batched matrix product of codes that are both computed, as [`MatMul`]:
/// `requantize(Σ_k (a[.., i, k] − z_a) · (b[.., k, j] − z_b))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantizedMatMul {
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
    /// Offset of one factor.
    pub multipliers: usize,
    /// Offset of one exponent, for the rule of TensorFlow Lite.
    pub shifts: usize,
    /// What the codes of `a` are.
    pub a_codes: Codes,
    /// What the codes of `b` are.
    pub b_codes: Codes,
    /// What is done before storing.
    pub requantize: Requantize,
}

impl QuantizedMatMul {
    /// Where the matrices lie.
    pub(crate) const fn product(&self) -> MatMul {
        let &Self { a, b, output, batch, a_strides, b_strides, m, n, k, .. } = self;
        MatMul { a, b, output, batch, a_strides, b_strides, m, n, k }
    }
}

/// Sum or product of codes; `output` may be `a` or `b`.
///
/// By the rule of ONNX a sum is `(a − z_a) · m₀ + (b − z_b) · m₁` and a product
/// `((a − z_a) · (b − z_b)) · m₀`, each operation in single precision. By TensorFlow Lite's the terms of a
/// sum are shifted left by 20 bits and scaled by m₀ and m₁, and their sum is requantised by m₂; a product is
/// requantised by m₀.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedCombine {
    /// `[h, w, c]`
    pub a: Map,
    /// `[h, w, c]` or `[1, 1, c]`
    pub b: Map,
    /// `[h, w, c]`
    pub output: Map,
    /// The product instead of the sum.
    pub product: bool,
    /// Offset of three factors.
    pub multipliers: usize,
    /// Offset of three exponents, for the rule of TensorFlow Lite.
    pub shifts: usize,
    /// What the codes of `a` are.
    pub a_codes: Codes,
    /// What the codes of `b` are.
    pub b_codes: Codes,
    /// What is done before storing.
    pub requantize: Requantize,
}

/// Pooling of codes over a window. A mean of `n` positions is requantised by `ratio / n` in single
/// precision, or by the rule of TensorFlow Lite divided as an integer, halves away from zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedPool2d {
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
    /// The input's scale divided by the output's.
    pub ratio: f32,
    /// What the input's codes are.
    pub codes: Codes,
    /// What is done before storing.
    pub requantize: Requantize,
}

/// A function of each code; `output` may be `input`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lookup {
    /// Any shape.
    pub input: Map,
    /// The same shape.
    pub output: Map,
    /// Offset of the 256 values, by the byte that a code is stored as.
    pub table: usize,
}

/// Softmax of codes along the last axis in TensorFlow Lite's fixed-point arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedSoftmax {
    /// `[rows, len]` codes.
    pub input: Place,
    /// The same, with the scale 1/256 and the least code as zero point.
    pub output: Place,
    /// Rows.
    pub rows: usize,
    /// Codes of a row.
    pub len: usize,
    /// Factor of a difference of codes, with 31 fractional bits.
    pub factor: i32,
    /// By how many bits a difference is shifted to the left before.
    pub shift: u32,
    /// The least difference to the largest code whose exponential counts.
    pub least: i32,
    /// Whether codes are `i8`; else `u8`.
    pub signed: bool,
}
