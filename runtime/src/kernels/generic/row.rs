//! One position by a packed matrix: a dense layer.
//!
//! Each weight is used once, so memory bounds it: the panels are read as one stream, from the first byte of the
//! matrix to its last, with the lines ahead asked for. The depth goes over four sums a column, for the latency of
//! one multiply-add is longer than a step of the stream.

use super::epilogue::Finish;
use super::gemm::Panels;
use crate::kernels::vector::{Task, Vector};

/// Sums of each vector of columns.
const SUMS: usize = 4;

/// Elements that the weights are asked for ahead of their use: 2 KiB, by measure on Zen 3.
const AHEAD: usize = 512;

/// Elements of a cache line.
const LINE: usize = 64 / size_of::<f32>();

/// The product of the position at `input` and panels of `W` vectors of columns.
pub struct Row<'a, V: Vector, const W: usize> {
    pub isa: V::Isa,
    pub panels: &'a Panels,
    pub input: *const f32,
    pub output: *mut f32,
    pub residual: Option<*const f32>,
    pub finish: &'a Finish<'a>,
}

impl<V: Vector, const W: usize> Task for Row<'_, V, W> {
    #[inline(always)]
    fn run(self) {
        let Self { isa, panels, .. } = self;
        for column in (0..panels.n).step_by(W * V::LANES) {
            // SAFETY: whoever made the task vouches for the position, and the column is in the matrix.
            unsafe {
                let [sums] = panels.bias::<V, 1, W>(isa, column);
                let sums = self.column(sums, panels.panel(column));
                let columns = (panels.n - column).min(W * V::LANES);
                let residual = self.residual.map(|residual| [residual.add(column)]);
                self.finish.store(isa, [sums], [self.output.add(column)], residual, columns);
            }
        }
    }
}

impl<V: Vector, const W: usize> Row<'_, V, W> {
    /// # Safety
    ///
    /// A panel of as many rows as the position has elements must be readable.
    #[inline(always)]
    unsafe fn column(&self, bias: [V; W], panel: *const f32) -> [V; W] {
        let isa = self.isa;
        let k = self.panels.k();
        let mut sums = [[V::splat(isa, 0.0); W]; SUMS];
        sums[0] = bias;
        let whole = k - k % SUMS;
        for first in (0..whole).step_by(SUMS) {
            for s in 0..SUMS {
                // SAFETY: below `whole`.
                sums[s] = unsafe { self.step(sums[s], panel, first + s) };
            }
        }
        for rest in whole..k {
            // SAFETY: below `k`.
            sums[0] = unsafe { self.step(sums[0], panel, rest) };
        }
        for w in 0..W {
            sums[0][w] = sums[0][w].add(sums[1][w]).add(sums[2][w].add(sums[3][w]));
        }
        sums[0]
    }

    /// # Safety
    ///
    /// Element `k` and row `k` must be there.
    #[inline(always)]
    unsafe fn step(&self, mut sums: [V; W], panel: *const f32, k: usize) -> [V; W] {
        let isa = self.isa;
        let row = panel.wrapping_add(k * W * V::LANES);
        for line in 0..(W * V::LANES).div_ceil(LINE) {
            V::prefetch(isa, row.wrapping_add(AHEAD + line * LINE));
        }
        // SAFETY: the caller's.
        unsafe {
            let x = V::splat(isa, *self.input.add(k));
            for w in 0..W {
                sums[w] = x.mul_add(V::load(isa, row.add(w * V::LANES)), sums[w]);
            }
        }
        sums
    }
}
