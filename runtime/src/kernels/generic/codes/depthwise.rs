//! Depthwise convolution of codes by square kernels: sixteen channels at a time, a block of outputs of a row at a
//! step.
//!
//! Taps are multiplied in pairs: those of two rows of a column, and in the last row those of two columns. A column
//! of codes is widened and interleaved with its partner once for all outputs that see it. The channels are the
//! innermost loop; what taps outside the map read is a vector of its own, or a row of one vector that is read again
//! and again. The last vector of channels ends with the last channel, and overlaps the one before.
//!
//! Bound by vector instructions: a block of 3×3 at a stride of 1 takes 80 of them for products and sums, some 40 to
//! widen and interleave its columns, and as many to make codes of the sums.

use super::end::End;
use crate::kernels::code_vector::{CHANNELS, CodeVector};
use crate::kernels::generic::requantize::{flip, zero_byte};
use crate::kernels::generic::split::split;
use crate::kernels::generic::window::{ANYWHERE, Axis, INSIDE, LEFT, RIGHT};
use crate::kernels::vector::Task;
use crate::kernels::view::{CodeSink, CodeSource, weights};
use crate::memory::Memory;
use crate::steps::QuantizedDepthwise;
use core::ops::Range;

/// Channels of half a vector.
const HALF: usize = CHANNELS / 2;

/// Outputs of a block: 8 sums, two columns, their two interleaved halves and a product are 13 registers; weights
/// are read from the level 1 cache.
const BLOCK: usize = 4;

/// See [`QuantizedDepthwise`]; kernels of `K`×`K` taps, `K` odd, column strides of 1 and 2, no dilation, a
/// multiplier of 1; weights in pairs.
#[inline(always)]
pub fn square<V: CodeVector, const K: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &QuantizedDepthwise,
    rows: Range<usize>,
) -> Option<()> {
    let QuantizedDepthwise { input, output, kernel, stride, .. } = step;
    let plain = *kernel == [K, K] && step.dilation == [1, 1] && step.multiplier == 1;
    if !plain || !(1..=2).contains(&stride[1]) || input.channels != output.channels {
        return None;
    }
    let padded = output.channels.checked_next_multiple_of(CHANNELS)?;
    let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
    let band = Band::<V> {
        isa,
        step,
        axes: Axis::both(*kernel, *stride, step.dilation, step.pad, inputs, outputs)?,
        input: CodeSource::new(memory, input)?,
        output: CodeSink::new(memory, output, &rows)?,
        weights: weights(memory, step.weights, padded.checked_mul(2 * pairs(K))?)?.as_ptr(),
        bias: weights(memory, step.bias, padded)?.as_ptr(),
        end: End::new(isa, memory, &step.requantize, [step.multipliers, step.shifts], padded)?,
        zero: zero_byte(step.codes)?,
    };
    let zeros = [band.zero ^ flip(step.codes); CHANNELS];
    for y in rows {
        let line = Line::<V, K>::new(&band, &zeros, y);
        if step.codes.signed {
            line.outputs::<true>();
        } else {
            line.outputs::<false>();
        }
    }
    Some(())
}

/// Pairs of the taps of a window of odd sides.
const fn pairs(side: usize) -> usize {
    side / 2 * side + side.div_ceil(2)
}

struct Band<'m, V: CodeVector> {
    isa: V::Isa,
    step: &'m QuantizedDepthwise,
    axes: [Axis; 2],
    input: CodeSource<'m>,
    output: CodeSink<'m>,
    weights: *const i16,
    bias: *const i32,
    end: End<'m, V>,
    /// What taps outside the map read, as a number from 0 to 255.
    zero: u8,
}

/// One row of outputs, and the rows of the input that its taps read.
struct Line<'a, V: CodeVector, const K: usize> {
    band: &'a Band<'a, V>,
    y: usize,
    rows: [Row; K],
    /// Outputs all of whose columns lie in the map.
    inside: Range<usize>,
}

