//! Matrix products by packed constants: pointwise convolution and dense layers.
//!
//! A tile is `M` positions × `W` vectors of channels, its sums in registers. The matrix is packed in panels
//! of `NR` columns, each `k`×`NR` row-major, so a tile reads it in the order in which it lies.
//!
//! Where half a vector of columns is left, a vector holds it for two steps of the depth: the columns' weights for both
//! stand in pairs, and the two sums of a column are added when it is finished. Where units are as wide as a vector, a
//! multiply-add of half of one would cost as much as of a whole one.

use super::ahead::{Asks, Later};
use super::epilogue::{Destination, Ending, Finish, offsets};
use super::row::Row;
use super::split::{next, of_height};
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Sink, Source, constants, pieces};
use crate::memory::Memory;
use crate::steps::Pointwise;
use core::ops::Range;

pub use super::ahead::Ahead;

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
    fn with_pairs<const NR: usize>(
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
    if W == 1 {
        let whole = len - len % DEPTH;
        for k in (0..whole).step_by(DEPTH) {
            // SAFETY: the rows from `k` on are below `len`.
            unsafe { narrow::<V, M, W, DEPTH, false>(isa, sums, a, b[0].add(k * NR), NR, k, ahead) }
        }
        for k in whole..len {
            // SAFETY: row `k` is below `len`.
            unsafe { narrow::<V, M, W, 1, false>(isa, sums, a, b[0].add(k * NR), NR, k, ahead) }
        }
        return;
    }
    for k in 0..len {
        ahead.ask::<V>(isa, k);
        // SAFETY: row and element `k` are below `len`.
        unsafe {
            let row = load_row::<V, W>(isa, b, k * NR);
            for m in 0..M {
                row_of_sums(isa, &mut sums[m], a[m].add(k), row);
            }
        }
    }
}

/// As [`accumulate`], of rows of `a` that lie `stride` elements apart.
///
/// # Safety
///
/// As [`accumulate`].
#[inline(always)]
pub unsafe fn accumulate_strided<V: Vector, const NR: usize, const M: usize, const W: usize>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    a: *const f32,
    stride: usize,
    b: [*const f32; W],
    len: usize,
    ahead: Ahead,
) {
    if W == 1 || M <= FEW {
        // SAFETY: the caller's.
        unsafe { return accumulate::<V, NR, M, W>(isa, sums, offsets(a, stride), b, len, ahead) }
    }
    let mut rows = Rows::<M>::new(a, stride);
    for k in 0..len {
        ahead.ask::<V>(isa, k);
        // SAFETY: row and element `k` are below `len`.
        unsafe { rows.multiply(isa, sums, load_row::<V, W>(isa, b, k * NR)) }
        rows = rows.next();
    }
}

/// Elements of `M` rows that lie at equal distances. A tile of many rows keeps a pointer to every third one: the others
/// lie 1, 2, 4 and 8 rows behind one of them, which is what an address can say. A pointer for each row would not fit the
/// registers, and the compiler would make one from the other, a sum for each. Of a few rows it does well.
pub struct Rows<const M: usize> {
    pointers: [*const f32; MOST.div_ceil(APART)],
    /// Bytes from one row to the next.
    stride: usize,
}

impl<const M: usize> Rows<M> {
    const POINTERS: usize = if M > FEW { M.div_ceil(APART) } else { 1 };

    /// The rows from `first` on, `stride` elements apart.
    #[inline(always)]
    pub fn new(first: *const f32, stride: usize) -> Self {
        let stride = stride.wrapping_mul(size_of::<f32>());
        let pointers = core::array::from_fn(|i| first.wrapping_byte_add((i * APART).wrapping_mul(stride)));
        Self { pointers, stride }.known_by_register()
    }

    /// The next element of each row.
    #[inline(always)]
    fn next(self) -> Self {
        Self { pointers: self.pointers.map(|pointer| pointer.wrapping_add(1)), ..self }.known_by_register()
    }

    /// Hides from the compiler how the pointers were made.
    #[inline(always)]
    fn known_by_register(mut self) -> Self {
        if M > FEW {
            for pointer in &mut self.pointers[..Self::POINTERS] {
                *pointer = opaque(*pointer);
            }
        }
        self
    }

    /// `sums[m][w] += row m's element · row[w]`
    ///
    /// # Safety
    ///
    /// The elements must be readable.
    #[inline(always)]
    pub unsafe fn multiply<V: Vector, const W: usize>(
        &self,
        isa: V::Isa,
        sums: &mut [[V; W]; M],
        row: [V; W],
    ) {
        for m in 0..M {
            let (pointer, rows) = if M > FEW { NEAREST[m] } else { (0, m) };
            // SAFETY: the caller's.
            unsafe {
                let a = self.pointers[pointer].wrapping_byte_add(rows.wrapping_mul(self.stride));
                row_of_sums(isa, &mut sums[m], a, row);
            }
        }
    }
}

