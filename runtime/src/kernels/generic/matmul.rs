//! Products of two computed matrices, both row-major.
//!
//! Tiles as of constant matrices; the columns of a tile are read where they lie, which costs nothing as long
//! as the rows that a stripe of them touches fit the level 1 cache.

use super::split::{of_height, split};
use crate::kernels::vector::{Task, Vector};

/// Rows of a tile at most.
const MR: usize = 6;

/// `result = a · b`, with `n` columns and depth `k`.
pub struct Product<'a> {
    pub result: &'a mut [f32],
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub n: usize,
    pub k: usize,
}

impl Product<'_> {
    /// Computes it, when the slices have whole rows that fit each other.
    #[inline(always)]
    pub fn compute<V: Vector>(self, isa: V::Isa) -> Option<()> {
        let Self { result, a, b, n, k } = self;
        let m = result.len().checked_div(n)?;
        if result.len() != m * n || a.len() != m.checked_mul(k)? || b.len() != n.checked_mul(k)? {
            return None;
        }
        let (result, a, b) = (result.as_mut_ptr(), a.as_ptr(), b.as_ptr());
        let stripes = Stripes { isa, result, a, b, m, n, k };
        let mut column = 0;
        while column < n {
            column += if n - column >= 2 * V::LANES {
                stripes.stripe::<V, 2>(column)
            } else {
                stripes.stripe::<V, 1>(column)
            };
        }
        Some(())
    }
}

struct Stripes<I> {
    isa: I,
    result: *mut f32,
    a: *const f32,
    b: *const f32,
    m: usize,
    n: usize,
    k: usize,
}

impl<I: Copy> Stripes<I> {
    /// `W` vectors of columns of all rows; answers how many columns.
    #[inline(always)]
    fn stripe<V: Vector<Isa = I>, const W: usize>(&self, column: usize) -> usize {
        let mut row = 0;
        for (height, count) in split(self.m, MR) {
            if count == 0 {
                continue;
            }
            of_height!(height, MR, M => self.apart::<V, M, W>(row, count, column));
            row += height * count;
        }
        W * V::LANES
    }

    #[inline(always)]
    fn apart<V: Vector<Isa = I>, const M: usize, const W: usize>(
        &self,
        row: usize,
        count: usize,
        column: usize,
    ) {
        let lanes = (self.n - column).min(V::LANES);
        if lanes < V::LANES {
            V::apart(self.isa, Tiles::<V, M, W, false> { of: self, row, count, column, lanes });
        } else {
            V::apart(self.isa, Tiles::<V, M, W, true> { of: self, row, count, column, lanes });
        }
    }
}

/// `count` tiles of `M` rows, one below the other, of `W` vectors; `WHOLE` ones, or one of `lanes` columns.
struct Tiles<'a, V: Vector, const M: usize, const W: usize, const WHOLE: bool> {
    of: &'a Stripes<V::Isa>,
    row: usize,
    count: usize,
    column: usize,
    lanes: usize,
}

impl<V: Vector, const M: usize, const W: usize, const WHOLE: bool> Task for Tiles<'_, V, M, W, WHOLE> {
    #[inline(always)]
    fn run(self) {
        let Stripes { isa, result, a, b, n, k, .. } = *self.of;
        for tile in 0..self.count {
            let row = self.row + tile * M;
            // SAFETY: rows, columns and depth are below those that the slices were seen to have.
            unsafe {
                let mut sums = [[V::splat(isa, 0.0); W]; M];
                let (mut left, mut right) = (a.add(row * k), b.add(self.column));
                for _ in 0..k {
                    let mut columns = [V::splat(isa, 0.0); W];
                    for w in 0..W {
                        let from = right.add(w * V::LANES);
                        columns[w] =
                            if WHOLE { V::load(isa, from) } else { V::load_partial(isa, from, self.lanes) };
                    }
                    for m in 0..M {
                        let x = V::splat(isa, *left.add(m * k));
                        for w in 0..W {
                            sums[m][w] = x.mul_add(columns[w], sums[m][w]);
                        }
                    }
                    left = left.add(1);
                    right = right.wrapping_add(n);
                }
                for m in 0..M {
                    for w in 0..W {
                        let to = result.add((row + m) * n + self.column + w * V::LANES);
                        if WHOLE { sums[m][w].store(to) } else { sums[m][w].store_partial(to, self.lanes) }
                    }
                }
            }
        }
    }
}