/// A row of the input, or what stands for one outside the map.
#[derive(Clone, Copy)]
struct Row {
    base: *const u8,
    /// From one column to the next; 0 outside the map.
    column: usize,
    /// How much further a channel lies than the one before; 0 outside the map.
    channel: usize,
}

/// `count` blocks of `len` columns from column `x` on.
#[derive(Clone, Copy)]
struct Blocks {
    x: usize,
    len: usize,
    count: usize,
    /// Which of their columns lie outside the map.
    edge: u8,
}

impl<'a, V: CodeVector, const K: usize> Line<'a, V, K> {
    fn new(band: &'a Band<'a, V>, zeros: &'a [u8; CHANNELS], y: usize) -> Self {
        let [rows, columns] = band.axes;
        let outside = Row { base: zeros.as_ptr(), column: 0, channel: 0 };
        let mut line = Self { band, y, rows: [outside; K], inside: columns.inside() };
        for ky in rows.taps(y) {
            let base = band.input.row(rows.position(y, ky));
            line.rows[ky] = Row { base, column: band.step.input.channels, channel: 1 };
        }
        line
    }

    /// All columns, in blocks of nearly equal widths: those inside the map together, those at its edges by
    /// themselves.
    fn outputs<const FLIP: bool>(&self) {
        let (width, stride) = (self.band.step.output.width, self.band.step.stride[1]);
        let few = match self.band.step.output.channels {
            CHANNELS.. => false,
            HALF => true,
            lanes => {
                for x in 0..width {
                    let blocks = Blocks { x, len: 1, count: 1, edge: ANYWHERE };
                    self.apart::<FLIP, 1, ANYWHERE, 1, 0>(blocks, lanes);
                }
                return;
            }
        };
        let mut x = 0;
        for (len, count) in split(width, BLOCK) {
            let mut done = 0;
            while done < count {
                let edge = if few { ANYWHERE } else { self.band.axes[1].edge(x, len) };
                let fits = if edge == INSIDE { ((self.inside.end - x) / len).min(count - done) } else { 1 };
                let blocks = Blocks { x, len, count: fits, edge };
                if few {
                    self.half::<FLIP>(stride, blocks);
                } else {
                    self.blocks::<FLIP>(stride, blocks);
                }
                done += fits;
                x += fits * len;
            }
        }
    }

    fn blocks<const FLIP: bool>(&self, stride: usize, blocks: Blocks) {
        match (blocks.len, stride, blocks.edge) {
            (4, 1, INSIDE) => self.apart::<FLIP, 1, INSIDE, 4, CHANNELS>(blocks, CHANNELS),
            (4, 1, LEFT) => self.apart::<FLIP, 1, LEFT, 4, CHANNELS>(blocks, CHANNELS),
            (4, 1, RIGHT) => self.apart::<FLIP, 1, RIGHT, 4, CHANNELS>(blocks, CHANNELS),
            (4, 1, _) => self.apart::<FLIP, 1, ANYWHERE, 4, CHANNELS>(blocks, CHANNELS),
            (3, 1, INSIDE) => self.apart::<FLIP, 1, INSIDE, 3, CHANNELS>(blocks, CHANNELS),
            (3, 1, LEFT) => self.apart::<FLIP, 1, LEFT, 3, CHANNELS>(blocks, CHANNELS),
            (3, 1, RIGHT) => self.apart::<FLIP, 1, RIGHT, 3, CHANNELS>(blocks, CHANNELS),
            (3, 1, _) => self.apart::<FLIP, 1, ANYWHERE, 3, CHANNELS>(blocks, CHANNELS),
            (2, 1, _) => self.apart::<FLIP, 1, ANYWHERE, 2, CHANNELS>(blocks, CHANNELS),
            (4, 2, INSIDE) => self.apart::<FLIP, 2, INSIDE, 4, CHANNELS>(blocks, CHANNELS),
            (4, 2, LEFT) => self.apart::<FLIP, 2, LEFT, 4, CHANNELS>(blocks, CHANNELS),
            (4, 2, _) => self.apart::<FLIP, 2, ANYWHERE, 4, CHANNELS>(blocks, CHANNELS),
            (3, 2, INSIDE) => self.apart::<FLIP, 2, INSIDE, 3, CHANNELS>(blocks, CHANNELS),
            (3, 2, _) => self.apart::<FLIP, 2, ANYWHERE, 3, CHANNELS>(blocks, CHANNELS),
            (2, 2, _) => self.apart::<FLIP, 2, ANYWHERE, 2, CHANNELS>(blocks, CHANNELS),
            _ => self.apart::<FLIP, 1, ANYWHERE, 1, CHANNELS>(blocks, CHANNELS),
        }
    }

