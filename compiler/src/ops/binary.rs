//! A function of two numbers with ONNX broadcasting.

mod onnx;

use super::view::{self, View};
use super::{Operator, shape};
use crate::error::Fault;
use crate::ops::activation::Activation;
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

pub use onnx::ONNX;

/// A function of two numbers with ONNX broadcasting.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// Which.
    pub op: BinaryOp,
    /// Applied to the result; only where both operands are `f32` of one shape.
    pub activation: Activation,
}

impl Binary {
    /// Without an activation.
    pub const fn new(op: BinaryOp) -> Self {
        Self { op, activation: Activation::Identity }
    }
}

impl Operator for Binary {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [a, b] = shape::operands(self.op.name(), operands)?;
        if a.dtype != b.dtype {
            return Err(Fault::model(format!("{} of {a} and {b}: types differ", self.op.name())));
        }
        if !self.op.takes(a.dtype) {
            return Err(Fault::unsupported(format!("{} of {a} and {b}", self.op.name())));
        }
        let ty = TensorType::new(a.dtype, shape::broadcast(&a.shape, &b.shape)?);
        if self.activation == Activation::Identity || (ty.dtype.is_float() && is_flat(operands, &ty)) {
            Ok(ty)
        } else {
            Err(Fault::bug(format!("{} of {a} and {b} cannot have an activation", self.op.name())))
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let [a, b] = [operands[0], operands[1]];
        let pairs = view::pairs(&a.ty, &b.ty, &ty.shape);
        if ty.dtype.is_float() {
            let (a, b) = (a.floats(), b.floats());
            let value = |(i, j): (usize, usize)| self.activation.apply(self.op.float(a[i], b[j]));
            Array::float(ty.shape.clone(), pairs.map(value).collect())
        } else {
            let (a, b) = (a.ints(), b.ints());
            let values = pairs.map(|(i, j)| self.op.int(a[i], b[j])).collect();
            Array::int(ty.dtype, ty.shape.clone(), values)
        }
    }

    /// Layer scales, and biases that an exporter left apart.
    fn has_weights(&self) -> bool {
        matches!(self.op, BinaryOp::Add | BinaryOp::Mul)
    }

    fn describe(&self) -> String {
        match self.activation {
            Activation::Identity => self.op.name().into(),
            activation => format!("{} {}", self.op.name(), activation.describe()),
        }
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let fast = site.output.dtype.is_float() && self.op.combines();
        let request = if fast && is_flat(site.operands, site.output) {
            self.combine(site)
        } else {
            self.broadcast(site)?
        };
        Ok(vec![request])
    }
}

impl Binary {
    fn combine(&self, site: &Site<'_>) -> Request {
        let map = MapShape::flat(&site.output.shape);
        Request {
            family: Family::Combine,
            dtype: DType::F32,
            shape: Shape::elements(site.output.elements()),
            fields: vec![
                ("a", Arg::Map(Operand::Input(0), map)),
                ("b", Arg::Map(Operand::Input(1), map)),
                ("output", Arg::Map(Operand::Output, map)),
                ("op", Arg::Path(self.op.path())),
                ("activation", Arg::Activation(self.activation)),
            ],
            rows: Rows::SAME,
            in_place: true,
        }
    }

    fn broadcast(&self, site: &Site<'_>) -> Result<Request, Fault> {
        let mut fields = broadcast_fields(site)?;
        fields.push(("op", Arg::Path(self.op.path())));
        Ok(Request {
            family: Family::Binary,
            dtype: site.output.dtype,
            shape: Shape::elements(site.output.elements()),
            fields,
            rows: Rows::Whole,
            in_place: false,
        })
    }
}

/// Whether both operands have as many elements as the result, so that nothing is repeated.
fn is_flat(operands: &[TensorType], ty: &TensorType) -> bool {
    operands.iter().all(|operand| operand.elements() == ty.elements())
}

/// `a`, `b`, `output`, `shape` and strides of a kernel with two operands that are broadcast.
pub(super) fn broadcast_fields(site: &Site<'_>) -> Result<Vec<(&'static str, Arg)>, Fault> {
    let [a, b] = shape::operands("a function of two numbers", site.operands)?;
    let to = &site.output.shape;
    let views = [View::broadcast(&a.shape, to), View::broadcast(&b.shape, to)];
    let (lengths, [a_strides, b_strides]) = view::walk(to, [&views[0], &views[1]])?;
    Ok(vec![
        ("a", Arg::Place(Operand::Input(0), 0)),
        ("b", Arg::Place(Operand::Input(1), 0)),
        ("output", Arg::Place(Operand::Output, 0)),
        ("shape", lengths),
        ("a_strides", a_strides),
        ("b_strides", b_strides),
    ])
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Integers truncate towards zero; by zero they give 0.
    Div,
    Min,
    Max,
    Pow,
    /// Remainder with the sign of the divisor; integers by zero give 0.
    Mod,
    And,
    Or,
    Xor,
}

