//! Functions of two numbers with broadcasting.

use super::broadcast::{Pair, zip};
use super::fold::{max, min};
use crate::kernels::told;
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
#[inline(never)]
pub fn binary_f32(memory: &mut Memory<'_>, step: &Binary) {
    told(run_f32(memory, step));
}

#[inline]
pub(super) fn run_f32(memory: &mut Memory<'_>, step: &Binary) -> Option<()> {
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
#[inline(never)]
pub fn binary_bool(memory: &mut Memory<'_>, step: &Binary) {
    told(run_bool(memory, step));
}

#[inline]
pub(super) fn run_bool(memory: &mut Memory<'_>, step: &Binary) -> Option<()> {
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
        #[inline(never)]
        pub fn $name(memory: &mut Memory<'_>, step: &Binary) {
            told($run(memory, step));
        }

        #[inline]
        pub(super) fn $run(memory: &mut Memory<'_>, step: &Binary) -> Option<()> {
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, number, view, views};
    use super::*;
    use crate::memory::Plain;
    use crate::steps::Place;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    const SHAPE: [usize; 6] = [1, 1, 1, 1, 1, 4];
    const ROW: [isize; 6] = [0, 0, 0, 0, 0, 1];

    /// A step on four pairs gives what is expected.
    #[track_caller]
    fn check<T: Plain + PartialEq + core::fmt::Debug>(
        run: fn(&mut Memory<'_>, &Binary) -> Option<()>,
        op: BinaryOp,
        [a, b, expect]: [[T; 4]; 3],
    ) {
        let mut rig = Rig::new();
        let (a, b, output) = (rig.put(&a), rig.input(&b), rig.room::<T>(4));
        let step = Binary { a, b, output, shape: SHAPE, a_strides: ROW, b_strides: ROW, op };
        assert_eq!(rig.run::<T>(output, 4, |memory| run(memory, &step)), expect, "{op:?}");
    }

    #[test]
    fn integers_divide_towards_zero_and_by_zero() {
        check(run_i32, BinaryOp::Div, [[7, -7, 5, i32::MIN], [2, 2, 0, -1], [3, -3, 0, i32::MIN]]);
        check::<i64>(run_i64, BinaryOp::Div, [[7, -7, 5, i64::MIN], [-2, 2, 0, -1], [-3, -3, 0, i64::MIN]]);
        check::<i8>(run_i8, BinaryOp::Div, [[7, -7, 5, -128], [2, 2, 0, -1], [3, -3, 0, -128]]);
        check::<u8>(run_u8, BinaryOp::Div, [[7, 200, 5, 255], [2, 3, 0, 255], [3, 66, 0, 1]]);
    }

    #[test]
    fn remainders_have_the_sign_of_the_divisor() {
        check(run_i32, BinaryOp::Mod, [[7, -7, 7, -7], [3, 3, -3, -3], [1, 2, -2, -1]]);
        check::<i64>(run_i64, BinaryOp::Mod, [[i64::MIN, 6, 5, -6], [-1, 3, 0, 3], [0, 0, 0, 0]]);
        check::<u8>(run_u8, BinaryOp::Mod, [[7, 200, 5, 255], [3, 7, 0, 2], [1, 4, 0, 1]]);
        check(
            run_f32,
            BinaryOp::Mod,
            [[7.5, -7.5, 7.5, -7.5], [3.0, 3.0, -3.0, -3.0], [1.5, 1.5, -1.5, -1.5]],
        );
    }

    #[test]
    fn powers_of_integers_wrap_and_truncate() {
        check(run_i32, BinaryOp::Pow, [[3, -2, 2, 7], [4, 3, 40, 0], [81, -8, 0, 1]]);
        check::<i64>(run_i64, BinaryOp::Pow, [[-1, -1, 1, 5], [-3, -4, -5, -1], [-1, 1, 1, 0]]);
        check::<u8>(run_u8, BinaryOp::Pow, [[2, 3, 255, 0], [7, 5, 3, 200], [128, 243, 255, 0]]);
    }

    #[test]
    fn integers_wrap() {
        check(run_i32, BinaryOp::Add, [[i32::MAX, 1, 2, 3], [1, 1, 1, 1], [i32::MIN, 2, 3, 4]]);
        check::<i8>(run_i8, BinaryOp::Mul, [[100, -128, 2, 3], [2, -1, 2, 2], [-56, -128, 4, 6]]);
        check::<u8>(run_u8, BinaryOp::Sub, [[0, 5, 5, 9], [1, 5, 6, 2], [255, 0, 255, 7]]);
        check::<i64>(run_i64, BinaryOp::Min, [[1, -5, 7, 0], [2, -6, 7, -1], [1, -6, 7, -1]]);
    }

    #[test]
    fn truth_tables() {
        let (a, b) = ([0, 0, 1, 1], [0, 1, 0, 1]);
        check::<u8>(run_bool, BinaryOp::And, [a, b, [0, 0, 0, 1]]);
        check::<u8>(run_bool, BinaryOp::Or, [a, b, [0, 1, 1, 1]]);
        check::<u8>(run_bool, BinaryOp::Xor, [a, b, [0, 1, 1, 0]]);
    }

    #[test]
    fn extremes_keep_nan() {
        let mut rig = Rig::new();
        let a = rig.put(&[f32::NAN, 1.0, f32::NEG_INFINITY, 3.0]);
        let b = rig.put(&[1.0, f32::NAN, 2.0, 2.0]);
        let output = rig.room::<f32>(4);
        for (op, last) in [(BinaryOp::Max, [2.0, 3.0]), (BinaryOp::Min, [f32::NEG_INFINITY, 2.0])] {
            let step = Binary { a, b, output, shape: SHAPE, a_strides: ROW, b_strides: ROW, op };
            let result: Vec<f32> = rig.run(output, 4, |memory| run_f32(memory, &step));
            assert!(result[0].is_nan() && result[1].is_nan() && result[2..] == last);
        }
    }

    #[test]
    fn a_result_on_its_operand_is_refused() {
        let mut rig = Rig::new();
        let (a, b) = (rig.put(&[1.0_f32; 8]), rig.put(&[2.0_f32; 8]));
        let Place::Arena(at) = a else { unreachable!() };
        let step =
            |output| Binary { a, b, output, shape: SHAPE, a_strides: ROW, b_strides: ROW, op: BinaryOp::Add };
        rig.refuses(|memory| run_f32(memory, &step(a)));
        rig.refuses(|memory| run_f32(memory, &step(Place::Arena(at + 12))));
        rig.refuses(|memory| run_f32(memory, &step(Place::Arena(at - 2))));
        rig.refuses(|memory| run_f32(memory, &step(Place::Weights(0))));
    }

    fn exact(op: BinaryOp, a: f64, b: f64) -> f64 {
        match op {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            BinaryOp::Div => a / b,
            BinaryOp::Min => a.min(b),
            BinaryOp::Max => a.max(b),
            _ => f64::NAN,
        }
    }

    proptest! {
        #[test]
        fn any_strides((shape, [a_strides, b_strides]) in views::<2>(), which in 0_usize..6) {
            use BinaryOp::*;
            let op = [Add, Sub, Mul, Div, Min, Max][which];
            let mut rig = Rig::new();
            let (a, a_values) = view(&mut rig, shape, a_strides, number(1));
            let (b, b_values) = view(&mut rig, shape, b_strides, number(2));
            let output = rig.room::<f32>(a_values.len());
            let step = Binary { a, b, output, shape, a_strides, b_strides, op };
            let actual: Vec<f32> = rig.run(output, a_values.len(), |memory| run_f32(memory, &step));
            // A quotient, product or sum of two f32 that is rounded to f64 first rounds to the same f32.
            let pairs = a_values.iter().zip(&b_values);
            let expect: Vec<f32> = pairs.map(|(&a, &b)| exact(op, a.into(), b.into()) as f32).collect();
            prop_assert_eq!(actual, expect);
        }
    }
}
