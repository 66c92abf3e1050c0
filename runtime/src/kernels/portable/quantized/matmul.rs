//! Products of matrices of codes that are both computed.

use super::combine::steps;
use crate::kernels::generic::requantize::{Requantizer, Uniform};
use crate::kernels::portable::matmul::products;
use crate::kernels::told;
use crate::memory::Memory;
use crate::steps::{Codes, QuantizedMatMul};

/// Columns at a time.
const LANES: usize = 8;

/// See [`QuantizedMatMul`].
#[inline(never)]
pub fn matmul_q8(memory: &mut Memory<'_>, step: &QuantizedMatMul) {
    told(run(memory, step));
}

pub(in crate::kernels) fn run(memory: &mut Memory<'_>, step: &QuantizedMatMul) -> Option<()> {
    let end = Uniform::new(memory, &step.requantize, [step.multipliers, step.shifts])?;
    let &QuantizedMatMul { n, k, .. } = step;
    let codes = [step.a_codes, step.b_codes];
    products::<u8>(memory, &step.product(), |result, a, b| {
        for (i, to) in result.chunks_exact_mut(n).enumerate() {
            let row = Row { of: a.get(i * k..)?.get(..k)?, b, n, codes, end: end.requantizer() };
            let whole = n - n % LANES;
            (0..whole).step_by(LANES).for_each(|column| row.columns::<LANES>(column, to));
            (whole..n).for_each(|column| row.columns::<1>(column, to));
        }
        Some(())
    })
}

/// A row of `a`, and the matrix that it is multiplied by.
struct Row<'a> {
    of: &'a [u8],
    b: &'a [u8],
    n: usize,
    codes: [Codes; 2],
    end: Requantizer<'a>,
}

impl Row<'_> {
    /// `N` columns of the result.
    #[inline(always)]
    fn columns<const N: usize>(&self, column: usize, to: &mut [u8]) {
        let [a_codes, b_codes] = self.codes;
        let mut sums = [0_i32; N];
        for (&x, row) in self.of.iter().zip(self.b.chunks_exact(self.n)) {
            let x = steps(x, a_codes);
            let Some(row) = row.get(column..).and_then(<[u8]>::first_chunk::<N>) else { return };
            for (sum, &y) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(x.wrapping_mul(steps(y, b_codes)));
            }
        }
        for (to, sum) in to.iter_mut().skip(column).zip(sums) {
            *to = self.end.byte(sum, 0);
        }
    }
}
