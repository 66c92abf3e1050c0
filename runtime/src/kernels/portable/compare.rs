//! Relations between two numbers with broadcasting.

use super::access::told;
use super::broadcast::{Pair, zip};
use crate::memory::{Memory, Plain};
use crate::steps::{Compare, CompareOp};

impl From<&Compare> for Pair {
    fn from(step: &Compare) -> Self {
        let &Compare { a, b, output, shape, a_strides, b_strides, op: _ } = step;
        Self { a, b, output, shape, a_strides, b_strides }
    }
}

/// `output[i] = a[i] op b[i]` for `f32`, 0 or 1; no relation holds for NaN.
#[inline]
pub fn compare_f32(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<f32>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `i8`, 0 or 1.
#[inline]
pub fn compare_i8(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<i8>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `u8` and `bool`, 0 or 1.
#[inline]
pub fn compare_u8(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<u8>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `i32`, 0 or 1.
#[inline]
pub fn compare_i32(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<i32>(memory, step));
}

/// `output[i] = a[i] op b[i]` for `i64`, 0 or 1.
#[inline]
pub fn compare_i64(memory: &mut Memory<'_>, step: &Compare) {
    told(run::<i64>(memory, step));
}

#[inline]
fn run<T: Plain + PartialOrd>(memory: &mut Memory<'_>, step: &Compare) -> Option<()> {
    let pair = &Pair::from(step);
    match step.op {
        CompareOp::Equal => zip(memory, pair, |a: T, b: T| u8::from(a == b)),
        CompareOp::Less => zip(memory, pair, |a: T, b: T| u8::from(a < b)),
        CompareOp::LessOrEqual => zip(memory, pair, |a: T, b: T| u8::from(a <= b)),
        CompareOp::Greater => zip(memory, pair, |a: T, b: T| u8::from(a > b)),
        CompareOp::GreaterOrEqual => zip(memory, pair, |a: T, b: T| u8::from(a >= b)),
    }
}
