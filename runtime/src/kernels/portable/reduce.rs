//! Sums, means, products and extremes along an axis.

use super::access;
use super::fold::{BLOCK, fold, max, min};
use super::in_rows::InRows as _;
use super::strided::elements;
use crate::kernels::told;
use crate::memory::{Memory, Plain};
use crate::steps::{Reduce, ReduceOp};

/// `output[o, i] = op over l of input[o, l, i]` for `f32`, summed in blocks (see `fold`): the same order
/// on every CPU. Extremes are NaN where an element is; of no elements they are −∞ and ∞, the sum is 0,
/// the mean NaN, the product 1.
#[inline(never)]
pub fn reduce_f32(memory: &mut Memory<'_>, step: &Reduce) {
    told(run_f32(memory, step));
}

#[inline]
pub(super) fn run_f32(memory: &mut Memory<'_>, step: &Reduce) -> Option<()> {
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
        #[inline(never)]
        pub fn $name(memory: &mut Memory<'_>, step: &Reduce) {
            told($run(memory, step));
        }

        #[inline]
        pub(super) fn $run(memory: &mut Memory<'_>, step: &Reduce) -> Option<()> {
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

pub(super) fn run<T: Plain, A: Copy>(
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
        for (y, row) in result.iter_mut().zip(input.rows(len)) {
            *y = finish(fold(row, init, &map, &combine));
        }
    } else {
        for (row, block) in result.rows_mut(inner).zip(input.rows(len * inner)) {
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
    for rows in block.chunks((BLOCK * inner).max(1)) {
        let mut part = [init; LANES];
        for row in rows.rows(inner) {
            let columns = row.get(column..).unwrap_or_default();
            part.iter_mut().zip(columns).for_each(|(part, &x)| *part = combine(*part, map(x)));
        }
        total.iter_mut().zip(part).for_each(|(total, part)| *total = combine(*total, part));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, close, numbers};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    #[track_caller]
    fn check<T: Plain + PartialEq + core::fmt::Debug>(
        run: fn(&mut Memory<'_>, &Reduce) -> Option<()>,
        op: ReduceOp,
        values: &[T],
        expect: &[T],
    ) {
        let mut rig = Rig::new();
        let (outer, len) = (expect.len(), values.len() / expect.len());
        let (input, output) = (rig.put(values), rig.room::<T>(outer));
        let step = Reduce { input, output, outer, len, inner: 1, op };
        assert_eq!(rig.run::<T>(output, outer, |memory| run(memory, &step)), expect);
    }

    #[test]
    fn integers_are_summed_wide_and_wrap() {
        check(run_u8, ReduceOp::Mean, &[200_u8, 100, 3, 4], &[150, 3]);
        check(run_u8, ReduceOp::Sum, &[200_u8, 100], &[44]);
        check(run_i8, ReduceOp::Mean, &[-128_i8, -127], &[-127]);
        check(run_i32, ReduceOp::Product, &[1 << 20, 1 << 20, 3, 5], &[0, 15]);
        check(run_i64, ReduceOp::Min, &[3, -4, i64::MAX, i64::MAX], &[-4, i64::MAX]);
        check(run_i32, ReduceOp::Max, &[3, -4], &[3]);
    }

    #[test]
    fn nothing_reduces_to_the_neutral_element() {
        check(run_f32, ReduceOp::Max, &[], &[f32::NEG_INFINITY]);
        check(run_f32, ReduceOp::Product, &[], &[1.0, 1.0]);
        check(run_i32, ReduceOp::Mean, &[], &[0]);
    }

    #[test]
    fn an_extreme_of_nan_is_nan() {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&[1.0, f32::NAN, 2.0, 3.0_f32]), rig.room::<f32>(1));
        for op in [ReduceOp::Max, ReduceOp::Min] {
            let step = Reduce { input, output, outer: 1, len: 4, inner: 1, op };
            assert!(rig.run::<f32>(output, 1, |memory| run_f32(memory, &step))[0].is_nan());
        }
    }

    fn exact(op: ReduceOp, values: &[f64]) -> f64 {
        match op {
            ReduceOp::Sum => values.iter().sum(),
            ReduceOp::Mean => values.iter().sum::<f64>() / values.len() as f64,
            ReduceOp::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ReduceOp::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            ReduceOp::Product => values.iter().product(),
        }
    }

    proptest! {
        #[test]
        fn any_shape(outer in 1_usize..4, len in 1_usize..700, inner in 1_usize..40, which in 0_usize..4) {
            prop_assume!(outer * len * inner < 8000);
            let op = [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min][which];
            let mut rig = Rig::new();
            let values = numbers(7, outer * len * inner);
            let (input, output) = (rig.put(&values), rig.room::<f32>(outer * inner));
            let step = Reduce { input, output, outer, len, inner, op };
            let actual: Vec<f32> = rig.run(output, outer * inner, |memory| run_f32(memory, &step));
            let mut expect = Vec::new();
            for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
                let column: Vec<f64> = (0..len).map(|l| values[(o * len + l) * inner + i].into()).collect();
                expect.push(exact(op, &column));
            }
            // At most 64 additions to a block, 11 blocks and 8 lanes, of numbers up to 2.
            let roundings = (len.min(BLOCK) + len / BLOCK + 9) as f64;
            let scale = if op == ReduceOp::Mean { 2.0 } else { 2.0 * len as f64 };
            close(&actual, &expect, |_| roundings * scale * f64::from(f32::EPSILON) / 2.0);
        }
    }
}