    /// Blocks of a map of eight channels.
    fn half<const FLIP: bool>(&self, stride: usize, blocks: Blocks) {
        match (blocks.len, stride) {
            (4, 1) => self.apart::<FLIP, 1, ANYWHERE, 4, HALF>(blocks, HALF),
            (3, 1) => self.apart::<FLIP, 1, ANYWHERE, 3, HALF>(blocks, HALF),
            (2, 1) => self.apart::<FLIP, 1, ANYWHERE, 2, HALF>(blocks, HALF),
            (4, 2) => self.apart::<FLIP, 2, ANYWHERE, 4, HALF>(blocks, HALF),
            (3, 2) => self.apart::<FLIP, 2, ANYWHERE, 3, HALF>(blocks, HALF),
            (2, 2) => self.apart::<FLIP, 2, ANYWHERE, 2, HALF>(blocks, HALF),
            _ => self.apart::<FLIP, 1, ANYWHERE, 1, HALF>(blocks, HALF),
        }
    }

    fn apart<const FLIP: bool, const S: usize, const EDGE: u8, const N: usize, const L: usize>(
        &self,
        blocks: Blocks,
        lanes: usize,
    ) {
        V::apart(self.band.isa, Outputs::<V, K, FLIP, S, EDGE, N, L> { line: self, blocks, lanes });
    }

    /// `N` outputs from column `x` on, all channels. A single output is at any stride.
    ///
    /// # Safety
    ///
    /// The outputs must exist, and lie where `EDGE` says. `L` is 16 where there are as many channels, else the
    /// 8 that there are, or 0; `lanes` are all channels up to 16.
    #[inline(always)]
    unsafe fn block<const FLIP: bool, const S: usize, const EDGE: u8, const N: usize, const L: usize>(
        &self,
        x: usize,
        lanes: usize,
    ) {
        // Everything that the loop reads is a local: what it stores cannot change it.
        let Band { isa, step, axes, weights, bias, end, output, zero, .. } = *self.band;
        let (c, width) = (step.output.channels, step.input.width);
        let first = axes[1].first(x);
        let columns = (N - 1) * S + K;
        let to = output.row(self.y).wrapping_add(x * c);
        let zeros = V::numbers_of(isa, zero);
        let mut rows = self.rows;
        for row in &mut rows {
            row.base = row.base.wrapping_add(first.wrapping_mul(row.column));
        }
        let mut taps = weights;
        let mut channel = 0;
        loop {
            // SAFETY: constants are padded; columns lie in the map, or are zeros.
            unsafe {
                let mut sums = [V::load_narrowing(isa, bias.add(channel)); N];
                for pair in 0..K / 2 {
                    let [a, b] = [rows[2 * pair], rows[2 * pair + 1]];
                    let mut from = [a.base, b.base];
                    for column in 0..columns {
                        let mut values = [zeros; 2];
                        if !is_outside::<EDGE, K>(column, columns, first, width) {
                            let [low, high] = V::interleave(
                                numbers::<V, FLIP, L>(isa, from[0], lanes),
                                numbers::<V, FLIP, L>(isa, from[1], lanes),
                            );
                            values = [low, high];
                        }
                        from = [from[0].wrapping_add(a.column), from[1].wrapping_add(b.column)];
                        for n in 0..N {
                            if column >= n * S && column < n * S + K {
                                let weight = taps.add((pair * K + column - n * S) * 2 * CHANNELS);
                                for half in 0..2 {
                                    let weight = V::pairs(isa, weight.add(half * CHANNELS));
                                    sums[n][half] = sums[n][half].add_products(values[half], weight);
                                }
                            }
                        }
                    }
                }
                let last = rows[K - 1];
                let mut from = last.base;
                let mut left = zeros;
                for column in 0..columns + 1 {
                    let mut right = left;
                    if column < columns {
                        right = zeros;
                        if !is_outside::<EDGE, K>(column, columns, first, width) {
                            right = numbers::<V, FLIP, L>(isa, from, lanes);
                        }
                        from = from.wrapping_add(last.column);
                    }
                    // Pairs of a column and the next one; the last tap's weight is paired with 0.
                    let [low, high] = V::interleave(left, right);
                    for n in 0..N {
                        let tap = column.wrapping_sub(1 + n * S);
                        if tap < K && tap % 2 == 0 {
                            let weight = taps.add((K / 2 * K + tap / 2) * 2 * CHANNELS);
                            let weights = [V::pairs(isa, weight), V::pairs(isa, weight.add(CHANNELS))];
                            sums[n][0] = sums[n][0].add_products(low, weights[0]);
                            sums[n][1] = sums[n][1].add_products(high, weights[1]);
                        }
                    }
                    left = right;
                }
                end.store(isa, sums, channel, to.add(channel), c, lanes);
            }
            // The last vector ends with the last channel.
            let further = c.saturating_sub(channel + CHANNELS).min(CHANNELS);
            if further == 0 {
                return;
            }
            channel += further;
            taps = taps.wrapping_add(2 * CHANNELS * pairs(K));
            for row in &mut rows {
                row.base = row.base.wrapping_add(further * row.channel);
            }
        }
    }
}

