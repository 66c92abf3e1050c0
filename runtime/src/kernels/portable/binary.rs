//! Functions of two numbers with broadcasting.

use super::access::told;
use super::broadcast::{Pair, zip};
use super::fold::{max, min};
use crate::math;
use crate::memory::Memory;
use crate::steps::{Binary, BinaryOp};

impl From<&Binary> for Pair {
    fn from(step: &Binary) -> Self {
        let &Binary { a, b, output, shape, a_strides, b_strides, op: _ } = step;
        Self { a, b, output, shape, a_strides, b_strides }
    }
}

/// `output[i] = a[i] op b[i]` for `f32`. Minimum and maximum are NaN where an operand is; bit operations
/// are not there.
#[inline]
pub fn binary_f32(memory: &mut Memory<'_>, step: &Binary) {
    told(run_f32(memory, step));
}

#[inline]
fn run_f32(memory: &mut Memory<'_>, step: &Binary) -> Option<()> {
    let pair = &Pair::from(step);
    match step.op {
        BinaryOp::Add => zip(memory, pair, |a: f32, b: f32| a + b),
        BinaryOp::Sub => zip(memory, pair, |a: f32, b: f32| a - b),
        BinaryOp::Mul => zip(memory, pair, |a: f32, b: f32| a * b),
        BinaryOp::Div => zip(memory, pair, |a: f32, b: f32| a / b),
        BinaryOp::Min => zip(memory, pair, min),
        BinaryOp::Max => zip(memory, pair, max),
        BinaryOp::Pow => zip(memory, pair, math::powf),
        BinaryOp::Mod => zip(memory, pair, math::modulo),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => None,
    }
}

/// `output[i] = a[i] op b[i]` for `bool`: only `And`, `Or` and `Xor`.
#[inline]
pub fn binary_bool(memory: &mut Memory<'_>, step: &Binary) {
    told(run_bool(memory, step));
}

#[inline]
fn run_bool(memory: &mut Memory<'_>, step: &Binary) -> Option<()> {
    let pair = &Pair::from(step);
    match step.op {
        BinaryOp::And => zip(memory, pair, |a: u8, b: u8| a & b),
        BinaryOp::Or => zip(memory, pair, |a: u8, b: u8| a | b),
        BinaryOp::Xor => zip(memory, pair, |a: u8, b: u8| a ^ b),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Min
        | BinaryOp::Max
        | BinaryOp::Pow
        | BinaryOp::Mod => None,
    }
}

macro_rules! integer {
    ($name:ident, $run:ident, $power:ident, $modulo:ident, $T:ty) => {
        #[doc = concat!(
            "`output[i] = a[i] op b[i]` for `", stringify!($T), "`. Results wrap; a quotient is truncated ",
            "towards zero; quotient and remainder by 0 are 0; a negative power is truncated too."
        )]
        #[inline]
        pub fn $name(memory: &mut Memory<'_>, step: &Binary) {
            told($run(memory, step));
        }

        #[inline]
        fn $run(memory: &mut Memory<'_>, step: &Binary) -> Option<()> {
            let pair = &Pair::from(step);
            match step.op {
                BinaryOp::Add => zip(memory, pair, <$T>::wrapping_add),
                BinaryOp::Sub => zip(memory, pair, <$T>::wrapping_sub),
                BinaryOp::Mul => zip(memory, pair, <$T>::wrapping_mul),
                BinaryOp::Div => {
                    zip(memory, pair, |a: $T, b: $T| if b == 0 { 0 } else { a.wrapping_div(b) })
                }
                BinaryOp::Min => zip(memory, pair, |a: $T, b: $T| a.min(b)),
                BinaryOp::Max => zip(memory, pair, |a: $T, b: $T| a.max(b)),
                BinaryOp::Pow => zip(memory, pair, $power),
                BinaryOp::Mod => zip(memory, pair, $modulo),
                BinaryOp::And => zip(memory, pair, |a: $T, b: $T| a & b),
                BinaryOp::Or => zip(memory, pair, |a: $T, b: $T| a | b),
                BinaryOp::Xor => zip(memory, pair, |a: $T, b: $T| a ^ b),
            }
        }

        #[allow(unused_comparisons, reason = "unsigned types have no negative numbers")]
        fn $power(base: $T, exponent: $T) -> $T {
            let (mut power, mut square, mut left) = (1, base, exponent);
            if exponent < 0 {
                // Only 1 and −1 have an inverse; the sign is that of an odd exponent.
                return match base {
                    1 => 1,
                    _ if base.wrapping_add(1) == 0 => if exponent & 1 == 0 { 1 } else { base },
                    _ => 0,
                };
            }
            while left != 0 {
                if left & 1 != 0 {
                    power = <$T>::wrapping_mul(power, square);
                }
                square = square.wrapping_mul(square);
                left >>= 1;
            }
            power
        }

        #[allow(unused_comparisons, reason = "unsigned types have no negative numbers")]
        fn $modulo(a: $T, b: $T) -> $T {
            if b == 0 {
                return 0;
            }
            let rest = a.wrapping_rem(b);
            if rest != 0 && (rest < 0) != (b < 0) { rest.wrapping_add(b) } else { rest }
        }
    };
}
integer!(binary_i8, run_i8, power_i8, modulo_i8, i8);
integer!(binary_u8, run_u8, power_u8, modulo_u8, u8);
integer!(binary_i32, run_i32, power_i32, modulo_i32, i32);
integer!(binary_i64, run_i64, power_i64, modulo_i64, i64);