/// A pointer of which the compiler does not know how it was made.
#[inline(always)]
#[allow(clippy::pointers_in_nomem_asm_block, reason = "nothing is read through it here")]
fn opaque(pointer: *const f32) -> *const f32 {
    #[cfg(target_arch = "x86_64")]
    {
        let same;
        // SAFETY: there is no instruction, and the register keeps its content.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) pointer => same, options(pure, nomem, nostack, preserves_flags));
        }
        same
    }
    #[cfg(not(target_arch = "x86_64"))]
    pointer
}

/// Rows of a tile that a pointer each may have.
const FEW: usize = 6;

/// Rows of a tile at most.
const MOST: usize = 14;

/// Rows from one pointer to the next.
const APART: usize = 3;

/// Which pointer is 0, 1, 2, 4 or 8 rows before each row, and how many.
const NEAREST: [(usize, usize); MOST] = {
    let mut nearest = [(0, 0); MOST];
    let mut m = 0;
    while m < MOST {
        let mut pointer = m / APART;
        while !matches!(m - pointer * APART, 0 | 1 | 2 | 4 | 8) {
            pointer -= 1;
        }
        nearest[m] = (pointer, m - pointer * APART);
        m += 1;
    }
    nearest
};

/// `W` vectors, `offset` elements behind each `b`.
///
/// # Safety
///
/// They must be readable.
#[inline(always)]
pub unsafe fn load_row<V: Vector, const W: usize>(isa: V::Isa, b: [*const f32; W], offset: usize) -> [V; W] {
    let mut row = [V::splat(isa, 0.0); W];
    for w in 0..W {
        // SAFETY: the caller's.
        row[w] = unsafe { V::load(isa, b[w].add(offset)) };
    }
    row
}

/// `sums[w] += a · row[w]`
///
/// # Safety
///
/// `a` must be readable.
#[inline(always)]
pub unsafe fn row_of_sums<V: Vector, const W: usize>(
    isa: V::Isa,
    sums: &mut [V; W],
    a: *const f32,
    row: [V; W],
) {
    // SAFETY: the caller's.
    let x = V::splat(isa, unsafe { *a });
    for w in 0..W {
        sums[w] = x.mul_add(row[w], sums[w]);
    }
}

/// As [`accumulate`], of half a vector of columns: a vector at `b` holds them for two steps of the depth in pairs, and
/// so do the sums.
///
/// # Safety
///
/// `len` elements must be readable from each `a`, and half as many vectors, rounded up, from `b`.
#[inline(always)]
unsafe fn accumulate_pairs<V: Vector, const M: usize>(
    isa: V::Isa,
    sums: &mut [[V; 1]; M],
    a: [*const f32; M],
    b: *const f32,
    len: usize,
    ahead: Ahead,
) {
    let (long, whole) = (len - len % (2 * DEPTH), len - len % 2);
    for k in (0..long).step_by(2 * DEPTH) {
        // SAFETY: the elements from `k` on are below `len`.
        unsafe { narrow::<V, M, 1, DEPTH, true>(isa, sums, a, b.add(k / 2 * V::LANES), V::LANES, k, ahead) }
    }
    for k in (long..whole).step_by(2) {
        // SAFETY: elements `k` and `k + 1` are below `len`.
        unsafe { narrow::<V, M, 1, 1, true>(isa, sums, a, b.add(k / 2 * V::LANES), V::LANES, k, ahead) }
    }
    if whole < len {
        // SAFETY: element `whole` is below `len`.
        unsafe {
            let row = V::load(isa, b.add(whole / 2 * V::LANES));
            for m in 0..M {
                let last = [*a[m].add(whole), 0.0];
                sums[m][0] = V::splat_pair(isa, last.as_ptr()).mul_add(row, sums[m][0]);
            }
        }
    }
}

/// Rows of `b` that a narrow tile holds, so that the address of a row of `a` is found once for all of them.
const DEPTH: usize = 4;

/// `D` rows of one vector of a matrix, `stride` elements apart, each for one element of `a`, from `k` on, or two.
///
/// # Safety
///
/// The elements must be readable.
#[inline(always)]
unsafe fn narrow<V: Vector, const M: usize, const W: usize, const D: usize, const PAIRS: bool>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    a: [*const f32; M],
    b: *const f32,
    stride: usize,
    k: usize,
    ahead: Ahead,
) {
    let mut rows = [V::splat(isa, 0.0); D];
    for d in 0..D {
        ahead.ask::<V>(isa, k + d);
        // SAFETY: the caller's.
        rows[d] = unsafe { V::load(isa, b.add(d * stride)) };
    }
    for m in 0..M {
        for d in 0..D {
            // SAFETY: the caller's.
            let x = unsafe {
                if PAIRS { V::splat_pair(isa, a[m].add(k + 2 * d)) } else { V::splat(isa, *a[m].add(k + d)) }
            };
            sums[m][0] = x.mul_add(rows[d], sums[m][0]);
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
        let Panels { weights, k, .. } = *self.panels;
        let next = weights.wrapping_add(columns.end / NR * NR * k);
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
        let k = product.panels.k;
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
        let k = product.panels.k;
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