/// Whether a column of a block lies outside the map, as `EDGE` says.
#[inline(always)]
fn is_outside<const EDGE: u8, const K: usize>(
    column: usize,
    columns: usize,
    first: usize,
    width: usize,
) -> bool {
    match EDGE {
        ANYWHERE => first.wrapping_add(column) >= width,
        _ => EDGE & LEFT != 0 && column < K / 2 || EDGE & RIGHT != 0 && column >= columns - K / 2,
    }
}

/// The numbers of 16 channels, or of 8, or where `L` is 0 of as many as `lanes`.
///
/// # Safety
///
/// They must be readable.
#[inline(always)]
unsafe fn numbers<V: CodeVector, const FLIP: bool, const L: usize>(
    isa: V::Isa,
    from: *const u8,
    lanes: usize,
) -> V::Pairs {
    let flip = if FLIP { 0x80 } else { 0 };
    // SAFETY: the caller's.
    unsafe {
        match L {
            CHANNELS => V::numbers(isa, from, flip),
            HALF => V::half_numbers(isa, from, flip),
            _ => {
                let mut buffer = [0_u8; CHANNELS];
                for (lane, code) in buffer.iter_mut().enumerate().take(lanes) {
                    *code = *from.add(lane);
                }
                V::numbers(isa, buffer.as_ptr(), flip)
            }
        }
    }
}

/// `count` blocks of `N` outputs, one behind the other.
struct Outputs<
    'a,
    V: CodeVector,
    const K: usize,
    const FLIP: bool,
    const S: usize,
    const EDGE: u8,
    const N: usize,
    const L: usize,
> {
    line: &'a Line<'a, V, K>,
    blocks: Blocks,
    lanes: usize,
}

impl<
    V: CodeVector,
    const K: usize,
    const FLIP: bool,
    const S: usize,
    const EDGE: u8,
    const N: usize,
    const L: usize,
> Task for Outputs<'_, V, K, FLIP, S, EDGE, N, L>
{
    #[inline(always)]
    fn run(self) {
        let Blocks { x, count, .. } = self.blocks;
        for block in 0..count {
            // SAFETY: the blocks lie in the line, whose channels and stride its user vouches for.
            unsafe { self.line.block::<FLIP, S, EDGE, N, L>(x + block * N, self.lanes) }
        }
    }
}
