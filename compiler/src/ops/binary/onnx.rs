//! ONNX spellings of functions of two numbers.

use super::BinaryOp;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::cast::Cast;
use crate::ops::compose::{binary, unary, with_scalar};
use crate::ops::unary::UnaryOp;

/// The operators of these names, and `Sum` and `Mean`, which are chains of additions.
pub const ONNX: &[Spelling] = &[
    ("Add", |call| import(call, BinaryOp::Add)),
    ("Sub", |call| import(call, BinaryOp::Sub)),
    ("Mul", |call| import(call, BinaryOp::Mul)),
    ("Div", |call| import(call, BinaryOp::Div)),
    ("And", |call| import(call, BinaryOp::And)),
    ("Or", |call| import(call, BinaryOp::Or)),
    ("Xor", |call| import(call, BinaryOp::Xor)),
    ("Min", |call| Ok(vec![chain(call, BinaryOp::Min)?])),
    ("Max", |call| Ok(vec![chain(call, BinaryOp::Max)?])),
    ("Sum", |call| Ok(vec![chain(call, BinaryOp::Add)?])),
    ("Mean", import_mean),
    ("Pow", import_pow),
    ("Mod", import_mod),
];

fn import(call: &mut Call<'_>, op: BinaryOp) -> Result<Vec<NodeId>, Fault> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    Ok(vec![binary(call, op, a, b)?])
}

/// All operands, one after the other.
fn chain(call: &mut Call<'_>, op: BinaryOp) -> Result<NodeId, Fault> {
    (1..call.arity()).try_fold(call.input(0)?, |all, position| {
        let next = call.input(position)?;
        binary(call, op, all, next)
    })
}

fn import_mean(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let sum = chain(call, BinaryOp::Add)?;
    let count = call.arity() as f64;
    Ok(vec![with_scalar(call, BinaryOp::Div, sum, count)?])
}

/// The exponent may have another type; the result has the base's.
fn import_pow(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (base, exponent) = (call.input(0)?, call.input(1)?);
    let (to, of) = (call.ty(base).dtype, call.ty(exponent).dtype);
    if of.is_float() && !to.is_float() {
        let base = call.emit(Cast { to: of }, &[base])?;
        let power = binary(call, BinaryOp::Pow, base, exponent)?;
        return Ok(vec![call.emit(Cast { to }, &[power])?]);
    }
    let exponent = if of == to { exponent } else { call.emit(Cast { to }, &[exponent])? };
    Ok(vec![binary(call, BinaryOp::Pow, base, exponent)?])
}

/// With `fmod`, the result has the sign of the dividend: `sign(a) · (|a| mod |b|)`, which is exact.
fn import_mod(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    if call.attributes.int_or("fmod", 0)? == 0 {
        if call.ty(a).dtype.is_float() {
            return Err(Fault::model(format!("Mod of {} needs fmod = 1", call.ty(a))));
        }
        return import(call, BinaryOp::Mod);
    }
    let sign = unary(call, UnaryOp::Sign, a)?;
    let (a, b) = (unary(call, UnaryOp::Abs, a)?, unary(call, UnaryOp::Abs, b)?);
    let rest = binary(call, BinaryOp::Mod, a, b)?;
    Ok(vec![binary(call, BinaryOp::Mul, sign, rest)?])
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::Case;
    use crate::reference::Array;
    use crate::tensor::DType;

    fn check(case: Case, expect: Array) {
        assert_eq!(case.run().unwrap().values, [expect]);
    }

    #[test]
    fn a_mean_of_three_broadcasts() {
        let [a, b, c] = [vec![3.0], vec![1.0, 2.0], vec![5.0, 10.0]].map(|v| Array::float([v.len()], v));
        let case = Case::new("Mean", 13).input(a).input(b).input(c);
        check(case, Array::float([2], vec![3.0, 5.0]));
    }

    #[test]
    fn fmod_has_the_sign_of_the_dividend() {
        let a = Array::float([4], vec![-4.5, 4.5, -1.0, 3.0]);
        let b = Array::float([4], vec![2.0, -2.0, 0.25, 8.0]);
        let case = Case::new("Mod", 13).int("fmod", 1).input(a.clone()).input(b.clone());
        check(case, Array::float([4], vec![-0.5, 0.5, 0.0, 3.0]));
        assert!(Case::new("Mod", 13).input(a).input(b).run().is_err());
    }

    #[test]
    fn a_power_has_the_type_of_its_base() {
        let base = Array::int(DType::I32, [2], vec![2, 9]);
        let case = Case::new("Pow", 13).input(base).constant(Array::float([], vec![0.5]));
        check(case, Array::int(DType::I32, [2], vec![1, 3]));
        let base = Array::float([2], vec![2.0, 0.5]);
        let case = Case::new("Pow", 13).input(base).constant(Array::int(DType::I64, [], vec![-1]));
        check(case, Array::float([2], vec![0.5, 2.0]));
    }
}
