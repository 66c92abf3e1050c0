//! Matrix products by packed constants: pointwise convolution and dense layers.
//!
//! A tile is `M` positions × `W` vectors of channels, its sums in registers. The matrix is packed in panels
//! of `NR` columns, each `k`×`NR` row-major, so a tile reads it in the order in which it lies.
//!
//! Where half a vector of columns is left, a vector holds it for two steps of the depth: the columns' weights for both
//! stand in pairs, and the two sums of a column are added when it is finished. Where units are as wide as a vector, a
//! multiply-add of half of one would cost as much as of a whole one.

use super::accumulate::{accumulate_pairs, accumulate_strided};
use super::ahead::{Ahead, Asks, Later};
use super::epilogue::{Destination, Ending, Finish, offsets};
use super::panels::Panels;
use super::row::Row;
use super::split::{next, of_height};
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Sink, Source, pieces};
use crate::memory::Memory;
use crate::steps::Pointwise;
use core::ops::Range;

/// Bytes of input rows that are passed over panel after panel, for each lane of a vector: a quarter of the level 2
/// cache of 512 KiB of CPUs with 8 lanes, and of 1 MiB of those with 16. Fewer bytes would let the matrix be read again
/// sooner, which no cache near the core may hold.
const BLOCK_BYTES: usize = 16 << 10;

/// See [`Pointwise`]; tiles are at most `MR` rows high. With `PAIRS` panels are a vector wide, and of the columns half a
/// vector is left, in pairs.
#[inline(always)]
pub fn run<V: Vector, const NR: usize, const MR: usize, const PAIRS: bool>(
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
    let panels = if PAIRS {
        Panels::with_pairs::<NR>(memory, step.weights, step.bias, k, n)?
    } else {
        Panels::new::<NR>(memory, step.weights, step.bias, k, n)?
    };
    let finish = Finish::new(memory, &step.epilogue, &step.output)?;
    let later = Later::new(memory, &step.prefetch)?;
    let width = step.input.width;
    let positions = step.input.height * width;
    let block = (V::LANES * BLOCK_BYTES / size_of::<f32>() / k.max(1)).max(MR) / MR * MR;
    for piece in pieces(rows, [input.rows(), output.rows(), finish.rows()]) {
        let m = piece.len() * width;
        for first in (0..m).step_by(block) {
            // SAFETY: the rows of a piece lie behind one another in all maps, so there are `m` positions
            // from each base on.
            unsafe {
                let (len, at) = (block.min(m - first), piece.start * width + first);
                let part = Product {
                    m: len,
                    input: input.row(piece.start).add(first * k),
                    output: output.row(piece.start).add(first * n),
                    residual: finish.row(piece.start).map(|residual| residual.add(first * n)),
                    panels: &panels,
                    finish: &finish,
                    later: later.share(at..at + len, positions),
                };
                part.multiply::<V, NR, MR, PAIRS>(isa);
            }
        }
    }
    Some(())
}

/// The product of `m` positions that lie behind one another.
struct Product<'a> {
    m: usize,
    input: *const f32,
    output: *mut f32,
    residual: Option<*const f32>,
    panels: &'a Panels,
    finish: &'a Finish<'a>,
    later: Later,
}

impl Product<'_> {
    /// # Safety
    ///
    /// `m` positions must be readable from `input` and `residual` and writable from `output`.
    #[inline(always)]
    unsafe fn multiply<V: Vector, const NR: usize, const MR: usize, const PAIRS: bool>(&self, isa: V::Isa) {
        let n = if PAIRS { self.panels.n - NR / 2 } else { self.panels.n };
        let mut column = 0;
        if self.m == 1 {
            match NR / V::LANES {
                1 => column = self.row::<V, 1>(isa, n),
                2 => column = self.row::<V, 2>(isa, n),
                4 => column = self.row::<V, 4>(isa, n),
                _ => {}
            }
        }
        while column < n {
            column += match width::<V, NR>(self.m, n - column) {
                4 => self.stripe::<V, NR, 2, 4>(isa, column, n),
                3 => self.stripe::<V, NR, 4, 3>(isa, column, n),
                2 => self.stripe::<V, NR, MR, 2>(isa, column, n),
                _ => self.stripe::<V, NR, MR, 1>(isa, column, n),
            };
        }
        if PAIRS {
            self.stripe::<V, NR, MR, 0>(isa, column, n);
        }
    }

    /// The first `n` columns of the only row, where panels are `W` vectors wide. Answers `n`.
    #[inline(always)]
    fn row<V: Vector, const W: usize>(&self, isa: V::Isa, n: usize) -> usize {
        let Self { input, output, residual, panels, finish, .. } = *self;
        V::apart(isa, Row::<V, W> { isa, panels, n, input, output, residual, finish });
        n
    }

    /// `W` vectors of columns of all rows, or with 0 the half vector in pairs, in tiles up to `MR` high; the stripes
    /// cover `n` columns. Answers how many columns.
    #[inline(always)]
    fn stripe<V: Vector, const NR: usize, const MR: usize, const W: usize>(
        &self,
        isa: V::Isa,
        column: usize,
        n: usize,
    ) -> usize {
        let asks = self.asks::<V, NR, MR, W>(column..column + W * V::LANES, n);
        let mut row = 0;
        while row < self.m {
            let (height, count) = next(self.m - row, MR);
            of_height!(height, MR, M => self.apart::<V, NR, M, W>(isa, row, count, column, &asks));
            row += height * count;
        }
        W * V::LANES
    }

    /// What the tiles of a stripe of `columns` of the first `n` ask for: the next ones, and its share of what later
    /// steps need.
    #[inline(always)]
    fn asks<V: Vector, const NR: usize, const MR: usize, const W: usize>(
        &self,
        columns: Range<usize>,
        n: usize,
    ) -> Asks {
        let k = self.panels.k();
        let next = self.panels.panel(columns.end / NR * NR);
        let later = self.later.share(columns.start.min(n)..columns.end.min(n), n);
        Asks::new::<V, MR>(next, k, columns.len(), later, self.m)
    }

    #[inline(always)]
    fn apart<V: Vector, const NR: usize, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        row: usize,
        count: usize,
        column: usize,
        asks: &Asks,
    ) {
        let rows = row..row + count * M;
        if W == 0 {
            V::apart(isa, HalfTiles::<V, M> { product: self, isa, rows, column });
        } else {
            V::apart(isa, Tiles::<V, NR, M, W> { product: self, isa, rows, column, asks });
        }
    }

    /// How tiles of columns from one on are finished, `width` of which are whole vectors.
    #[inline(always)]
    fn ending(&self, column: usize, width: usize) -> Ending {
        self.finish.ending(self.panels.n - column >= width)
    }

    /// Finishes a tile.
    ///
    /// # Safety
    ///
    /// The rows must be the product's, and `W` vectors begin in the matrix; the ending is that of these columns.
    #[inline(always)]
    unsafe fn store<V: Vector, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        sums: [[V; W]; M],
        ending: Ending,
        row: usize,
        column: usize,
    ) {
        let n = self.panels.n;
        let at = row * n + column;
        // SAFETY: the caller's.
        unsafe {
            let residual = self.residual.map(|residual| residual.add(at));
            let to = Destination { output: self.output.add(at), residual, apart: n };
            self.finish.store_tile(isa, sums, ending, (n - column).min(W * V::LANES), to);
        }
    }
}

