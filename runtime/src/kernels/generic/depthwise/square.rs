//! Depthwise convolution by square kernels of a fixed size, a block of outputs at a step: a vector that is
//! loaded once serves all of them.
//!
//! The channels are the innermost loop, so that every input position is read as a stream, whatever the distance
//! between positions; as many of them at a time as let the next row find this row's input in the level 1 cache. Where
//! it does, 3×3 reaches 57 % (AVX-512) and 70 % (AVX2) of the multiply-adds' peak on Golden Cove: what is read once and
//! written once still comes from and goes to the level 2 cache. Where the distance is a multiple of 2 KiB (512 or 1024
//! channels), positions fall into the same cache sets, and the second half of each line is fetched anew.
//!
//! With a dilation of `d` every `d`-th output reads every `d`-th position: `d` maps without dilation, one in the other.

use super::Band;
use crate::kernels::generic::activation::clamp;
use crate::kernels::generic::split::split;
use crate::kernels::generic::window::{ANYWHERE, Axis, INSIDE, LEFT, RIGHT};
use crate::kernels::vector::{Task, Vector};
use crate::memory::Memory;
use crate::steps::{Depthwise, Map};
use core::ops::Range;

/// Outputs of a block. 3×3: 7 sums, 3 taps and an input are 11 registers; 9 inputs and 3 taps are loaded for 21
/// multiply-adds. The widths of MobileNets at 224 pixels are multiples of 7.
const BLOCK: usize = 7;

/// Outputs of a block where it divides the width better.
const SHORT: usize = 4;

/// A block at a stride of 2: 9 inputs and 3 taps for 12 multiply-adds; the positions of more columns would not
/// fit the registers.
const SPARSE: usize = 4;

/// An output less.
const SPARSE_SHORT: usize = 3;

/// Outputs of a block of pairs of vectors: 6 sums, 6 taps and 2 inputs are 14 registers.
const PAIRS: usize = 3;

/// An output less.
const PAIRS_SHORT: usize = 2;

/// Outputs of a block of pairs at a stride of 2.
const SPARSE_PAIRS: usize = 2;

/// Bytes between positions that fall into the same sets of the level 1 cache: 32 sets of 64 bytes, half of those of
/// 32 KiB in 8 ways.
const CONFLICT: usize = 2048;

/// Bytes of input positions between which the level 1 cache of 32 KiB or more has to choose.
const CHUNK: usize = 28 << 10;

/// The fewest channels of a chunk.
const LEAST: usize = 64;

/// Bytes of a cache line.
const LINE: usize = 64;

/// See [`Depthwise`]; `K`×`K` taps, a column stride of 1 or 2, one output channel per input channel; columns with a
/// dilation only at a stride of 1, and in blocks only where their padding is a multiple of it. Weights are in panels of `PAD` channels.
#[inline(always)]
pub fn square<V: Vector, const PAD: usize, const K: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Depthwise,
    rows: Range<usize>,
) -> Option<()> {
    let (stride, [down, along]) = (step.stride[1], step.dilation);
    if step.kernel != [K, K] || step.multiplier != 1 || stride > 2 || (along > 1 && stride > 1) {
        return None;
    }
    let band = Band::<PAD>::new::<V>(memory, step, &rows)?;
    if step.epilogue.residual.is_some() || !band.axes[1].has_phases() {
        // A residual may lie where the sums go.
        return super::any::<V, PAD>(isa, memory, step, rows);
    }
    let c = step.output.channels;
    let (whole, halves) = (c - c % V::LANES, c - c % V::Half::LANES);
    let chunk = chunk(whole, step.input.width.saturating_mul(((K - 1) * down).saturating_add(2)), rows.len());
    for first in (0..whole).step_by(chunk) {
        for y in rows.clone() {
            for phase in 0..along {
                let line = Line::<PAD, K>::new(&band, y, phase);
                line.outputs::<V, true>(isa, stride, first..whole.min(first + chunk));
            }
        }
    }
    for y in rows {
        for phase in 0..if V::Half::LANES < V::LANES { along } else { 0 } {
            let line = Line::<PAD, K>::new(&band, y, phase);
            line.outputs::<V::Half, false>(isa.into(), stride, whole..halves);
        }
        // SAFETY: the row is one that the band was checked for.
        unsafe {
            if halves == whole {
                band.finish::<V>(isa, y, whole);
            } else {
                band.finish::<V::Half>(isa.into(), y, halves);
            }
            if halves < c {
                band.outputs::<V>(isa, y, 0..step.output.width, halves);
            }
        }
    }
    Some(())
}

/// How many channels of all rows are computed before the next ones, so that the level 1 cache holds what `positions`
/// input positions have of them: all, where it would be too few for a loop to be worth it, where there is no second row,
/// and where positions fall into so few cache sets that it would not.
#[inline(always)]
fn chunk(channels: usize, positions: usize, rows: usize) -> usize {
    let fitting = CHUNK / size_of::<f32>() / positions.max(1) / LEAST * LEAST;
    let spread = !(channels * size_of::<f32>()).is_multiple_of(CONFLICT / 2);
    if rows > 1 && fitting > 0 && spread { fitting } else { channels.max(1) }
}

