//! Softmax and its logarithm along an axis.

use super::access::{self, told};
use super::fold::{fold, max, sum};
use super::strided::elements;
use crate::math::{exp, ln};
use crate::memory::Memory;
use crate::steps::Softmax;

/// `output[o, l, i] = e^(x − m) / Σ_l e^(x − m)` with `x = input[o, l, i]` and `m` the maximum over `l`; or
/// its logarithm, `x − m − ln Σ`.
pub fn softmax_f32(memory: &mut Memory<'_>, step: &Softmax) {
    told(run(memory, step));
}

fn run(memory: &mut Memory<'_>, step: &Softmax) -> Option<()> {
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

fn row(row: &mut [f32]) {
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
    for row in block.chunks_exact_mut(inner) {
        let columns = row.get_mut(column..).unwrap_or_default();
        columns.iter_mut().zip(lanes.iter_mut()).for_each(|(x, lane)| f(x, lane));
    }
}