/// Tiles of `M` rows, one below the other, of `W` vectors of columns.
struct Tiles<'a, V: Vector, const NR: usize, const M: usize, const W: usize> {
    product: &'a Product<'a>,
    isa: V::Isa,
    rows: Range<usize>,
    column: usize,
    asks: &'a Asks,
}

impl<V: Vector, const NR: usize, const M: usize, const W: usize> Task for Tiles<'_, V, NR, M, W> {
    #[inline(always)]
    fn run(self) {
        let Self { product, isa, column, asks, .. } = self;
        let k = product.panels.k();
        let ending = product.ending(column, W * V::LANES);
        let asks = asks.of_tiles::<V>(M);
        for row in self.rows.step_by(M) {
            // SAFETY: whoever made the product vouches for its rows, which the tiles divide, and `W` vectors
            // begin in the matrix.
            unsafe {
                let mut sums = product.panels.bias::<V, M, W>(isa, column);
                let a = product.input.add(row * k);
                let b = product.panels.columns::<V, NR, W>(column);
                accumulate_strided::<V, NR, M, W>(isa, &mut sums, a, k, b, k, asks.at(row));
                product.store::<V, M, W>(isa, sums, ending, row, column);
            }
        }
    }
}

/// As [`Tiles`], of the half vector of columns that is in pairs.
struct HalfTiles<'a, V: Vector, const M: usize> {
    product: &'a Product<'a>,
    isa: V::Isa,
    rows: Range<usize>,
    column: usize,
}

impl<V: Vector, const M: usize> Task for HalfTiles<'_, V, M> {
    #[inline(always)]
    fn run(self) {
        let Self { product, isa, column, .. } = self;
        let k = product.panels.k();
        let ending = product.ending(column, V::Half::LANES);
        for row in self.rows.step_by(M) {
            // SAFETY: whoever made the product vouches for its rows, which the tiles divide, and the columns are the
            // matrix's last.
            unsafe {
                let mut pairs = [[V::splat(isa, 0.0)]; M];
                let a = offsets(product.input.add(row * k), k);
                let b = product.panels.panel(column);
                accumulate_pairs::<V, M>(isa, &mut pairs, a, b, k, Ahead::nothing(b));
                let mut sums = product.panels.bias::<V::Half, M, 1>(isa.into(), column);
                for m in 0..M {
                    sums[m][0] = sums[m][0].add(pairs[m][0].pair_sums(isa));
                }
                product.store::<V::Half, M, 1>(isa.into(), sums, ending, row, column);
            }
        }
    }
}

/// How many vectors the next tile is wide when `m` rows and `left` columns are to be computed. Few rows take wide
/// tiles, so that enough sums are under way to hide the latency of a multiply-add (4 cycles × 2 units on Zen 3). An odd
/// last vector joins the two before it in a tile of 4 rows (12 sums, 3 vectors of weights and 1 broadcast are AVX2's 16
/// registers).
#[inline(always)]
const fn width<V: Vector, const NR: usize>(m: usize, left: usize) -> usize {
    let wide = 2 * V::LANES >= NR && V::Half::LANES == V::LANES;
    match (m, left.div_ceil(V::LANES)) {
        (..=2, 4..) => 4,
        (_, 3) if wide => 3,
        (_, 2..) => 2,
        _ => 1,
    }
}
