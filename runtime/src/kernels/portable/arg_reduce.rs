//! Where along an axis the largest or smallest element is.

use super::access::{self, told};
use super::strided::elements;
use crate::memory::{Memory, Plain};
use crate::steps::ArgReduce;

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `f32`. NaN is neither larger nor
/// smaller than anything.
pub fn arg_reduce_f32(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<f32>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `i8`.
pub fn arg_reduce_i8(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<i8>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `u8` and `bool`.
pub fn arg_reduce_u8(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<u8>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `i32`.
pub fn arg_reduce_i32(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<i32>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `i64`.
pub fn arg_reduce_i64(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<i64>(memory, step));
}

/// Columns that are searched at once.
const LANES: usize = 8;

fn run<T: Plain + PartialOrd>(memory: &mut Memory<'_>, step: &ArgReduce) -> Option<()> {
    let &ArgReduce { outer, len, inner, min, last, .. } = step;
    let (operands, result) = access::result::<i64>(memory, step.output, elements(&[outer, inner])?)?;
    let input = operands.slice::<T>(step.input, elements(&[outer, len, inner])?)?;
    if result.is_empty() {
        return Some(());
    }
    if len == 0 {
        return None;
    }
    let better = |new: T, best: T| (last && new == best) || if min { new < best } else { new > best };
    for (result, block) in result.chunks_exact_mut(inner).zip(input.chunks_exact(len * inner)) {
        for (column, places) in (0..inner).step_by(LANES).zip(result.chunks_mut(LANES)) {
            search(places, block.get(column..)?, inner, better)?;
        }
    }
    Some(())
}

/// The places in the first `places.len()` columns of a matrix whose rows are `inner` elements apart.
#[inline]
fn search<T: Copy>(
    places: &mut [i64],
    matrix: &[T],
    inner: usize,
    better: impl Fn(T, T) -> bool,
) -> Option<()> {
    let mut best = [*matrix.first()?; LANES];
    best.iter_mut().zip(matrix).take(places.len()).for_each(|(best, &x)| *best = x);
    places.fill(0);
    for (l, row) in (0..).zip(matrix.chunks(inner)) {
        for ((place, best), &x) in places.iter_mut().zip(&mut best).zip(row) {
            if better(x, *best) {
                (*place, *best) = (l, x);
            }
        }
    }
    Some(())
}
