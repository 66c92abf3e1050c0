//! Conversions between element types.

use super::access::{self, told};
use crate::memory::{Memory, Plain};
use crate::steps::{Cast, Element};

/// `output[i] = input[i]` as another type: floats truncate towards zero, integers wrap, `bool` is
/// `x != 0`, an integer becomes the nearest float. A float outside of `i64` becomes its nearest bound and
/// NaN becomes 0, before that wraps into a narrower type.
#[inline]
pub fn cast(memory: &mut Memory<'_>, step: &Cast) {
    told(run(memory, step));
}

#[inline]
fn run(memory: &mut Memory<'_>, step: &Cast) -> Option<()> {
    match step.from {
        Element::F32 => cast_from::<f32>(memory, step),
        Element::I8 => cast_from::<i8>(memory, step),
        Element::U8 | Element::Bool => cast_from::<u8>(memory, step),
        Element::I32 => cast_from::<i32>(memory, step),
        Element::I64 => cast_from::<i64>(memory, step),
    }
}

#[inline]
fn cast_from<T: Number>(memory: &mut Memory<'_>, step: &Cast) -> Option<()> {
    match step.to {
        Element::F32 => map(memory, step, T::float),
        Element::I8 => map(memory, step, |x: T| x.integer() as i8),
        Element::U8 => map(memory, step, |x: T| x.integer() as u8),
        Element::I32 => map(memory, step, |x: T| x.integer() as i32),
        Element::I64 => map(memory, step, T::integer),
        Element::Bool => map(memory, step, |x: T| u8::from(x.is_not_zero())),
    }
}

fn map<T: Plain, U: Plain>(memory: &mut Memory<'_>, step: &Cast, f: impl Fn(T) -> U) -> Option<()> {
    let (operands, result) = access::result::<U>(memory, step.output, step.len)?;
    let input = operands.slice::<T>(step.input, step.len)?;
    result.iter_mut().zip(input).for_each(|(y, &x)| *y = f(x));
    Some(())
}

/// A type that can be converted.
trait Number: Plain {
    fn float(self) -> f32;
    fn integer(self) -> i64;
    fn is_not_zero(self) -> bool;
}

macro_rules! numbers {
    ($($T:ty: $zero:expr),*) => {
        $(impl Number for $T {
            #[inline(always)]
            fn float(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn integer(self) -> i64 {
                self as i64
            }

            #[inline(always)]
            fn is_not_zero(self) -> bool {
                self != $zero
            }
        })*
    };
}
numbers!(f32: 0.0, i8: 0, u8: 0, i32: 0, i64: 0);
