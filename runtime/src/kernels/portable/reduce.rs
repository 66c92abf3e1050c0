//! Sums, means, products and extremes along an axis.

use super::access::{self, told};
use super::fold::{BLOCK, fold, max, min};
use super::strided::elements;
use crate::memory::{Memory, Plain};
use crate::steps::{Reduce, ReduceOp};

/// `output[o, i] = op over l of input[o, l, i]` for `f32`, summed in blocks (see `fold`): the same order
/// on every CPU. Extremes are NaN where an element is; of no elements they are −∞ and ∞, the sum is 0,
/// the mean NaN, the product 1.
#[inline]
pub fn reduce_f32(memory: &mut Memory<'_>, step: &Reduce) {
    told(run_f32(memory, step));
}

#[inline]
fn run_f32(memory: &mut Memory<'_>, step: &Reduce) -> Option<()> {
    let len = step.len as f32;
    match step.op {
        ReduceOp::Sum => run(memory, step, 0.0, |a: f32, b| a + b, |sum| sum),
        ReduceOp::Mean => run(memory, step, 0.0, |a: f32, b| a + b, |sum| sum / len),
        ReduceOp::Max => run(memory, step, f32::NEG_INFINITY, max, |extreme| extreme),
        ReduceOp::Min => run(memory, step, f32::INFINITY, min, |extreme| extreme),
        ReduceOp::Product => run(memory, step, 1.0, |a: f32, b| a * b, |product| product),
    }
}

macro_rules! integer {
    ($name:ident, $run:ident, $T:ty) => {
        #[doc = concat!(
            "`output[o, i] = op over l of input[o, l, i]` for `", stringify!($T), "`. Sums and products wrap; ",
            "a mean is truncated towards zero, and 0 of no elements; extremes of none are the type's bounds."
        )]
        #[inline]
        pub fn $name(memory: &mut Memory<'_>, step: &Reduce) {
            told($run(memory, step));
        }

        #[inline]
        fn $run(memory: &mut Memory<'_>, step: &Reduce) -> Option<()> {
            let mean = |sum: $T| match <$T>::try_from(step.len) {
                Ok(len) if len > 0 => sum / len,
                // A sum of more elements than the type can count has wrapped anyway.
                Ok(_) | Err(_) => 0,
            };
            match step.op {
                ReduceOp::Sum => run(memory, step, 0, <$T>::wrapping_add, |sum| sum),
                ReduceOp::Mean => run(memory, step, 0, <$T>::wrapping_add, mean),
                ReduceOp::Max => run(memory, step, <$T>::MIN, |a: $T, b| a.max(b), |extreme| extreme),
                ReduceOp::Min => run(memory, step, <$T>::MAX, |a: $T, b| a.min(b), |extreme| extreme),
                ReduceOp::Product => run(memory, step, 1, <$T>::wrapping_mul, |product| product),
            }
        }
    };
}
integer!(reduce_i32, run_i32, i32);
integer!(reduce_i64, run_i64, i64);

fn run<T: Plain>(
    memory: &mut Memory<'_>,
    step: &Reduce,
    init: T,
    combine: impl Fn(T, T) -> T,
    finish: impl Fn(T) -> T,
) -> Option<()> {
    let &Reduce { outer, len, inner, .. } = step;
    let (operands, result) = access::result::<T>(memory, step.output, elements(&[outer, inner])?)?;
    let input = operands.slice::<T>(step.input, elements(&[outer, len, inner])?)?;
    if input.is_empty() {
        result.fill(finish(init));
    } else if inner == 1 {
        for (y, row) in result.iter_mut().zip(input.chunks_exact(len)) {
            *y = finish(fold(row, init, |x| x, &combine));
        }
    } else {
        for (row, block) in result.chunks_exact_mut(inner).zip(input.chunks_exact(len * inner)) {
            for (column, y) in (0..inner).step_by(LANES).zip(row.chunks_mut(LANES)) {
                let total = fold_columns(block, inner, column, init, &combine);
                y.iter_mut().zip(total).for_each(|(y, total)| *y = finish(total));
            }
        }
    }
    Some(())
}

/// Columns that are folded at once.
const LANES: usize = 16;

/// Folds columns `column..` of a matrix with `inner` columns, rows in blocks as in [`fold`].
#[inline]
fn fold_columns<T: Copy>(
    block: &[T],
    inner: usize,
    column: usize,
    init: T,
    combine: impl Fn(T, T) -> T,
) -> [T; LANES] {
    let mut total = [init; LANES];
    for rows in block.chunks(BLOCK * inner) {
        let mut part = [init; LANES];
        for row in rows.chunks_exact(inner) {
            let columns = row.get(column..).unwrap_or_default();
            part.iter_mut().zip(columns).for_each(|(part, &x)| *part = combine(*part, x));
        }
        total.iter_mut().zip(part).for_each(|(total, part)| *total = combine(*total, part));
    }
    total
}
