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
    let same = |x: f32| x;
    match step.op {
        ReduceOp::Sum => run(memory, step, 0.0, same, |a, b| a + b, same),
        ReduceOp::Mean => run(memory, step, 0.0, same, |a, b| a + b, |sum| sum / len),
        ReduceOp::Max => run(memory, step, f32::NEG_INFINITY, same, max, same),
        ReduceOp::Min => run(memory, step, f32::INFINITY, same, min, same),
        ReduceOp::Product => run(memory, step, 1.0, same, |a, b| a * b, same),
    }
}

macro_rules! integer {
    ($name:ident, $run:ident, $T:ty) => {
        #[doc = concat!(
            "`output[o, i] = op over l of input[o, l, i]` for `", stringify!($T), "`, computed in `i64` and ",
            "wrapped. A mean is truncated towards zero, and 0 of no elements; extremes of none are the ",
            "type's bounds."
        )]
        #[inline]
        pub fn $name(memory: &mut Memory<'_>, step: &Reduce) {
            told($run(memory, step));
        }

        #[inline]
        fn $run(memory: &mut Memory<'_>, step: &Reduce) -> Option<()> {
            let len = step.len as i64;
            let mean = |sum: i64| if len == 0 { 0 } else { sum.wrapping_div(len) as $T };
            let (wide, narrow) = (|x: $T| x as i64, |x: i64| x as $T);
            match step.op {
                ReduceOp::Sum => run(memory, step, 0, wide, i64::wrapping_add, narrow),
                ReduceOp::Mean => run(memory, step, 0, wide, i64::wrapping_add, mean),
                ReduceOp::Max => run(memory, step, <$T>::MIN, |x: $T| x, |a, b| a.max(b), |x| x),
                ReduceOp::Min => run(memory, step, <$T>::MAX, |x: $T| x, |a, b| a.min(b), |x| x),
                ReduceOp::Product => run(memory, step, 1, wide, i64::wrapping_mul, narrow),
            }
        }
    };
}
integer!(reduce_i8, run_i8, i8);
integer!(reduce_u8, run_u8, u8);
integer!(reduce_i32, run_i32, i32);
integer!(reduce_i64, run_i64, i64);

fn run<T: Plain, A: Copy>(
    memory: &mut Memory<'_>,
    step: &Reduce,
    init: A,
    map: impl Fn(T) -> A,
    combine: impl Fn(A, A) -> A,
    finish: impl Fn(A) -> T,
) -> Option<()> {
    let &Reduce { outer, len, inner, .. } = step;
    let (operands, result) = access::result::<T>(memory, step.output, elements(&[outer, inner])?)?;
    let input = operands.slice::<T>(step.input, elements(&[outer, len, inner])?)?;
    if input.is_empty() {
        result.iter_mut().for_each(|y| *y = finish(init));
    } else if inner == 1 {
        for (y, row) in result.iter_mut().zip(input.chunks_exact(len)) {
            *y = finish(fold(row, init, &map, &combine));
        }
    } else {
        for (row, block) in result.chunks_exact_mut(inner).zip(input.chunks_exact(len * inner)) {
            for (column, y) in (0..inner).step_by(LANES).zip(row.chunks_mut(LANES)) {
                let total = fold_columns(block, [inner, column], init, &map, &combine);
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
fn fold_columns<T: Copy, A: Copy>(
    block: &[T],
    [inner, column]: [usize; 2],
    init: A,
    map: impl Fn(T) -> A,
    combine: impl Fn(A, A) -> A,
) -> [A; LANES] {
    let mut total = [init; LANES];
    for rows in block.chunks(BLOCK * inner) {
        let mut part = [init; LANES];
        for row in rows.chunks_exact(inner) {
            let columns = row.get(column..).unwrap_or_default();
            part.iter_mut().zip(columns).for_each(|(part, &x)| *part = combine(*part, map(x)));
        }
        total.iter_mut().zip(part).for_each(|(total, part)| *total = combine(*total, part));
    }
    total
}
