//! Depthwise convolution by square kernels of a fixed size, a block of outputs at a step: a vector that is
//! loaded once serves all of them.
//!
//! The channels are the innermost loop, so that every input position is read as a stream, whatever the
//! distance between positions. At a stride of 1 it reaches 75 % of the multiply-adds' peak from the level 1
//! cache; from the level 2 cache it is bound by the 27 vectors that come from there for 63 multiply-adds. Where
//! that distance is a multiple of 2 KiB (512 or 1024 channels), positions fall into the same cache sets, and the
//! second half of each line is fetched anew.

use super::Band;
use crate::kernels::generic::activation::clamp;
use crate::kernels::generic::split::split;
use crate::kernels::generic::window::{ANYWHERE, INSIDE, LEFT, RIGHT};
use crate::kernels::vector::{Task, Vector};
use crate::memory::Memory;
use crate::steps::Depthwise;
use core::ops::Range;

/// Outputs of a block. 3×3: 7 sums, 3 taps and an input are 11 registers; 9 inputs and 3 taps are loaded for 21
/// multiply-adds. The widths of MobileNets at 224 pixels are multiples of 7.
const BLOCK: usize = 7;

/// The same at a stride of 2: 9 inputs and 3 taps for 12 multiply-adds; the positions of more columns would not
/// fit the registers.
const SPARSE: usize = 4;

/// Outputs of a block of pairs of vectors: 6 sums, 6 taps and 2 inputs are 14 registers.
const PAIRS: usize = 3;

/// The same at a stride of 2.
const SPARSE_PAIRS: usize = 2;

/// Bytes between positions that fall into the same sets of the level 1 cache: 32 sets of 64 bytes, half of those of
/// 32 KiB in 8 ways.
const CONFLICT: usize = 2048;

/// Bytes of a cache line.
const LINE: usize = 64;

/// See [`Depthwise`]; `K`×`K` taps without dilation, a column stride of 1 or 2, one output channel per input
/// channel. Weights are in panels of `PAD` channels.
#[inline(always)]
pub fn square<V: Vector, const PAD: usize, const K: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Depthwise,
    rows: Range<usize>,
) -> Option<()> {
    let stride = step.stride[1];
    if step.kernel != [K, K] || step.dilation != [1, 1] || step.multiplier != 1 || stride > 2 {
        return None;
    }
    if step.epilogue.residual.is_some() {
        // It may lie where the sums go.
        return super::any::<V, PAD>(isa, memory, step, rows);
    }
    let band = Band::<PAD>::new::<V>(memory, step, &rows)?;
    for y in rows {
        let line = Line::<PAD, K>::new(&band, y);
        let c = step.output.channels;
        let whole = c - c % V::LANES;
        line.outputs::<V>(isa, stride, 0..whole);
        let halves = c - c % V::Half::LANES;
        line.outputs::<V::Half>(isa.into(), stride, whole..halves);
        // SAFETY: the row is one that the band was checked for.
        unsafe {
            if halves == whole {
                line.finish::<V>(isa, whole);
            } else {
                line.finish::<V::Half>(isa.into(), halves);
            }
            if halves < c {
                band.outputs::<V>(isa, y, 0..step.output.width, halves);
            }
        }
    }
    Some(())
}

/// One row of outputs, and the input rows that it needs.
struct Line<'a, const PAD: usize, const K: usize> {
    band: &'a Band<'a, PAD>,
    y: usize,
    /// The taps' rows that lie in the map.
    input: [*const f32; K],
    /// Which taps these are.
    taps: Range<usize>,
    /// Outputs all of whose columns lie in the map.
    inside: Range<usize>,
}

impl<'a, const PAD: usize, const K: usize> Line<'a, PAD, K> {
    #[inline(always)]
    fn new(band: &'a Band<'a, PAD>, y: usize) -> Self {
        let [rows, columns] = band.axes;
        let taps = rows.taps(y);
        let mut input = [band.input.row(0); K];
        for tap in taps.clone() {
            input[tap] = band.input.row(rows.position(y, tap));
        }
        Self { band, y, input, taps, inside: columns.inside() }
    }

