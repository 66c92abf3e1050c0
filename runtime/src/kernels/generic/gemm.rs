//! Matrix products by packed constants: pointwise convolution and dense layers.
//!
//! A tile is `M` positions × `W` vectors of channels, its sums in registers. The matrix is packed in panels
//! of `NR` columns, each `k`×`NR` row-major, so a tile reads it in the order in which it lies.

use super::epilogue::{Finish, offsets, offsets_mut};
use super::row::Row;
use super::split::split;
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Sink, Source, constants, pieces};
use crate::memory::Memory;
use crate::steps::Pointwise;
use core::ops::Range;

/// Bytes of input rows that are passed over panel after panel, for each lane of a vector: a quarter of the level 2
/// cache of 512 KiB of CPUs with 8 lanes, and of 1 MiB of those with 16. Fewer bytes would let the matrix be read again
/// sooner, which no cache near the core may hold.
const BLOCK_BYTES: usize = 16 << 10;

/// See [`Pointwise`]; tiles are at most `MR` rows high.
#[inline(always)]
pub fn run<V: Vector, const NR: usize, const MR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Pointwise,
    rows: Range<usize>,
) -> Option<()> {
    let (k, n) = (step.input.channels, step.output.channels);
    if (step.input.height, step.input.width) != (step.output.height, step.output.width) {
        return None;
    }
    let input = Source::new(memory, &step.input)?;
    let output = Sink::new(memory, &step.output, &rows)?;
    let panels = Panels::new::<NR>(memory, step.weights, step.bias, k, n)?;
    let finish = Finish::new(memory, &step.epilogue, &step.output)?;
    let width = step.input.width;
    let block = (V::LANES * BLOCK_BYTES / size_of::<f32>() / k.max(1)).max(MR) / MR * MR;
    for piece in pieces(rows, [input.rows(), output.rows(), finish.rows()]) {
        let m = piece.len() * width;
        for first in (0..m).step_by(block) {
            // SAFETY: the rows of a piece lie behind one another in all maps, so there are `m` positions
            // from each base on.
            unsafe {
                let part = Product {
                    m: block.min(m - first),
                    input: input.row(piece.start).add(first * k),
                    output: output.row(piece.start).add(first * n),
                    residual: finish.row(piece.start).map(|residual| residual.add(first * n)),
                    panels: &panels,
                    finish: &finish,
                };
                part.multiply::<V, NR, MR>(isa);
            }
        }
    }
    Some(())
}

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

/// What is asked for while a tile is computed.
#[derive(Clone, Copy)]
pub struct Ahead {
    at: *const f32,
    /// Elements from one step of the depth to the next.
    step: usize,
}

impl Ahead {
    /// Nothing new: an address that is read anyway.
    pub const fn nothing(read: *const f32) -> Self {
        Self { at: read, step: 0 }
    }
}

/// `sums[m][w] += Σ_k a[m][k] · b[w][k·NR ..]` over `len` elements.
///
/// # Safety
///
/// `len` elements must be readable from each `a`, and `len` rows of `NR` elements from each `b`.
#[inline(always)]
pub unsafe fn accumulate<V: Vector, const NR: usize, const M: usize, const W: usize>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    a: [*const f32; M],
    b: [*const f32; W],
    len: usize,
    ahead: Ahead,
) {
    for k in 0..len {
        V::prefetch(isa, ahead.at.wrapping_add(k * ahead.step));
        let mut row = [V::splat(isa, 0.0); W];
        for w in 0..W {
            // SAFETY: row `k` is below `len`.
            row[w] = unsafe { V::load(isa, b[w].add(k * NR)) };
        }
        for m in 0..M {
            // SAFETY: element `k` is below `len`.
            let x = V::splat(isa, unsafe { *a[m].add(k) });
            for w in 0..W {
                sums[m][w] = x.mul_add(row[w], sums[m][w]);
            }
        }
    }
}

/// The product of `m` positions that lie behind one another.
struct Product<'a> {
    m: usize,
    input: *const f32,
    output: *mut f32,
    residual: Option<*const f32>,
    panels: &'a Panels,
    finish: &'a Finish<'a>,
}

