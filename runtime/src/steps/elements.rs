//! Steps that go element by element.

use super::{Activation, Map, Place};

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