    /// Those channels, whole vectors of them up to the last, of all columns, in blocks of nearly equal widths: those inside the map
    /// together, those at its edges by themselves.
    #[inline(always)]
    fn outputs<V: Vector>(&self, isa: V::Isa, stride: usize, channels: Range<usize>) {
        if channels.is_empty() {
            return;
        }
        let mut x = 0;
        let c = self.band.step.output.channels;
        let pairs = (c * size_of::<f32>()).is_multiple_of(CONFLICT)
            && V::LANES * size_of::<f32>() < LINE
            && c.is_multiple_of(2 * V::LANES);
        let most = match (pairs, stride) {
            (false, 1) => BLOCK,
            (false, _) => SPARSE,
            (true, 1) => PAIRS,
            (true, _) => SPARSE_PAIRS,
        };
        for (len, count) in split(self.band.step.output.width, most) {
            let mut done = 0;
            while done < count {
                let edge = self.band.axes[1].edge(x, len);
                let fits = if edge == INSIDE { ((self.inside.end - x) / len).min(count - done) } else { 1 };
                let blocks = Blocks { x, len, count: fits, edge, channel: channels.start };
                if pairs {
                    self.pairs::<V>(isa, stride, blocks);
                } else {
                    self.blocks::<V>(isa, stride, blocks);
                }
                done += fits;
                x += fits * len;
            }
        }
    }

    #[inline(always)]
    fn blocks<V: Vector>(&self, isa: V::Isa, stride: usize, blocks: Blocks) {
        const BOTH: u8 = LEFT | RIGHT;
        match (blocks.len, stride, blocks.edge) {
            (7, 1, INSIDE) => self.apart::<V, 1, 1, INSIDE, 7>(isa, blocks),
            (7, 1, LEFT) => self.apart::<V, 1, 1, LEFT, 7>(isa, blocks),
            (7, 1, RIGHT) => self.apart::<V, 1, 1, RIGHT, 7>(isa, blocks),
            (7, 1, BOTH) => self.apart::<V, 1, 1, BOTH, 7>(isa, blocks),
            (7, 1, _) => self.apart::<V, 1, 1, ANYWHERE, 7>(isa, blocks),
            (6, 1, INSIDE) => self.apart::<V, 1, 1, INSIDE, 6>(isa, blocks),
            (6, 1, LEFT) => self.apart::<V, 1, 1, LEFT, 6>(isa, blocks),
            (6, 1, RIGHT) => self.apart::<V, 1, 1, RIGHT, 6>(isa, blocks),
            (6, 1, _) => self.apart::<V, 1, 1, ANYWHERE, 6>(isa, blocks),
            (5, 1, INSIDE) => self.apart::<V, 1, 1, INSIDE, 5>(isa, blocks),
            (5, 1, LEFT) => self.apart::<V, 1, 1, LEFT, 5>(isa, blocks),
            (5, 1, RIGHT) => self.apart::<V, 1, 1, RIGHT, 5>(isa, blocks),
            (5, 1, _) => self.apart::<V, 1, 1, ANYWHERE, 5>(isa, blocks),
            (4, 1, INSIDE) => self.apart::<V, 1, 1, INSIDE, 4>(isa, blocks),
            (4, 1, LEFT) => self.apart::<V, 1, 1, LEFT, 4>(isa, blocks),
            (4, 1, RIGHT) => self.apart::<V, 1, 1, RIGHT, 4>(isa, blocks),
            (4, 1, _) => self.apart::<V, 1, 1, ANYWHERE, 4>(isa, blocks),
            (3, 1, _) => self.apart::<V, 1, 1, ANYWHERE, 3>(isa, blocks),
            (2, 1, _) => self.apart::<V, 1, 1, ANYWHERE, 2>(isa, blocks),
            (_, 1, _) => self.apart::<V, 1, 1, ANYWHERE, 1>(isa, blocks),
            (4, _, INSIDE) => self.apart::<V, 1, 2, INSIDE, 4>(isa, blocks),
            (4, _, LEFT) => self.apart::<V, 1, 2, LEFT, 4>(isa, blocks),
            (4, _, RIGHT) => self.apart::<V, 1, 2, RIGHT, 4>(isa, blocks),
            (4, ..) => self.apart::<V, 1, 2, ANYWHERE, 4>(isa, blocks),
            (3, _, INSIDE) => self.apart::<V, 1, 2, INSIDE, 3>(isa, blocks),
            (3, _, LEFT) => self.apart::<V, 1, 2, LEFT, 3>(isa, blocks),
            (3, _, RIGHT) => self.apart::<V, 1, 2, RIGHT, 3>(isa, blocks),
            (3, ..) => self.apart::<V, 1, 2, ANYWHERE, 3>(isa, blocks),
            (2, ..) => self.apart::<V, 1, 2, ANYWHERE, 2>(isa, blocks),
            _ => self.apart::<V, 1, 2, ANYWHERE, 1>(isa, blocks),
        }
    }

