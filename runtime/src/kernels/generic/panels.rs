//! A packed matrix: panels of columns, read in the order in which they lie.

use crate::kernels::vector::Vector;
use crate::kernels::view::constants;
use crate::memory::Memory;

/// A packed matrix and its bias.
pub struct Panels {
    weights: *const f32,
    bias: *const f32,
    k: usize,
    /// Columns without those that only fill the last panel.
    pub n: usize,
}

impl Panels {
    /// `k`×`n` values at `weights` in panels of `NR` columns, `n` at `bias`, both padded to whole panels.
    pub fn new<const NR: usize>(
        memory: &Memory<'_>,
        weights: usize,
        bias: usize,
        k: usize,
        n: usize,
    ) -> Option<Self> {
        let padded = n.checked_next_multiple_of(NR)?;
        let weights = constants(memory, weights, padded.checked_mul(k)?)?;
        let bias = constants(memory, bias, padded)?;
        Some(Self { weights, bias, k, n })
    }

    /// As [`new`](Self::new), where half a panel's columns are left: two rows of them are one of the last panel, the
    /// values of a column side by side.
    pub fn with_pairs<const NR: usize>(
        memory: &Memory<'_>,
        weights: usize,
        bias: usize,
        k: usize,
        n: usize,
    ) -> Option<Self> {
        let whole = n - n % NR;
        if n - whole != NR / 2 {
            return None;
        }
        let len = whole.checked_mul(k)?.checked_add(k.div_ceil(2).checked_mul(NR)?)?;
        let weights = constants(memory, weights, len)?;
        let bias = constants(memory, bias, n)?;
        Some(Self { weights, bias, k, n })
    }

    /// Rows of the matrix.
    pub const fn k(&self) -> usize {
        self.k
    }

    /// Where the panel begins of which `column` is the first.
    pub const fn panel(&self, column: usize) -> *const f32 {
        self.weights.wrapping_add(column * self.k)
    }

    /// Where the rows of `W` vectors of columns begin, `NR` elements from one row to the next.
    ///
    /// # Safety
    ///
    /// The columns, of which the first is `column`, must be in the matrix or fill its last panel.
    #[inline(always)]
    pub unsafe fn columns<V: Vector, const NR: usize, const W: usize>(
        &self,
        column: usize,
    ) -> [*const f32; W] {
        let mut pointers = [self.weights; W];
        for (w, pointer) in pointers.iter_mut().enumerate() {
            let column = column + w * V::LANES;
            // SAFETY: the panel of a column that the caller vouches for.
            *pointer = unsafe { self.weights.add(column / NR * NR * self.k + column % NR) };
        }
        pointers
    }

    /// The bias of `W` vectors of columns, for each of `M` positions.
    ///
    /// # Safety
    ///
    /// As [`columns`](Self::columns).
    #[inline(always)]
    pub unsafe fn bias<V: Vector, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        column: usize,
    ) -> [[V; W]; M] {
        let mut bias = [V::splat(isa, 0.0); W];
        for (w, bias) in bias.iter_mut().enumerate() {
            // SAFETY: the bias is padded as the columns are.
            *bias = unsafe { V::load(isa, self.bias.add(column + w * V::LANES)) };
        }
        [bias; M]
    }
}
