//! Functions of one number, element by element.

use super::access;
use crate::kernels::told;
use crate::math;
use crate::memory::{Memory, Plain};
use crate::steps::{Unary, UnaryOp};

/// `output[i] = op(input[i])` for `f32`; see [`crate::math`] for the precision.
#[inline(never)]
pub fn unary_f32(memory: &mut Memory<'_>, step: &Unary) {
    told(run_f32(memory, step));
}

#[inline]
pub(super) fn run_f32(memory: &mut Memory<'_>, step: &Unary) -> Option<()> {
    match step.op {
        UnaryOp::Abs => run(memory, step, f32::abs),
        UnaryOp::Neg => run(memory, step, |x: f32| -x),
        UnaryOp::Sqrt => run(memory, step, math::sqrt),
        UnaryOp::Exp => run(memory, step, math::exp),
        UnaryOp::Log => run(memory, step, math::ln),
        UnaryOp::Erf => run(memory, step, math::erf),
        UnaryOp::Reciprocal => run(memory, step, |x: f32| 1.0 / x),
        UnaryOp::Floor => run(memory, step, math::floor),
        UnaryOp::Ceil => run(memory, step, math::ceil),
        UnaryOp::Round => run(memory, step, math::round_ties_even),
        UnaryOp::Sign => run(memory, step, sign),
        UnaryOp::Sin => run(memory, step, math::sin),
        UnaryOp::Cos => run(memory, step, math::cos),
        UnaryOp::Not => run(memory, step, |x: f32| if x == 0.0 { 1.0 } else { 0.0 }),
    }
}

/// −1, 0 or 1; NaN stays NaN.
#[inline]
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x + 0.0
    }
}

/// `output[i] = op(input[i])` for `bool`: only [`UnaryOp::Not`].
#[inline(never)]
pub fn unary_bool(memory: &mut Memory<'_>, step: &Unary) {
    told(run_bool(memory, step));
}

#[inline]
pub(super) fn run_bool(memory: &mut Memory<'_>, step: &Unary) -> Option<()> {
    if step.op == UnaryOp::Not { run(memory, step, |x: u8| u8::from(x == 0)) } else { None }
}

macro_rules! integer {
    ($name:ident, $run:ident, $T:ty) => {
        #[doc = concat!(
                    "`output[i] = op(input[i])` for `", stringify!($T), "`; |MIN| and −MIN wrap to MIN. ",
                    "Operations whose results are no integers are not there."
                )]
        #[inline(never)]
        pub fn $name(memory: &mut Memory<'_>, step: &Unary) {
            told($run(memory, step));
        }

        #[inline]
        #[allow(unused_comparisons, reason = "unsigned types have no negative numbers")]
        pub(super) fn $run(memory: &mut Memory<'_>, step: &Unary) -> Option<()> {
            match step.op {
                UnaryOp::Abs => run(memory, step, |x: $T| if x < 0 { x.wrapping_neg() } else { x }),
                UnaryOp::Neg => run(memory, step, <$T>::wrapping_neg),
                UnaryOp::Sign => run(memory, step, |x: $T| <$T>::from(x > 0).wrapping_sub(<$T>::from(x < 0))),
                UnaryOp::Not => run(memory, step, |x: $T| <$T>::from(x == 0)),
                UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round => run(memory, step, |x: $T| x),
                UnaryOp::Sqrt
                | UnaryOp::Exp
                | UnaryOp::Log
                | UnaryOp::Erf
                | UnaryOp::Reciprocal
                | UnaryOp::Sin
                | UnaryOp::Cos => None,
            }
        }
    };
}
integer!(unary_i8, run_i8, i8);
integer!(unary_u8, run_u8, u8);
integer!(unary_i32, run_i32, i32);
integer!(unary_i64, run_i64, i64);