    /// Blocks of pairs of vectors.
    #[inline(always)]
    fn pairs<V: Vector>(&self, isa: V::Isa, stride: usize, blocks: Blocks) {
        match (blocks.len, stride, blocks.edge) {
            (3, 1, INSIDE) => self.apart::<V, 2, 1, INSIDE, 3>(isa, blocks),
            (3, 1, LEFT) => self.apart::<V, 2, 1, LEFT, 3>(isa, blocks),
            (3, 1, RIGHT) => self.apart::<V, 2, 1, RIGHT, 3>(isa, blocks),
            (3, 1, _) => self.apart::<V, 2, 1, ANYWHERE, 3>(isa, blocks),
            (2, 1, INSIDE) => self.apart::<V, 2, 1, INSIDE, 2>(isa, blocks),
            (2, 1, LEFT) => self.apart::<V, 2, 1, LEFT, 2>(isa, blocks),
            (2, 1, RIGHT) => self.apart::<V, 2, 1, RIGHT, 2>(isa, blocks),
            (2, 1, _) => self.apart::<V, 2, 1, ANYWHERE, 2>(isa, blocks),
            (_, 1, _) => self.apart::<V, 2, 1, ANYWHERE, 1>(isa, blocks),
            (2, _, INSIDE) => self.apart::<V, 2, 2, INSIDE, 2>(isa, blocks),
            (2, _, LEFT) => self.apart::<V, 2, 2, LEFT, 2>(isa, blocks),
            (2, ..) => self.apart::<V, 2, 2, ANYWHERE, 2>(isa, blocks),
            _ => self.apart::<V, 2, 2, ANYWHERE, 1>(isa, blocks),
        }
    }

    #[inline(always)]
    fn apart<V: Vector, const W: usize, const S: usize, const EDGE: u8, const N: usize>(
        &self,
        isa: V::Isa,
        blocks: Blocks,
    ) {
        V::apart(isa, Outputs::<V, PAD, K, W, S, EDGE, N> { line: self, isa, blocks });
    }

