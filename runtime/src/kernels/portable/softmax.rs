//! Softmax and its logarithm along an axis.

use super::access;
use super::fold::{fold, max, sum};
use super::in_rows::InRows as _;
use super::strided::elements;
use crate::kernels::told;
use crate::math::{exp, ln};
use crate::memory::Memory;
use crate::steps::Softmax;

/// `output[o, l, i] = e^(x − m) / Σ_l e^(x − m)` with `x = input[o, l, i]` and `m` the maximum over `l`; or
/// its logarithm, `x − m − ln Σ`.
pub fn softmax_f32(memory: &mut Memory<'_>, step: &Softmax) {
    told(run(memory, step, row));
}

/// See [`softmax_f32`]; `row` computes it of one row, in place.
pub fn run(memory: &mut Memory<'_>, step: &Softmax, row: impl Fn(&mut [f32])) -> Option<()> {
    let &Softmax { outer, len, inner, log, .. } = step;
    let (operands, result) = access::result::<f32>(memory, step.output, elements(&[outer, len, inner])?)?;
    let buffer = operands.in_place(step.input, result)?;
    match (inner, log) {
        (1, false) => buffer.pieces(len, row),
        (1, true) => buffer.pieces(len, log_row),
        (_, log) => buffer.pieces(len.checked_mul(inner)?, |block| columns(block, inner, log)),
    }
    Some(())
}

/// Of one row, in place.
pub fn row(row: &mut [f32]) {
    let largest = fold(row, f32::NEG_INFINITY, |x| x, max);
    row.iter_mut().for_each(|x| *x = exp(*x - largest));
    let sum = sum(row, |x| x);
    row.iter_mut().for_each(|x| *x /= sum);
}

fn log_row(row: &mut [f32]) {
    let largest = fold(row, f32::NEG_INFINITY, |x| x, max);
    let ln_sum = ln(sum(row, |x| exp(x - largest)));
    row.iter_mut().for_each(|x| *x = *x - largest - ln_sum);
}

/// Columns that are computed at once.
const LANES: usize = 16;

/// All columns of a matrix with `inner` of them.
fn columns(block: &mut [f32], inner: usize, log: bool) {
    for column in (0..inner).step_by(LANES) {
        let lanes = &mut [(f32::NEG_INFINITY, 0.0); LANES];
        each(block, inner, column, lanes, |x, (largest, _)| *largest = max(*largest, *x));
        if log {
            each(block, inner, column, lanes, |x, (largest, sum)| *sum += exp(*x - *largest));
            lanes.iter_mut().for_each(|(_, sum)| *sum = ln(*sum));
            each(block, inner, column, lanes, |x, (largest, ln_sum)| *x = *x - *largest - *ln_sum);
        } else {
            each(block, inner, column, lanes, |x, (largest, sum)| {
                *x = exp(*x - *largest);
                *sum += *x;
            });
            each(block, inner, column, lanes, |x, (_, sum)| *x /= *sum);
        }
    }
}

/// Calls `f` with every element of the columns from `column` on and its column's maximum and sum.
#[inline(always)]
fn each(
    block: &mut [f32],
    inner: usize,
    column: usize,
    lanes: &mut [(f32, f32); LANES],
    f: impl Fn(&mut f32, &mut (f32, f32)),
) {
    for row in block.rows_mut(inner) {
        let columns = row.get_mut(column..).unwrap_or_default();
        columns.iter_mut().zip(lanes.iter_mut()).for_each(|(x, lane)| f(x, lane));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, close, numbers};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn exact(values: &[f64], log: bool) -> Vec<f64> {
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = values.iter().map(|x| (x - largest).exp()).sum();
        let result = |x: &f64| if log { x - largest - sum.ln() } else { (x - largest).exp() / sum };
        values.iter().map(result).collect()
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        let mut rig = Rig::new();
        let input = rig.put(&[1000.0_f32, 1000.0, -1e30, f32::NEG_INFINITY]);
        let step = Softmax { input, output: input, outer: 1, len: 4, inner: 1, log: false };
        assert_eq!(rig.run::<f32>(input, 4, |memory| run(memory, &step, row)), [0.5, 0.5, 0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn any_shape(
            (outer, len, inner) in (1_usize..4, 1_usize..30, 1_usize..40),
            (log, in_place) in any::<(bool, bool)>(),
            spread in 0.1_f32..30.0,
        ) {
            let mut rig = Rig::new();
            let values: Vec<f32> = numbers(3, outer * len * inner).iter().map(|x| x * spread).collect();
            let input = rig.put(&values);
            let output = if in_place { input } else { rig.room::<f32>(values.len()) };
            let step = Softmax { input, output, outer, len, inner, log };
            let actual: Vec<f32> = rig.run(output, values.len(), |memory| run(memory, &step, row));
            let mut expect = std::vec![0.0; values.len()];
            for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
                let places = (0..len).map(|l| (o * len + l) * inner + i);
                let column: Vec<f64> = places.clone().map(|at| values[at].into()).collect();
                places.zip(exact(&column, log)).for_each(|(at, value)| expect[at] = value);
            }
            // x − m is off by ε/2 · 4 · spread, which is the relative error of its exponential; then come
            // three roundings and those of a sum of 30. Subnormal results are off by their spacing.
            let relative = (2.0 * f64::from(spread) + 35.0) * f64::from(f32::EPSILON);
            close(&actual, &expect, |at| relative * if log { 1.0 + expect[at].abs() } else { expect[at] } + 2e-45);
        }
    }
}