pub(super) fn run<T: Plain>(memory: &mut Memory<'_>, step: &Unary, f: impl Fn(T) -> T) -> Option<()> {
    /// Elements that are copied and computed at a time: they stay in the first-level cache.
    const PIECE: usize = 256;
    let (operands, result) = access::result::<T>(memory, step.output, step.len)?;
    let buffer = operands.in_place(step.input, result)?;
    buffer.pieces(PIECE, |piece| piece.iter_mut().for_each(|x| *x = f(*x)));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, close, numbers};
    use super::*;
    use crate::steps::Place;
    use core::fmt::Debug;
    extern crate std;
    use std::vec::Vec;

    /// On 600 numbers from −2 to 2, in place and not.
    #[track_caller]
    fn check(op: UnaryOp, exact: fn(f64) -> f64) {
        let values = numbers(1, 600);
        let expect: Vec<f64> = values.iter().map(|&x| exact(x.into())).collect();
        let mut rig = Rig::new();
        let (input, other) = (rig.put(&values), rig.room::<f32>(600));
        for output in [other, input] {
            let step = Unary { input, output, len: 600, op };
            let actual: Vec<f32> = rig.run(output, 600, |memory| run_f32(memory, &step));
            // 3 units in the last place: see `math`.
            close(&actual, &expect, |i| 3.0 * f64::from(f32::EPSILON) * expect[i].abs());
        }
    }

    #[test]
    fn floats() {
        check(UnaryOp::Abs, f64::abs);
        check(UnaryOp::Neg, |x| -x);
        check(UnaryOp::Sqrt, f64::sqrt);
        check(UnaryOp::Exp, f64::exp);
        check(UnaryOp::Log, f64::ln);
        check(UnaryOp::Reciprocal, f64::recip);
        check(UnaryOp::Floor, f64::floor);
        check(UnaryOp::Ceil, f64::ceil);
        check(UnaryOp::Round, f64::round_ties_even);
        check(UnaryOp::Sign, f64::signum);
        check(UnaryOp::Sin, f64::sin);
        check(UnaryOp::Cos, f64::cos);
        check(UnaryOp::Not, |x| f64::from(x == 0.0));
    }

    #[track_caller]
    fn check_integers<T: Plain + PartialEq + Debug, const N: usize>(
        run: fn(&mut Memory<'_>, &Unary) -> Option<()>,
        op: UnaryOp,
        [values, expect]: [[T; N]; 2],
    ) {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&values), rig.room::<T>(N));
        assert_eq!(
            rig.run::<T>(output, N, |memory| run(memory, &Unary { input, output, len: N, op })),
            expect
        );
    }

    #[test]
    fn integers() {
        check_integers(run_i32, UnaryOp::Abs, [[-3, 3, i32::MIN], [3, 3, i32::MIN]]);
        check_integers(run_i64, UnaryOp::Neg, [[-3, 3, i64::MIN], [3, -3, i64::MIN]]);
        check_integers(run_i8, UnaryOp::Sign, [[-128_i8, 0, 9], [-1, 0, 1]]);
        check_integers(run_u8, UnaryOp::Sign, [[255_u8, 0, 9], [1, 0, 1]]);
        check_integers(run_u8, UnaryOp::Neg, [[255_u8, 0, 9], [1, 0, 247]]);
        check_integers(run_bool, UnaryOp::Not, [[0_u8, 1], [1, 0]]);
    }

    #[test]
    fn zeros_and_nan_have_no_sign() {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&[-0.0_f32, 0.0, f32::NAN]), rig.room::<f32>(3));
        let step = Unary { input, output, len: 3, op: UnaryOp::Sign };
        let result: Vec<f32> = rig.run(output, 3, |memory| run_f32(memory, &step));
        assert!(result[0].to_bits() == 0 && result[1].to_bits() == 0 && result[2].is_nan());
    }

    #[test]
    fn a_result_half_on_its_operand_is_refused() {
        let mut rig = Rig::new();
        let input = rig.put(&[1.0_f32; 8]);
        let Place::Arena(at) = input else { unreachable!() };
        let step = |output| Unary { input, output, len: 8, op: UnaryOp::Exp };
        rig.refuses(|memory| run_f32(memory, &step(Place::Arena(at + 4))));
        rig.refuses(|memory| run_f32(memory, &step(Place::Arena(at - 4))));
        rig.refuses(|memory| run_i32(memory, &step(input)));
    }
}
