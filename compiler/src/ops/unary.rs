//! A function of one number, element by element.

use super::{Operator, compose, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};
use std::f64::consts::PI;

/// The operators of these names.
pub const ONNX: &[Spelling] = &[
    ("Abs", |call| import(call, UnaryOp::Abs)),
    ("Neg", |call| import(call, UnaryOp::Neg)),
    ("Sqrt", |call| import(call, UnaryOp::Sqrt)),
    ("Exp", |call| import(call, UnaryOp::Exp)),
    ("Log", |call| import(call, UnaryOp::Log)),
    ("Erf", |call| import(call, UnaryOp::Erf)),
    ("Reciprocal", |call| import(call, UnaryOp::Reciprocal)),
    ("Floor", |call| import(call, UnaryOp::Floor)),
    ("Ceil", |call| import(call, UnaryOp::Ceil)),
    ("Round", |call| import(call, UnaryOp::Round)),
    ("Sign", |call| import(call, UnaryOp::Sign)),
    ("Sin", |call| import(call, UnaryOp::Sin)),
    ("Cos", |call| import(call, UnaryOp::Cos)),
    ("Not", |call| import(call, UnaryOp::Not)),
];

fn import(call: &mut Call<'_>, op: UnaryOp) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    Ok(vec![compose::unary(call, op, x)?])
}

/// A function of one number, element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// Which.
    pub op: UnaryOp,
}

impl Operator for Unary {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands(self.op.name(), operands)?;
        if self.op.takes(input.dtype) {
            Ok(input.clone())
        } else {
            Err(Fault::unsupported(format!("{} of {input}", self.op.name())))
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        match &operands[0].data {
            Data::Float(values) => {
                Array::float(ty.shape.clone(), values.iter().map(|&x| self.op.float(x)).collect())
            }
            Data::Int(values) => {
                let values = values.iter().map(|&x| self.op.int(x)).collect();
                Array::int(ty.dtype, ty.shape.clone(), values)
            }
        }
    }

    fn describe(&self) -> String {
        self.op.name().into()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let len = site.output.elements();
        Ok(vec![Request {
            family: Family::Unary,
            dtype: site.output.dtype,
            shape: Shape::elements(len),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("len", Arg::Usize(len)),
                ("op", Arg::Path(self.op.path())),
            ],
            rows: Rows::Whole,
            in_place: true,
        }])
    }
}

/// A function of one number.
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

impl UnaryOp {
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Abs => "abs",
            Self::Neg => "neg",
            Self::Sqrt => "sqrt",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Erf => "erf",
            Self::Reciprocal => "reciprocal",
            Self::Floor => "floor",
            Self::Ceil => "ceil",
            Self::Round => "round",
            Self::Sign => "sign",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Not => "not",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Abs => "UnaryOp::Abs",
            Self::Neg => "UnaryOp::Neg",
            Self::Sqrt => "UnaryOp::Sqrt",
            Self::Exp => "UnaryOp::Exp",
            Self::Log => "UnaryOp::Log",
            Self::Erf => "UnaryOp::Erf",
            Self::Reciprocal => "UnaryOp::Reciprocal",
            Self::Floor => "UnaryOp::Floor",
            Self::Ceil => "UnaryOp::Ceil",
            Self::Round => "UnaryOp::Round",
            Self::Sign => "UnaryOp::Sign",
            Self::Sin => "UnaryOp::Sin",
            Self::Cos => "UnaryOp::Cos",
            Self::Not => "UnaryOp::Not",
        }
    }

    /// Whether it is defined on an element type.
    pub fn takes(self, dtype: DType) -> bool {
        match self {
            Self::Not => dtype == DType::Bool,
            Self::Abs | Self::Neg | Self::Sign => dtype != DType::Bool,
            Self::Sqrt | Self::Exp | Self::Log | Self::Erf | Self::Reciprocal => dtype.is_float(),
            Self::Floor | Self::Ceil | Self::Round | Self::Sin | Self::Cos => dtype.is_float(),
        }
    }

    /// Its value for a real number.
    pub fn float(self, x: f64) -> f64 {
        match self {
            Self::Abs => x.abs(),
            Self::Neg => -x,
            Self::Sqrt => x.sqrt(),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Erf => erf(x),
            Self::Reciprocal => 1.0 / x,
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Sign if x == 0.0 => 0.0,
            Self::Sign => x.signum(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Not => f64::from(u8::from(x == 0.0)),
        }
    }

    /// Its value for an integer, wrapping; those that make no sense for integers leave it as it is.
    fn int(self, x: i64) -> i64 {
        match self {
            Self::Abs => x.wrapping_abs(),
            Self::Neg => x.wrapping_neg(),
            Self::Sign => x.signum(),
            Self::Not => i64::from(x == 0),
            Self::Sqrt | Self::Exp | Self::Log | Self::Erf | Self::Reciprocal => x,
            Self::Floor | Self::Ceil | Self::Round | Self::Sin | Self::Cos => x,
        }
    }
}

/// The error function, within a few units in the last place.
///
/// `erf(x) = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1))`: all terms have the sign of `x`, so nothing
/// cancels (Abramowitz and Stegun, 7.1.6). Beyond 6 it is 1 in double precision.
pub fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * (f64::EPSILON / 4.0) {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: UnaryOp, input: &[f64], expect: &[f64]) {
        let input = Array::float([input.len()], input.to_vec());
        let unary = Unary { op };
        let ty = unary.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(unary.eval(&[&input], &ty).floats(), expect);
    }

    #[test]
    fn halves_round_to_even() {
        check(UnaryOp::Round, &[0.5, 1.5, 2.5, -0.5, -1.5], &[0.0, 2.0, 2.0, -0.0, -2.0]);
    }

    #[test]
    fn sign_of_zero_is_zero() {
        check(UnaryOp::Sign, &[-3.0, 0.0, -0.0, 2.0], &[-1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn erf_agrees_with_tables_to_double_precision() {
        // Values of mpmath with 30 digits.
        let table = [
            (0.1, 0.112_462_916_018_284_89),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (3.0, 0.999_977_909_503_001_4),
            (7.0, 1.0),
        ];
        for (x, y) in table {
            assert!((erf(x) - y).abs() < 1e-15 && (erf(-x) + y).abs() < 1e-15, "erf({x}) = {}", erf(x));
        }
    }

    #[test]
    fn the_smallest_integer_has_no_absolute_value() {
        let input = Array::int(DType::I64, [1], vec![i64::MIN]);
        assert_eq!(Unary { op: UnaryOp::Abs }.eval(&[&input], &input.ty), input);
    }

    #[test]
    fn integers_have_no_square_root() {
        assert!(Unary { op: UnaryOp::Sqrt }.infer(&[TensorType::new(DType::I64, [2])]).is_err());
    }
}