/// Blocks that cover `width` outputs, as two runs of a width and a number. Single vectors at a stride of 1 take blocks
/// of one width, of those that compute the fewest outputs twice, where a block costs an output more than it has; others
/// are of nearly equal widths.
#[inline(always)]
fn block_widths(width: usize, stride: usize, pairs: bool) -> [(usize, usize); 2] {
    let most = match (pairs, stride) {
        (false, 1) => {
            let cost = |len: usize| width.div_ceil(len) * (len + 1);
            let len = if width >= BLOCK && cost(BLOCK) <= cost(SHORT) { BLOCK } else { SHORT };
            let len = if width >= len { len } else { 1 };
            return [(len, width.div_ceil(len)), (len, 0)];
        }
        (false, _) => SPARSE,
        (true, 1) => PAIRS,
        (true, _) => SPARSE_PAIRS,
    };
    // What is narrower than two blocks that there are falls into single outputs.
    split(width, most).map(|(len, count)| if len + 1 < most { (1, len * count) } else { (len, count) })
}

impl<const PAD: usize> Band<'_, PAD> {
    /// What an epilogue does beyond bounds, to a row's channels below `whole`, a multiple of a vector.
    ///
    /// # Safety
    ///
    /// The row must be one that the band was checked for, and its sums be stored.
    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, isa: V::Isa, y: usize, whole: usize) {
        let Self { step, output, finish, .. } = self;
        let (width, c) = (step.output.width, step.output.channels);
        if finish.bounds().1 {
            return;
        }
        let (runs, len) = if whole == c { (1, width * c) } else { (width, whole) };
        for run in 0..runs {
            // SAFETY: the caller's.
            unsafe { finish.again::<V>(isa, output.row(y).add(run * c), len) }
        }
    }
}

/// The columns of a phase in one row of outputs, and the input rows that they need.
struct Line<'a, const PAD: usize, const K: usize> {
    band: &'a Band<'a, PAD>,
    columns: Axis,
    /// Elements from one column to the next.
    pitch: usize,
    /// Its first output.
    output: *mut f32,
    /// Its first position in the taps' rows that lie in the map.
    input: [*const f32; K],
    /// Which taps these are.
    taps: Range<usize>,
    /// Outputs all of whose columns lie in the map.
    inside: Range<usize>,
}

impl<'a, const PAD: usize, const K: usize> Line<'a, PAD, K> {
    #[inline(always)]
    fn new(band: &'a Band<'a, PAD>, y: usize, phase: usize) -> Self {
        let [rows, columns] = band.axes;
        let columns = columns.phase(phase);
        let Depthwise { output: Map { channels, .. }, dilation, .. } = *band.step;
        let taps = rows.taps(y);
        let mut input = [band.input.row(0); K];
        for tap in taps.clone() {
            input[tap] = band.input.row(rows.position(y, tap)).wrapping_add(phase * channels);
        }
        let output = band.output.row(y).wrapping_add(phase * channels);
        let inside = columns.inside();
        Self { band, columns, pitch: dilation[1] * channels, output, input, taps, inside }
    }

    /// Those channels, whole vectors of them, of all columns, in blocks: those inside the map together,
    /// those at its edges by themselves. The last block may overlap the one before and computes the same again. Pairs of
    /// vectors are taken only where there may be `MANY`.
    #[inline(always)]
    fn outputs<V: Vector, const MANY: bool>(&self, isa: V::Isa, stride: usize, channels: Range<usize>) {
        let width = self.columns.outputs();
        if channels.is_empty() || width == 0 {
            return;
        }
        let pairs = MANY
            && K < 7
            && (self.pitch * size_of::<f32>()).is_multiple_of(CONFLICT)
            && V::LANES * size_of::<f32>() < LINE
            && channels.len().is_multiple_of(2 * V::LANES);
        let mut x = 0;
        for (len, count) in block_widths(width, stride, pairs) {
            let mut done = 0;
            while done < count {
                x = x.min(width - len);
                let edge = self.columns.edge(x, len);
                let fits = if edge == INSIDE { ((self.inside.end - x) / len).min(count - done) } else { 1 };
                let blocks = Blocks { x, len, count: fits, edge, from: channels.start, to: channels.end };
                self.blocks::<V>(isa, stride, pairs, blocks);
                done += fits;
                x += fits * len;
            }
        }
    }