impl Product<'_> {
    /// # Safety
    ///
    /// `m` positions must be readable from `input` and `residual` and writable from `output`.
    #[inline(always)]
    unsafe fn multiply<V: Vector, const NR: usize, const MR: usize>(&self, isa: V::Isa) {
        let n = self.panels.n;
        if self.m == 1 {
            match NR / V::LANES {
                1 => return self.row::<V, 1>(isa),
                2 => return self.row::<V, 2>(isa),
                4 => return self.row::<V, 4>(isa),
                _ => {}
            }
        }
        let mut column = 0;
        while column < n {
            column += match width::<V, NR>(self.m, n - column) {
                Width::Halves(3) => self.stripe::<V::Half, NR, 4, 3>(isa.into(), column),
                Width::Halves(_) => self.stripe::<V::Half, NR, 6, 1>(isa.into(), column),
                Width::Whole(4) => self.stripe::<V, NR, 2, 4>(isa, column),
                Width::Whole(3) => self.stripe::<V, NR, 4, 3>(isa, column),
                Width::Whole(2) => self.stripe::<V, NR, MR, 2>(isa, column),
                Width::Whole(_) => self.stripe::<V, NR, MR, 1>(isa, column),
            };
        }
    }

    /// The only row, where panels are `W` vectors wide.
    #[inline(always)]
    fn row<V: Vector, const W: usize>(&self, isa: V::Isa) {
        let Self { input, output, residual, panels, finish, .. } = *self;
        V::apart(isa, Row::<V, W> { isa, panels, input, output, residual, finish });
    }

    /// `W` vectors of columns of all rows, in tiles of nearly equal heights up to `MR`. Answers how many columns.
    #[inline(always)]
    fn stripe<V: Vector, const NR: usize, const MR: usize, const W: usize>(
        &self,
        isa: V::Isa,
        column: usize,
    ) -> usize {
        let mut row = 0;
        for (height, count) in split(self.m, MR) {
            if count == 0 {
                continue;
            }
            match height {
                8 if MR >= 8 => self.apart::<V, NR, 8, W>(isa, row, count, column),
                7 if MR >= 7 => self.apart::<V, NR, 7, W>(isa, row, count, column),
                6 if MR >= 6 => self.apart::<V, NR, 6, W>(isa, row, count, column),
                5 if MR >= 5 => self.apart::<V, NR, 5, W>(isa, row, count, column),
                4 if MR >= 4 => self.apart::<V, NR, 4, W>(isa, row, count, column),
                3 if MR >= 3 => self.apart::<V, NR, 3, W>(isa, row, count, column),
                2 if MR >= 2 => self.apart::<V, NR, 2, W>(isa, row, count, column),
                _ => self.apart::<V, NR, 1, W>(isa, row, count, column),
            }
            row += height * count;
        }
        W * V::LANES
    }

    #[inline(always)]
    fn apart<V: Vector, const NR: usize, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        row: usize,
        count: usize,
        column: usize,
    ) {
        let whole = self.panels.n - column >= W * V::LANES;
        if whole && self.finish.is_plain() {
            V::apart(isa, Tiles::<V, NR, M, W, true> { product: self, isa, row, count, column });
        } else {
            V::apart(isa, Tiles::<V, NR, M, W, false> { product: self, isa, row, count, column });
        }
    }
}

/// `count` tiles of `M` rows, one below the other, of `W` vectors of columns; whole ones whose epilogue is plain,
/// or any.
struct Tiles<'a, V: Vector, const NR: usize, const M: usize, const W: usize, const PLAIN: bool> {
    product: &'a Product<'a>,
    isa: V::Isa,
    row: usize,
    count: usize,
    column: usize,
}

impl<V: Vector, const NR: usize, const M: usize, const W: usize, const PLAIN: bool> Task
    for Tiles<'_, V, NR, M, W, PLAIN>
{
    #[inline(always)]
    fn run(self) {
        let Self { product, isa, column, .. } = self;
        let (k, n) = (product.panels.k, product.panels.n);
        let columns = (n - column).min(W * V::LANES);
        let bounds = product.finish.bounds().0;
        // Each tile asks for the share of the next columns that it has of the rows.
        let next = product.panels.weights.wrapping_add((column + W * V::LANES) / NR * NR * k);
        let step = (M * W * V::LANES).div_ceil(product.m.max(1));
        for tile in 0..self.count {
            let row = self.row + tile * M;
            // SAFETY: whoever made the product vouches for its rows, which the tiles divide, and `W` vectors
            // begin in the matrix.
            unsafe {
                let mut sums = product.panels.bias::<V, M, W>(isa, column);
                let a = offsets(product.input.add(row * k), k);
                let b = product.panels.columns::<V, NR, W>(column);
                let ahead = Ahead { at: next.wrapping_add(row / M * step * k), step };
                accumulate::<V, NR, M, W>(isa, &mut sums, a, b, k, ahead);
                let at = row * n + column;
                let output = offsets_mut(product.output.add(at), n);
                let residual = product.residual.map(|residual| offsets(residual.add(at), n));
                if PLAIN {
                    Finish::store_plain(isa, sums, output, residual, bounds);
                } else {
                    product.finish.store(isa, sums, output, residual, columns);
                }
            }
        }
    }
}

/// How wide a tile is, in vectors or halves of them.
enum Width {
    Whole(usize),
    Halves(usize),
}

/// The width of the next tile when `m` rows and `left` columns are to be computed. Few rows take wide tiles, so
/// that enough sums are under way to hide the latency of a multiply-add (4 cycles × 2 units on Zen 3). An odd
/// last vector joins the two before it in a tile of 4 rows (12 sums, 3 vectors of weights and 1 broadcast are
/// AVX2's 16 registers), and an odd half of a vector joins the vector before it as two halves.
#[inline(always)]
const fn width<V: Vector, const NR: usize>(m: usize, left: usize) -> Width {
    let (vectors, halves) = (left.div_ceil(V::LANES), left / V::Half::LANES);
    let odd = V::Half::LANES < V::LANES && left % V::LANES == V::Half::LANES;
    let wide = 2 * V::LANES >= NR && V::Half::LANES == V::LANES;
    match (m, vectors) {
        (..=2, 4..) => Width::Whole(4),
        _ if odd && (halves == 1 || halves == 3) => Width::Halves(halves),
        _ if odd && halves == 5 => Width::Whole(1),
        (_, 3) if wide => Width::Whole(3),
        (_, 2..) => Width::Whole(2),
        _ => Width::Whole(1),
    }
}
