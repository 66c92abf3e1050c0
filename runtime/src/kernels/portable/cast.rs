//! Conversions between element types.

use super::access::{self, told};
use crate::memory::{Memory, Plain};
use crate::steps::{Cast, Element};

/// `output[i] = input[i]` as another type: floats truncate towards zero and saturate, NaN is 0; integers
/// wrap, and become the nearest float; `bool` is `x != 0`.
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
        Element::F32 => map(memory, step, T::f32),
        Element::I8 => map(memory, step, T::i8),
        Element::U8 => map(memory, step, T::u8),
        Element::I32 => map(memory, step, T::i32),
        Element::I64 => map(memory, step, T::i64),
        Element::Bool => map(memory, step, T::bool),
    }
}

fn map<T: Plain, U: Plain>(memory: &mut Memory<'_>, step: &Cast, f: impl Fn(T) -> U) -> Option<()> {
    let (operands, result) = access::result::<U>(memory, step.output, step.len)?;
    let input = operands.slice::<T>(step.input, step.len)?;
    result.iter_mut().zip(input).for_each(|(y, &x)| *y = f(x));
    Some(())
}

/// A type that can be converted; methods have the names of the types that they give.
trait Number: Plain {
    fn f32(self) -> f32;
    fn i8(self) -> i8;
    fn u8(self) -> u8;
    fn i32(self) -> i32;
    fn i64(self) -> i64;
    fn bool(self) -> u8;
}

macro_rules! number {
    ($T:ty: $zero:literal to $($name:ident),*) => {
        impl Number for $T {
            $(
                #[inline(always)]
                fn $name(self) -> $name {
                    self as $name
                }
            )*

            #[inline(always)]
            fn bool(self) -> u8 {
                u8::from(self != $zero)
            }
        }
    };
}
number!(f32: 0.0 to f32, i8, u8, i32, i64);
number!(i8: 0 to f32, i8, u8, i32, i64);
number!(u8: 0 to f32, i8, u8, i32, i64);
number!(i32: 0 to f32, i8, u8, i32, i64);
number!(i64: 0 to f32, i8, u8, i32, i64);