    /// What an epilogue does beyond bounds, to the row's channels below `whole`, a multiple of a vector.
    ///
    /// # Safety
    ///
    /// The row must be one that the band was checked for, and its sums be stored.
    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, isa: V::Isa, whole: usize) {
        let Band { step, output, finish, .. } = self.band;
        let (width, c) = (step.output.width, step.output.channels);
        if finish.bounds().1 {
            return;
        }
        let (runs, len) = if whole == c { (1, width * c) } else { (width, whole) };
        for run in 0..runs {
            // SAFETY: the caller's.
            unsafe { finish.again::<V>(isa, output.row(self.y).add(run * c), len) }
        }
    }

    /// `N` outputs from column `x` on, all whole vectors of their channels from one on, `W` at a time. Input columns
    /// outside the map are left out.
    ///
    /// # Safety
    ///
    /// The outputs must exist, and lie where `EDGE` says.
    #[inline(always)]
    unsafe fn block<V: Vector, const W: usize, const S: usize, const EDGE: u8, const N: usize>(
        &self,
        isa: V::Isa,
        x: usize,
        from: usize,
    ) {
        // Everything that the loop reads is a local: what it stores cannot change it.
        let Band { step, axes, weights, bias, output, ref finish, .. } = *self.band;
        let (c, width) = (step.output.channels, step.input.width);
        let first = axes[1].first(x);
        let columns = (N - 1) * S + K;
        let [lo, hi] = finish.bounds().0.map(|bound| V::splat(isa, bound));
        let to = output.row(self.y).wrapping_add(x * c);
        let (count, above) = (self.taps.len(), self.taps.start);
        let mut rows = [to.cast_const(); K];
        for (row, tap) in rows.iter_mut().zip(self.taps.clone()) {
            *row = self.input[tap].wrapping_add(first.wrapping_mul(c));
        }
        let weights = weights.wrapping_add(above * K * PAD);
        for channel in (from..c - c % (W * V::LANES)).step_by(W * V::LANES) {
            // SAFETY: weights and bias are padded to whole panels; input columns lie in the map.
            unsafe {
                let mut taps = [weights; W];
                let mut sums = [[V::splat(isa, 0.0); W]; N];
                for w in 0..W {
                    let channel = channel + w * V::LANES;
                    taps[w] = weights.add(channel / PAD * (K * K * PAD) + channel % PAD);
                    for n in 0..N {
                        sums[n][w] = V::load(isa, bias.add(channel));
                    }
                }
                for row in rows.get_unchecked(..count) {
                    let row = row.wrapping_add(channel);
                    let mut weight = [[V::splat(isa, 0.0); W]; K];
                    for w in 0..W {
                        for k in 0..K {
                            weight[k][w] = V::load(isa, taps[w].add(k * PAD));
                        }
                        taps[w] = taps[w].add(K * PAD);
                    }
                    for column in 0..columns {
                        let outside = match EDGE {
                            ANYWHERE => first.wrapping_add(column) >= width,
                            _ => {
                                EDGE & LEFT != 0 && column < K / 2
                                    || EDGE & RIGHT != 0 && column >= columns - K / 2
                            }
                        };
                        if outside {
                            continue;
                        }
                        for w in 0..W {
                            let value = V::load(isa, row.wrapping_add(column * c + w * V::LANES));
                            for n in 0..N {
                                if column >= n * S && column < n * S + K {
                                    sums[n][w] = value.mul_add(weight[column - n * S][w], sums[n][w]);
                                }
                            }
                        }
                    }
                }
                for n in 0..N {
                    for w in 0..W {
                        clamp(sums[n][w], lo, hi).store(to.add(n * c + channel + w * V::LANES));
                    }
                }
            }
        }
    }
}

/// `count` blocks of `len` columns from column `x` on.
#[derive(Clone, Copy)]
struct Blocks {
    x: usize,
    len: usize,
    count: usize,
    /// Which of their columns lie outside the map.
    edge: u8,
    /// The first of their channels.
    channel: usize,
}

struct Outputs<
    'a,
    V: Vector,
    const PAD: usize,
    const K: usize,
    const W: usize,
    const S: usize,
    const EDGE: u8,
    const N: usize,
> {
    line: &'a Line<'a, PAD, K>,
    isa: V::Isa,
    blocks: Blocks,
}

impl<
    V: Vector,
    const PAD: usize,
    const K: usize,
    const W: usize,
    const S: usize,
    const EDGE: u8,
    const N: usize,
> Task for Outputs<'_, V, PAD, K, W, S, EDGE, N>
{
    #[inline(always)]
    fn run(self) {
        let Blocks { x, count, channel, .. } = self.blocks;
        for block in 0..count {
            // SAFETY: the blocks lie in the line, whose stride its user vouches for.
            unsafe { self.line.block::<V, W, S, EDGE, N>(self.isa, x + block * N, channel) }
        }
    }
}