impl BinaryOp {
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Min => "min",
            Self::Max => "max",
            Self::Pow => "pow",
            Self::Mod => "mod",
            Self::And => "and",
            Self::Or => "or",
            Self::Xor => "xor",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Add => "BinaryOp::Add",
            Self::Sub => "BinaryOp::Sub",
            Self::Mul => "BinaryOp::Mul",
            Self::Div => "BinaryOp::Div",
            Self::Min => "BinaryOp::Min",
            Self::Max => "BinaryOp::Max",
            Self::Pow => "BinaryOp::Pow",
            Self::Mod => "BinaryOp::Mod",
            Self::And => "BinaryOp::And",
            Self::Or => "BinaryOp::Or",
            Self::Xor => "BinaryOp::Xor",
        }
    }

    /// Whether it is defined on an element type.
    pub fn takes(self, dtype: DType) -> bool {
        match self {
            Self::And | Self::Or | Self::Xor => dtype == DType::Bool,
            Self::Add | Self::Sub | Self::Mul | Self::Div => dtype != DType::Bool,
            Self::Min | Self::Max | Self::Pow | Self::Mod => dtype != DType::Bool,
        }
    }

    /// Whether the fast kernels for maps of one shape know it.
    const fn combines(self) -> bool {
        match self {
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Min | Self::Max => true,
            Self::Pow | Self::Mod | Self::And | Self::Or | Self::Xor => false,
        }
    }

    /// Its value for real numbers.
    pub fn float(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Min => a.min(b),
            Self::Max => a.max(b),
            Self::Pow => a.powf(b),
            Self::Mod => match a % b {
                rest if rest != 0.0 && (rest < 0.0) != (b < 0.0) => rest + b,
                rest => rest,
            },
            Self::And => f64::from(u8::from(a != 0.0 && b != 0.0)),
            Self::Or => f64::from(u8::from(a != 0.0 || b != 0.0)),
            Self::Xor => f64::from(u8::from((a != 0.0) != (b != 0.0))),
        }
    }

    /// Its value for integers, wrapping at 64 bits.
    pub fn int(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Add => a.wrapping_add(b),
            Self::Sub => a.wrapping_sub(b),
            Self::Mul => a.wrapping_mul(b),
            Self::Div | Self::Mod if b == 0 => 0,
            Self::Div => a.wrapping_div(b),
            Self::Min => a.min(b),
            Self::Max => a.max(b),
            Self::Pow => power(a, b),
            Self::Mod => match a.wrapping_rem(b) {
                rest if rest != 0 && (rest < 0) != (b < 0) => rest + b,
                rest => rest,
            },
            Self::And => i64::from(a != 0 && b != 0),
            Self::Or => i64::from(a != 0 || b != 0),
            Self::Xor => i64::from((a != 0) != (b != 0)),
        }
    }
}

/// `base^exponent`, wrapping; a negative exponent truncates the fraction to 0.
fn power(base: i64, exponent: i64) -> i64 {
    match (u64::try_from(exponent), base) {
        (Ok(exponent), _) => wrapping_power(base, exponent),
        (Err(_), 1) => 1,
        (Err(_), -1) => 1 - 2 * (exponent & 1),
        (Err(_), _) => 0,
    }
}

fn wrapping_power(mut base: i64, mut exponent: u64) -> i64 {
    let mut result = 1_i64;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: BinaryOp, a: &[i64], b: &[i64], expect: &[i64]) {
        let [a, b] = [a, b].map(|v| Array::int(DType::I64, [v.len()], v.to_vec()));
        let binary = Binary::new(op);
        let ty = binary.infer(&[a.ty.clone(), b.ty.clone()]).unwrap();
        assert_eq!(binary.eval(&[&a, &b], &ty).ints(), expect);
    }

    #[test]
    fn integer_division_truncates_and_never_panics() {
        check(BinaryOp::Div, &[7, -7, 7, i64::MIN, 5], &[2, 2, -2, -1, 0], &[3, -3, -3, i64::MIN, 0]);
    }

    #[test]
    fn remainder_has_the_sign_of_the_divisor() {
        check(BinaryOp::Mod, &[7, -7, 7, -7, i64::MIN, 1], &[3, 3, -3, -3, -1, 0], &[1, 2, -2, -1, 0, 0]);
        assert_eq!(BinaryOp::Mod.float(-7.5, 2.0), 0.5);
    }

    #[test]
    fn integer_powers_wrap_and_fractions_are_zero() {
        check(
            BinaryOp::Pow,
            &[3, -1, 2, 10, -1],
            &[4, -3, -1, 20, 2],
            &[81, -1, 0, 7_766_279_631_452_241_920, 1],
        );
    }

    #[test]
    fn a_scalar_stretches() {
        check(BinaryOp::Sub, &[1, 2, 3], &[1], &[0, 1, 2]);
    }

    #[test]
    fn a_channel_vector_walks_with_stride_zero_over_positions() {
        let operands = [TensorType::f32([1, 2, 2, 3]), TensorType::f32([3])];
        let site = Site { operands: &operands, constants: &[None, None], output: &operands[0] };
        let requests = Binary::new(BinaryOp::Mul).lower(&site).unwrap();
        assert_eq!(requests[0].family, Family::Binary);
        assert_eq!(requests[0].fields[3], ("shape", Arg::Usizes(vec![1, 1, 1, 1, 4, 3])));
        assert_eq!(requests[0].fields[5], ("b_strides", Arg::Isizes(vec![0, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn equal_sizes_combine_whatever_the_ranks() {
        let operands = [TensorType::f32([1, 8]), TensorType::f32([8])];
        let site = Site { operands: &operands, constants: &[None, None], output: &operands[0] };
        let requests = Binary::new(BinaryOp::Add).lower(&site).unwrap();
        assert_eq!((requests[0].family, requests[0].in_place), (Family::Combine, true));
    }

    #[test]
    fn types_must_agree() {
        let fault =
            Binary::new(BinaryOp::Add).infer(&[TensorType::f32([2]), TensorType::new(DType::I64, [2])]);
        assert_eq!(fault.unwrap_err().message, "add of f32[2] and i64[2]: types differ");
    }
}
