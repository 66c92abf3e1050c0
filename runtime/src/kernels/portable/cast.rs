//! Conversions between element types.

use super::access;
use crate::kernels::told;
use crate::kernels::view::{pieces, same_shape};
use crate::memory::{Memory, Plain};
use crate::steps::{Cast, Element, Map, Place};
use core::ops::Range;

/// `output[i] = input[i]` as another type: floats truncate towards zero and saturate, NaN is 0; integers
/// wrap, and become the nearest float; `bool` is `x != 0`.
#[inline(never)]
pub fn cast(memory: &mut Memory<'_>, step: &Cast, rows: Range<usize>) {
    told(run(memory, step, rows));
}

#[inline]
pub(super) fn run(memory: &mut Memory<'_>, step: &Cast, rows: Range<usize>) -> Option<()> {
    let Cast { input, output, .. } = step;
    same_shape([input, output])?;
    let fits = |map: &Map| map.rows > 0 && map.rows <= map.height;
    if rows.is_empty() {
        return Some(());
    }
    if rows.end > output.height || rows.len() > output.rows || ![input, output].into_iter().all(fits) {
        return None;
    }
    for piece in pieces(rows, [input.rows, output.rows]) {
        match step.from {
            Element::F32 => cast_from::<f32>(memory, step, piece)?,
            Element::I8 => cast_from::<i8>(memory, step, piece)?,
            Element::U8 | Element::Bool => cast_from::<u8>(memory, step, piece)?,
            Element::I32 => cast_from::<i32>(memory, step, piece)?,
            Element::I64 => cast_from::<i64>(memory, step, piece)?,
        }
    }
    Some(())
}

#[inline]
fn cast_from<T: Number>(memory: &mut Memory<'_>, step: &Cast, rows: Range<usize>) -> Option<()> {
    match step.to {
        Element::F32 => map(memory, step, rows, T::f32),
        Element::I8 => map(memory, step, rows, T::i8),
        Element::U8 => map(memory, step, rows, T::u8),
        Element::I32 => map(memory, step, rows, T::i32),
        Element::I64 => map(memory, step, rows, T::i64),
        Element::Bool => map(memory, step, rows, T::bool),
    }
}

/// Rows that lie behind one another in both maps.
fn map<T: Plain, U: Plain>(
    memory: &mut Memory<'_>,
    step: &Cast,
    rows: Range<usize>,
    f: impl Fn(T) -> U,
) -> Option<()> {
    let row_len = step.input.width.checked_mul(step.input.channels)?;
    let len = rows.len().checked_mul(row_len)?;
    let (to, from) =
        (row::<U>(&step.output, rows.start, row_len)?, row::<T>(&step.input, rows.start, row_len)?);
    let (operands, result) = access::result::<U>(memory, to, len)?;
    let input = operands.slice::<T>(from, len)?;
    result.iter_mut().zip(input).for_each(|(y, &x)| *y = f(x));
    Some(())
}

/// Where row `y` lies.
fn row<T>(map: &Map, y: usize, row_len: usize) -> Option<Place> {
    let bytes = (y % map.rows.max(1)).checked_mul(row_len)?.checked_mul(size_of::<T>())?;
    Some(map.place.behind(bytes))
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

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;
    use core::fmt::Debug;

    #[track_caller]
    fn check<T: Plain, U: Plain + PartialEq + Debug, const N: usize>(
        (from, values): (Element, [T; N]),
        (to, expect): (Element, [U; N]),
    ) {
        let mut rig = Rig::new();
        let (input, output) = (rig.input(&values), rig.room::<U>(N));
        let whole = |place| Map::whole(place, [1, 1, N]);
        let step = Cast { input: whole(input), output: whole(output), from, to };
        assert_eq!(rig.run::<U>(output, N, |memory| run(memory, &step, 0..1)), expect);
    }

    #[test]
    fn floats_truncate_and_saturate() {
        let values = [2.9, -2.9, 300.0, -1e20, f32::INFINITY, f32::NAN];
        check((Element::F32, values), (Element::U8, [2_u8, 0, 255, 0, 255, 0]));
        check((Element::F32, values), (Element::I8, [2_i8, -2, 127, -128, 127, 0]));
        check((Element::F32, values), (Element::I32, [2, -2, 300, i32::MIN, i32::MAX, 0]));
        check((Element::F32, values), (Element::I64, [2, -2, 300, i64::MIN, i64::MAX, 0_i64]));
        check((Element::F32, values), (Element::Bool, [1_u8; 6]));
        check((Element::F32, [0.0, -0.0]), (Element::Bool, [0_u8; 2]));
    }

    #[test]
    fn integers_wrap() {
        check((Element::I64, [256_i64, -1, 128, 1 << 40]), (Element::I8, [0_i8, -1, -128, 0]));
        check((Element::I64, [256_i64, -1, 128, 1 << 40]), (Element::I32, [256, -1, 128, 0]));
        check((Element::I32, [-1, 257]), (Element::U8, [255_u8, 1]));
        check((Element::U8, [200_u8, 3]), (Element::I8, [-56_i8, 3]));
        check((Element::I8, [-56_i8, 3]), (Element::I64, [-56_i64, 3]));
        check((Element::I64, [1_i64 << 32, 0]), (Element::Bool, [1_u8, 0]));
    }

    #[test]
    fn integers_become_the_nearest_float() {
        check((Element::I32, [16_777_217, -3]), (Element::F32, [16_777_216.0, -3.0]));
        check((Element::U8, [255_u8, 0]), (Element::F32, [255.0, 0.0]));
        check((Element::Bool, [1_u8, 0]), (Element::F32, [1.0, 0.0]));
    }
}