    /// Blocks of a width that [`block_widths`] answers.
    #[inline(always)]
    fn blocks<V: Vector>(&self, isa: V::Isa, stride: usize, pairs: bool, blocks: Blocks) {
        const BOTH: u8 = LEFT | RIGHT;
        match (pairs, stride, blocks.len, blocks.edge) {
            (false, 1, BLOCK, INSIDE) => self.apart::<V, 1, 1, INSIDE, BLOCK>(isa, blocks),
            (false, 1, BLOCK, LEFT) => self.apart::<V, 1, 1, LEFT, BLOCK>(isa, blocks),
            (false, 1, BLOCK, RIGHT) => self.apart::<V, 1, 1, RIGHT, BLOCK>(isa, blocks),
            (false, 1, BLOCK, BOTH) => self.apart::<V, 1, 1, BOTH, BLOCK>(isa, blocks),
            (false, 1, BLOCK, _) => self.apart::<V, 1, 1, ANYWHERE, BLOCK>(isa, blocks),
            (false, 1, SHORT, INSIDE) => self.apart::<V, 1, 1, INSIDE, SHORT>(isa, blocks),
            (false, 1, SHORT, LEFT) => self.apart::<V, 1, 1, LEFT, SHORT>(isa, blocks),
            (false, 1, SHORT, RIGHT) => self.apart::<V, 1, 1, RIGHT, SHORT>(isa, blocks),
            (false, 1, SHORT, _) => self.apart::<V, 1, 1, ANYWHERE, SHORT>(isa, blocks),
            (false, 1, ..) => self.apart::<V, 1, 1, ANYWHERE, 1>(isa, blocks),
            (false, _, SPARSE, INSIDE) => self.apart::<V, 1, 2, INSIDE, SPARSE>(isa, blocks),
            (false, _, SPARSE, LEFT) => self.apart::<V, 1, 2, LEFT, SPARSE>(isa, blocks),
            (false, _, SPARSE, RIGHT) => self.apart::<V, 1, 2, RIGHT, SPARSE>(isa, blocks),
            (false, _, SPARSE, _) => self.apart::<V, 1, 2, ANYWHERE, SPARSE>(isa, blocks),
            (false, _, SPARSE_SHORT, INSIDE) => self.apart::<V, 1, 2, INSIDE, SPARSE_SHORT>(isa, blocks),
            (false, _, SPARSE_SHORT, LEFT) => self.apart::<V, 1, 2, LEFT, SPARSE_SHORT>(isa, blocks),
            (false, _, SPARSE_SHORT, RIGHT) => self.apart::<V, 1, 2, RIGHT, SPARSE_SHORT>(isa, blocks),
            (false, _, SPARSE_SHORT, _) => self.apart::<V, 1, 2, ANYWHERE, SPARSE_SHORT>(isa, blocks),
            (false, ..) => self.apart::<V, 1, 2, ANYWHERE, 1>(isa, blocks),
            (true, 1, PAIRS, INSIDE) => self.apart::<V, 2, 1, INSIDE, PAIRS>(isa, blocks),
            (true, 1, PAIRS, LEFT) => self.apart::<V, 2, 1, LEFT, PAIRS>(isa, blocks),
            (true, 1, PAIRS, RIGHT) => self.apart::<V, 2, 1, RIGHT, PAIRS>(isa, blocks),
            (true, 1, PAIRS, _) => self.apart::<V, 2, 1, ANYWHERE, PAIRS>(isa, blocks),
            (true, 1, PAIRS_SHORT, INSIDE) => self.apart::<V, 2, 1, INSIDE, PAIRS_SHORT>(isa, blocks),
            (true, 1, PAIRS_SHORT, RIGHT) => self.apart::<V, 2, 1, RIGHT, PAIRS_SHORT>(isa, blocks),
            (true, 1, PAIRS_SHORT, _) => self.apart::<V, 2, 1, ANYWHERE, PAIRS_SHORT>(isa, blocks),
            (true, 1, ..) => self.apart::<V, 2, 1, ANYWHERE, 1>(isa, blocks),
            (true, _, SPARSE_PAIRS, INSIDE) => self.apart::<V, 2, 2, INSIDE, SPARSE_PAIRS>(isa, blocks),
            (true, _, SPARSE_PAIRS, LEFT) => self.apart::<V, 2, 2, LEFT, SPARSE_PAIRS>(isa, blocks),
            (true, _, SPARSE_PAIRS, _) => self.apart::<V, 2, 2, ANYWHERE, SPARSE_PAIRS>(isa, blocks),
            (true, ..) => self.apart::<V, 2, 2, ANYWHERE, 1>(isa, blocks),
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
        channels: Range<usize>,
    ) {
        // Everything that the loop reads is a local: what it stores cannot change it.
        let Band { weights, bias, ref finish, .. } = *self.band;
        let (c, width) = (self.pitch, self.columns.len());
        let first = self.columns.first(x);
        let columns = (N - 1) * S + K;
        let [lo, hi] = finish.bounds().0.map(|bound| V::splat(isa, bound));
        let to = self.output.wrapping_add(x * c);
        let (count, above) = (self.taps.len(), self.taps.start);
        let mut rows = [to.cast_const(); K];
        for (row, tap) in rows.iter_mut().zip(self.taps.clone()) {
            *row = self.input[tap].wrapping_add(first.wrapping_mul(c));
        }
        let weights = weights.wrapping_add(above * K * PAD);
        for channel in channels.step_by(W * V::LANES) {
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
    /// Their channels.
    from: usize,
    to: usize,
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
        let Blocks { x, count, from, to, .. } = self.blocks;
        for block in 0..count {
            // SAFETY: the blocks lie in the line, whose stride its user vouches for.
            unsafe { self.line.block::<V, W, S, EDGE, N>(self.isa, x + block * N, from..to) }
        }
    }
}
