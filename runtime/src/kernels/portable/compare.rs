//! Relations between two numbers with broadcasting.

use super::broadcast::{Pair, zip};
use crate::kernels::told;
use crate::memory::{Memory, Plain};
use crate::steps::{Compare, CompareOp};

impl From<&Compare> for Pair {
    fn from(step: &Compare) -> Self {
        let &Compare { a, b, output, shape, a_strides, b_strides, op: _ } = step;
        Self { a, b, output, shape, a_strides, b_strides }
    }
}

/// `output[i] = a[i] op b[i]` for `f32`, 0 or 1; no relation holds for NaN.
#[inline(never)]
pub fn compare_f32(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<f32>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `i8`, 0 or 1.
#[inline(never)]
pub fn compare_i8(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<i8>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `u8` and `bool`, 0 or 1.
#[inline(never)]
pub fn compare_u8(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<u8>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `i32`, 0 or 1.
#[inline(never)]
pub fn compare_i32(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<i32>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `i64`, 0 or 1.
#[inline(never)]
pub fn compare_i64(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<i64>(memory, step));
}

#[inline]
pub(super) fn run<T: Plain + PartialOrd>(memory: &mut Memory<'_>, step: &Compare) -> Option<()> {
    let pair = &Pair::from(step);
    match step.op {
        CompareOp::Equal => zip(memory, pair, |a: T, b: T| u8::from(a == b)),
        CompareOp::Less => zip(memory, pair, |a: T, b: T| u8::from(a < b)),
        CompareOp::LessOrEqual => zip(memory, pair, |a: T, b: T| u8::from(a <= b)),
        CompareOp::Greater => zip(memory, pair, |a: T, b: T| u8::from(a > b)),
        CompareOp::GreaterOrEqual => zip(memory, pair, |a: T, b: T| u8::from(a >= b)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, number, view, views};
    use super::*;
    use core::cmp::Ordering;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn nothing_holds_for_nan() {
        use CompareOp::*;
        let mut rig = Rig::new();
        let (a, b) = (rig.put(&[f32::NAN, f32::NAN, 1.0]), rig.put(&[f32::NAN, 1.0, f32::NAN]));
        let output = rig.room::<u8>(3);
        let (shape, strides) = ([1, 1, 1, 1, 1, 3], [0, 0, 0, 0, 0, 1]);
        for op in [Equal, Less, LessOrEqual, Greater, GreaterOrEqual] {
            let step = Compare { a, b, output, shape, a_strides: strides, b_strides: strides, op };
            assert_eq!(rig.run::<u8>(output, 3, |memory| run::<f32>(memory, &step)), [0, 0, 0]);
        }
    }

    fn holds(op: CompareOp, order: Ordering) -> bool {
        match op {
            CompareOp::Equal => order == Ordering::Equal,
            CompareOp::Less => order == Ordering::Less,
            CompareOp::LessOrEqual => order != Ordering::Greater,
            CompareOp::Greater => order == Ordering::Greater,
            CompareOp::GreaterOrEqual => order != Ordering::Less,
        }
    }

    proptest! {
        #[test]
        fn any_strides((shape, [a_strides, b_strides]) in views::<2>(), which in 0_usize..5) {
            use CompareOp::*;
            let op = [Equal, Less, LessOrEqual, Greater, GreaterOrEqual][which];
            let mut rig = Rig::new();
            let (a, a_values) = view(&mut rig, shape, a_strides, |i| number(1)(i) as i64);
            let (b, b_values) = view(&mut rig, shape, b_strides, |i| number(2)(i) as i64);
            let output = rig.room::<u8>(a_values.len());
            let step = Compare { a, b, output, shape, a_strides, b_strides, op };
            let actual: Vec<u8> = rig.run(output, a_values.len(), |memory| run::<i64>(memory, &step));
            let expect: Vec<u8> = a_values.iter().zip(&b_values).map(|(a, b)| holds(op, a.cmp(b)).into()).collect();
            prop_assert_eq!(actual, expect);
        }
    }
}
