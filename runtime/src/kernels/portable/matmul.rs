//! Products of matrices that are both computed.

use super::access::{self, told};
use super::strided::{Walk, elements};
use crate::memory::Memory;
use crate::steps::MatMul;
use core::ops::Range;

/// `output[.., i, j] = Σ_k a[.., i, k] · b[.., k, j]`, all row-major, with broadcast batch dimensions.
///
/// Each result is a sum of sums over [`DEPTH`] products: the same order on every CPU.
pub fn matmul_f32(memory: &mut Memory<'_>, step: &MatMul) {
    told(run(memory, step));
}

/// Products that are summed in registers before they are added to the result: 8 columns of `b` of this
/// depth are 8 KiB, a quarter of a first-level cache.
const DEPTH: usize = 256;

fn run(memory: &mut Memory<'_>, step: &MatMul) -> Option<()> {
    let &MatMul { m, n, k, .. } = step;
    let [a_len, b_len, len] = [elements(&[m, k])?, elements(&[k, n])?, elements(&[m, n])?];
    let count = elements(&step.batch)?.checked_mul(len)?;
    let (operands, result) = access::result::<f32>(memory, step.output, count)?;
    if count == 0 {
        return Some(());
    }
    let walk = Walk::new(padded(step.batch, 1), [strides(step.a_strides)?, strides(step.b_strides)?])?;
    let [a_reach, b_reach] = [walk.reach(0)?, walk.reach(1)?];
    let a = operands.slice::<f32>(step.a, (a_reach.len - 1).checked_add(a_len)?)?;
    let b = operands.slice::<f32>(step.b, (b_reach.len - 1).checked_add(b_len)?)?;
    result.fill(0.0);
    let mut results = result.chunks_exact_mut(len);
    let [a_stride, b_stride] = walk.row_strides().map(isize::unsigned_abs);
    for [a_at, b_at] in walk.rows() {
        for i in 0..walk.row_len() {
            let a = a.get(a_at.unsigned_abs() + i * a_stride..)?.get(..a_len)?;
            let b = b.get(b_at.unsigned_abs() + i * b_stride..)?.get(..b_len)?;
            product(results.next()?, a, b, [n, k])?;
        }
    }
    Some(())
}

fn padded<T>([a, b, c, d]: [T; 4], fill: T) -> [T; 6]
where
    T: Copy,
{
    [fill, fill, a, b, c, d]
}

/// Strides of a walk; they are not negative.
fn strides(strides: [usize; 4]) -> Option<[isize; 6]> {
    let mut signed = [0; 4];
    for (signed, stride) in signed.iter_mut().zip(strides) {
        *signed = isize::try_from(stride).ok()?;
    }
    Some(padded(signed, 0))
}

/// Adds `a` · `b` to the result, depth by depth and tile by tile; the panel of `b` is used by all rows of
/// `a` while it is in the cache.
fn product(result: &mut [f32], a: &[f32], b: &[f32], [n, k]: [usize; 2]) -> Option<()> {
    for start in (0..k).step_by(DEPTH) {
        let depth = start..k.min(start + DEPTH);
        let mut column = 0;
        while column < n {
            let panel = b.get(start * n + column..)?;
            column += match n - column {
                8.. => rows::<8>(result, a, panel, [n, k], depth.clone(), column)?,
                4.. => rows::<4>(result, a, panel, [n, k], depth.clone(), column)?,
                _ => rows::<1>(result, a, panel, [n, k], depth.clone(), column)?,
            };
        }
    }
    Some(())
}

/// Adds `a` · `panel` to columns `column..column + W` of all rows; gives `W`.
fn rows<const W: usize>(
    result: &mut [f32],
    a: &[f32],
    panel: &[f32],
    [n, k]: [usize; 2],
    depth: Range<usize>,
    column: usize,
) -> Option<usize> {
    const M: usize = 4;
    let mut results = result.chunks_exact_mut(M * n);
    let mut lefts = a.chunks_exact(M * k);
    for (result, a) in results.by_ref().zip(lefts.by_ref()) {
        tile::<M, W>(result, a, panel, [n, k], depth.clone(), column)?;
    }
    for (result, a) in results.into_remainder().chunks_exact_mut(n).zip(lefts.remainder().chunks_exact(k)) {
        tile::<1, W>(result, a, panel, [n, k], depth.clone(), column)?;
    }
    Some(W)
}

/// `M` rows and `W` columns in registers. 4×8: 8 accumulators + 2 vectors of `b` + 1 broadcast = 11 of
/// the 16 registers of SSE2.
#[inline]
fn tile<const M: usize, const W: usize>(
    result: &mut [f32],
    a: &[f32],
    panel: &[f32],
    [n, k]: [usize; 2],
    depth: Range<usize>,
    column: usize,
) -> Option<()> {
    let mut a_rows: [&[f32]; M] = [&[]; M];
    for (row, a) in a_rows.iter_mut().zip(a.chunks_exact(k)) {
        *row = a.get(depth.clone())?;
    }
    let mut sums = [[0.0; W]; M];
    for (l, b) in (0..depth.len()).zip(panel.chunks(n)) {
        let b = b.first_chunk::<W>()?;
        for (sums, a) in sums.iter_mut().zip(a_rows) {
            let a = *a.get(l)?;
            sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
        }
    }
    for (row, sums) in result.chunks_exact_mut(n).zip(sums) {
        let row = row.get_mut(column..)?.first_chunk_mut::<W>()?;
        row.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
    }
    Some(())
}
