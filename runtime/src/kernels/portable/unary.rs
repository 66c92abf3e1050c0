//! Functions of one number, element by element.

use super::access::{self, told};
use crate::math;
use crate::memory::{Memory, Plain};
use crate::steps::{Unary, UnaryOp};

/// `output[i] = op(input[i])` for `f32`; see [`crate::math`] for the precision.
#[inline]
pub fn unary_f32(memory: &mut Memory<'_>, step: &Unary) {
    told(run_f32(memory, step));
}

#[inline]
fn run_f32(memory: &mut Memory<'_>, step: &Unary) -> Option<()> {
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
#[inline]
pub fn unary_bool(memory: &mut Memory<'_>, step: &Unary) {
    told(run_bool(memory, step));
}

#[inline]
fn run_bool(memory: &mut Memory<'_>, step: &Unary) -> Option<()> {
    if step.op == UnaryOp::Not { run(memory, step, |x: u8| u8::from(x == 0)) } else { None }
}

macro_rules! integer {
    ($name:ident, $run:ident, $T:ty) => {
        #[doc = concat!(
                    "`output[i] = op(input[i])` for `", stringify!($T), "`; |MIN| and −MIN wrap to MIN. ",
                    "Operations whose results are no integers are not there."
                )]
        #[inline]
        pub fn $name(memory: &mut Memory<'_>, step: &Unary) {
            told($run(memory, step));
        }

        #[inline]
        #[allow(unused_comparisons, reason = "unsigned types have no negative numbers")]
        fn $run(memory: &mut Memory<'_>, step: &Unary) -> Option<()> {
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

fn run<T: Plain>(memory: &mut Memory<'_>, step: &Unary, f: impl Fn(T) -> T) -> Option<()> {
    /// Elements that are copied and computed at a time: they stay in the first-level cache.
    const PIECE: usize = 256;
    let (operands, result) = access::result::<T>(memory, step.output, step.len)?;
    let buffer = operands.in_place(step.input, result)?;
    buffer.pieces(PIECE, |piece| piece.iter_mut().for_each(|x| *x = f(*x)));
    Some(())
}
