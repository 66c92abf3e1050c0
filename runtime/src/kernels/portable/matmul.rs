//! Products of matrices that are both computed.

use super::access;
use super::in_rows::InRows as _;
use super::strided::{Walk, elements};
use crate::kernels::generic::matmul::Product;
use crate::kernels::told;
use crate::kernels::vector::{Lanes, Portable, Vector};
use crate::memory::{Memory, Plain};
use crate::steps::MatMul;

/// `output[.., i, j] = Σ_k a[.., i, k] · b[.., k, j]`, all row-major, with broadcast batch dimensions.
pub fn matmul_f32(memory: &mut Memory<'_>, step: &MatMul) {
    told(run::<Lanes<4>>(Portable, memory, step));
}

/// See [`matmul_f32`].
#[inline(always)]
pub fn run<V: Vector>(isa: V::Isa, memory: &mut Memory<'_>, step: &MatMul) -> Option<()> {
    let &MatMul { n, k, .. } = step;
    products(memory, step, |result, a, b| Product { result, a, b, n, k }.compute::<V>(isa))
}

/// Computes each product of the batch: the matrices of the result, of `a` and of `b`.
#[inline(always)]
pub fn products<T: Plain>(
    memory: &mut Memory<'_>,
    step: &MatMul,
    mut compute: impl FnMut(&mut [T], &[T], &[T]) -> Option<()>,
) -> Option<()> {
    let &MatMul { m, n, k, .. } = step;
    let [a_len, b_len, len] = [elements(&[m, k])?, elements(&[k, n])?, elements(&[m, n])?];
    let count = elements(&step.batch)?.checked_mul(len)?;
    let (operands, result) = access::result::<T>(memory, step.output, count)?;
    if count == 0 {
        return Some(());
    }
    let walk = Walk::new(padded(step.batch, 1), [strides(step.a_strides)?, strides(step.b_strides)?])?;
    let [a_reach, b_reach] = [walk.reach(0)?, walk.reach(1)?];
    let a = operands.slice::<T>(step.a, (a_reach.len - 1).checked_add(a_len)?)?;
    let b = operands.slice::<T>(step.b, (b_reach.len - 1).checked_add(b_len)?)?;
    let mut results = result.rows_mut(len);
    let [a_stride, b_stride] = walk.row_strides().map(isize::unsigned_abs);
    for [a_at, b_at] in walk.rows() {
        for i in 0..walk.row_len() {
            let a = a.get(a_at.unsigned_abs() + i * a_stride..)?.get(..a_len)?;
            let b = b.get(b_at.unsigned_abs() + i * b_stride..)?.get(..b_len)?;
            compute(results.next()?, a, b)?;
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, close, numbers};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    #[track_caller]
    fn check(batch: [usize; 4], [a_strides, b_strides]: [[usize; 4]; 2], [m, n, k]: [usize; 3]) {
        let last = |strides: [usize; 4]| batch.iter().zip(strides).map(|(b, s)| (b - 1) * s).sum::<usize>();
        let a_values = numbers(1, last(a_strides) + m * k);
        let b_values = numbers(2, last(b_strides) + k * n);
        let count = batch.iter().product::<usize>() * m * n;
        let mut rig = Rig::new();
        let (a, b, output) = (rig.put(&a_values), rig.input(&b_values), rig.room::<f32>(count));
        let step = MatMul { a, b, output, batch, a_strides, b_strides, m, n, k };
        let actual: Vec<f32> = rig.run(output, count, |memory| run::<Lanes<4>>(Portable, memory, &step));
        let mut expect = Vec::new();
        for flat in 0..count {
            let (mut rest, j, i) = (flat / (m * n), flat % n, flat / n % m);
            let (mut a_at, mut b_at) = (i * k, j);
            for d in (0..4).rev() {
                a_at += rest % batch[d] * a_strides[d];
                b_at += rest % batch[d] * b_strides[d];
                rest /= batch[d];
            }
            let product = |l: usize| f64::from(a_values[a_at + l]) * f64::from(b_values[b_at + l * n]);
            expect.push((0..k).map(product).sum());
        }
        // k products of up to 4, each rounded once and added with one rounding.
        let tolerance = (k * k) as f64 * 4.0 * f64::from(f32::EPSILON);
        close(&actual, &expect, |_| tolerance);
    }

    #[test]
    fn heads_of_attention() {
        check([1, 1, 2, 4], [[0, 0, 0, 77], [0, 0, 0, 77]], [7, 7, 11]);
        check([1, 1, 2, 3], [[0, 0, 300, 100], [0, 0, 60, 0]], [10, 6, 10]);
    }

    #[test]
    fn a_deep_sum() {
        check([1; 4], [[0; 4]; 2], [5, 9, 600]);
    }

    #[test]
    fn no_depth_gives_zeros() {
        check([1, 1, 1, 2], [[0; 4]; 2], [2, 3, 0]);
    }

    proptest! {
        #[test]
        fn any_shape(m in 1_usize..12, n in 1_usize..20, k in 1_usize..30, (b0, b1) in (1_usize..3, 1_usize..3)) {
            check([1, b0, 1, b1], [[0, m * k * b1, 0, m * k], [0, 0, 0, k * n]], [m, n, k]);
        }
    }
}
