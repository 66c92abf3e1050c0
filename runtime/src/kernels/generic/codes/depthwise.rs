//! Depthwise convolution of codes by square kernels: eight channels at a time, a block of outputs of a row at a
//! step.
//!
//! Two rows of a column of the input are one vector of pairs, which all outputs that see the column multiply by
//! the pairs of weights of their taps. Where the kernel's height is odd the last row is paired with zeros. The
//! channels are the innermost loop; what taps outside the map read is a vector of its own, or a row of one
//! vector that is read again and again. Channels that do not fill a vector are copied through a buffer, one
//! output at a time.
//!
//! Bound by vector instructions: a block of 3×3 at a stride of 1 takes 84 of them for products and sums, some 30
//! to widen its columns, and 40 to make codes of the sums.

use super::end::End;
use crate::kernels::code_vector::CodeVector;
use crate::kernels::generic::requantize::{flip, zero_byte};
use crate::kernels::generic::split::split;
use crate::kernels::generic::window::Axis;
use crate::kernels::vector::Task;
use crate::kernels::view::{CodeSink, CodeSource, weights};
use crate::memory::Memory;
use crate::steps::QuantizedDepthwise;
use core::ops::Range;

/// Channels at a time.
const LANES: usize = 8;

/// What constants are padded to.
const PADDING: usize = 16;

/// Outputs of a block: 7 sums beside 3 or 5 vectors of weights, one of pairs and a product. The widths of
/// MobileNets at 224 pixels are multiples of 7.
const BLOCK: usize = 7;

/// The same at a stride of 2.
const SPARSE: usize = 4;

/// See [`QuantizedDepthwise`]; kernels of `K`×`K`, `P` = ⌈`K`/2⌉ pairs of rows, column strides of 1 and 2, no
/// dilation, a multiplier of 1; weights in pairs.
#[inline(always)]
pub fn square<V: CodeVector, const K: usize, const P: usize>(
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
    let padded = output.channels.checked_next_multiple_of(PADDING)?;
    let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
    let band = Band::<V> {
        isa,
        step,
        axes: Axis::both(*kernel, *stride, step.dilation, step.pad, inputs, outputs)?,
        input: CodeSource::new(memory, input)?,
        output: CodeSink::new(memory, output, &rows)?,
        weights: weights(memory, step.weights, padded.checked_mul(2 * P * K)?)?.as_ptr(),
        bias: weights(memory, step.bias, padded)?.as_ptr(),
        end: End::new(isa, memory, &step.requantize, [step.multipliers, step.shifts], padded)?,
        zero: zero_byte(step.codes)?,
    };
    let zeros = [band.zero ^ flip(step.codes); LANES];
    for y in rows {
        let line = Line::<V, K>::new(&band, &zeros, y);
        if step.codes.signed {
            line.outputs::<P, true>();
        } else {
            line.outputs::<P, false>();
        }
    }
    Some(())
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
    /// From one vector of channels to the next; 0 outside the map.
    vector: usize,
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

/// No column of a block lies outside the map.
const INSIDE: u8 = 0;
/// The first K/2 do.
const LEFT: u8 = 1;
/// The last K/2 do.
const RIGHT: u8 = 2;
/// Any may.
const ANYWHERE: u8 = 4;

impl<'a, V: CodeVector, const K: usize> Line<'a, V, K> {
    fn new(band: &'a Band<'a, V>, zeros: &'a [u8; LANES], y: usize) -> Self {
        let [rows, columns] = band.axes;
        let outside = Row { base: zeros.as_ptr(), column: 0, vector: 0 };
        let mut line = Self { band, y, rows: [outside; K], inside: columns.inside() };
        for ky in rows.taps(y) {
            line.rows[ky] = Row {
                base: band.input.row(rows.position(y, ky)),
                column: band.step.input.channels,
                vector: LANES,
            };
        }
        line
    }

    /// All columns, in blocks of nearly equal widths: those inside the map together, those at its edges by
    /// themselves; then what does not fill a vector.
    fn outputs<const P: usize, const FLIP: bool>(&self) {
        let (width, stride) = (self.band.step.output.width, self.band.step.stride[1]);
        let mut x = 0;
        for (len, count) in split(width, if stride == 1 { BLOCK } else { SPARSE }) {
            let mut done = 0;
            while done < count {
                let edge = self.edge(x, len, stride);
                let fits = if edge == INSIDE { ((self.inside.end - x) / len).min(count - done) } else { 1 };
                self.blocks::<P, FLIP>(stride, Blocks { x, len, count: fits, edge });
                done += fits;
                x += fits * len;
            }
        }
        if !self.band.step.output.channels.is_multiple_of(LANES) {
            V::apart(self.band.isa, Rest::<V, K, P, FLIP> { line: self });
        }
    }

    /// Where a block of `len` columns from `x` on lies.
    fn edge(&self, x: usize, len: usize, stride: usize) -> u8 {
        let first = self.band.axes[1].first(x);
        let columns = (len - 1) * stride + K;
        let left = x < self.inside.start;
        let right = x + len > self.inside.end;
        let exactly_left = first.wrapping_add(K / 2) == 0;
        let exactly_right = first.wrapping_add(columns - K / 2) == self.band.step.input.width;
        match (left, right) {
            (false, false) => INSIDE,
            (true, false) if exactly_left => LEFT,
            (false, true) if exactly_right => RIGHT,
            (true, true) if exactly_left && exactly_right => LEFT | RIGHT,
            _ => ANYWHERE,
        }
    }

    fn blocks<const P: usize, const FLIP: bool>(&self, stride: usize, blocks: Blocks) {
        const BOTH: u8 = LEFT | RIGHT;
        match (blocks.len, stride, blocks.edge) {
            (7, 1, INSIDE) => self.apart::<P, FLIP, 1, INSIDE, 7>(blocks),
            (7, 1, LEFT) => self.apart::<P, FLIP, 1, LEFT, 7>(blocks),
            (7, 1, RIGHT) => self.apart::<P, FLIP, 1, RIGHT, 7>(blocks),
            (7, 1, BOTH) => self.apart::<P, FLIP, 1, BOTH, 7>(blocks),
            (7, 1, _) => self.apart::<P, FLIP, 1, ANYWHERE, 7>(blocks),
            (6, 1, INSIDE) => self.apart::<P, FLIP, 1, INSIDE, 6>(blocks),
            (6, 1, _) => self.apart::<P, FLIP, 1, ANYWHERE, 6>(blocks),
            (5, 1, INSIDE) => self.apart::<P, FLIP, 1, INSIDE, 5>(blocks),
            (5, 1, _) => self.apart::<P, FLIP, 1, ANYWHERE, 5>(blocks),
            (4, 1, INSIDE) => self.apart::<P, FLIP, 1, INSIDE, 4>(blocks),
            (4, 1, _) => self.apart::<P, FLIP, 1, ANYWHERE, 4>(blocks),
            (3, 1, _) => self.apart::<P, FLIP, 1, ANYWHERE, 3>(blocks),
            (2, 1, _) => self.apart::<P, FLIP, 1, ANYWHERE, 2>(blocks),
            (_, 1, _) => self.apart::<P, FLIP, 1, ANYWHERE, 1>(blocks),
            (4, _, INSIDE) => self.apart::<P, FLIP, 2, INSIDE, 4>(blocks),
            (4, _, LEFT) => self.apart::<P, FLIP, 2, LEFT, 4>(blocks),
            (4, _, _) => self.apart::<P, FLIP, 2, ANYWHERE, 4>(blocks),
            (3, _, INSIDE) => self.apart::<P, FLIP, 2, INSIDE, 3>(blocks),
            (3, _, _) => self.apart::<P, FLIP, 2, ANYWHERE, 3>(blocks),
            (2, _, _) => self.apart::<P, FLIP, 2, ANYWHERE, 2>(blocks),
            _ => self.apart::<P, FLIP, 2, ANYWHERE, 1>(blocks),
        }
    }

    fn apart<const P: usize, const FLIP: bool, const S: usize, const EDGE: u8, const N: usize>(
        &self,
        blocks: Blocks,
    ) {
        V::apart(self.band.isa, Outputs::<V, K, P, FLIP, S, EDGE, N> { line: self, blocks });
    }

    /// `N` outputs from column `x` on, of the vectors of channels from `start` to `end`.
    ///
    /// # Safety
    ///
    /// The outputs must exist, and lie where `EDGE` says; `lanes` is 8, or what is left of the only vector.
    #[inline(always)]
    unsafe fn block<const P: usize, const FLIP: bool, const S: usize, const EDGE: u8, const N: usize>(
        &self,
        x: usize,
        channels: Range<usize>,
        lanes: usize,
    ) {
        // Everything that the loop reads is a local: what it stores cannot change it.
        let Band { isa, step, axes, weights, bias, end, output, zero, .. } = *self.band;
        let (c, width) = (step.output.channels, step.input.width);
        let flip = if FLIP { 0x80 } else { 0 };
        let first = axes[1].first(x);
        let columns = (N - 1) * S + K;
        let to = output.row(self.y).wrapping_add(x * c);
        let mut rows = self.rows;
        for row in &mut rows {
            let channel = channels.start / LANES * row.vector;
            row.base = row.base.wrapping_add(first.wrapping_mul(row.column)).wrapping_add(channel);
        }
        for channel in channels.step_by(LANES) {
            // SAFETY: constants are padded; columns lie in the map, or are zeros.
            unsafe {
                let zeros = V::pair(isa, [i16::from(zero); 2].as_ptr());
                let mut taps = weights.add(channel * (2 * P * K));
                let mut sums = [V::load(isa, bias.add(channel)); N];
                for pair in 0..P {
                    let [a, b] = [rows[2 * pair], rows[(2 * pair + 1).min(K - 1)]];
                    let mut weight = [V::pairs(isa, taps); K];
                    for k in 1..K {
                        weight[k] = V::pairs(isa, taps.add(k * 2 * LANES));
                    }
                    taps = taps.add(K * 2 * LANES);
                    let mut from = [a.base, b.base];
                    for column in 0..columns {
                        let outside = match EDGE {
                            ANYWHERE => first.wrapping_add(column) >= width,
                            _ => {
                                EDGE & LEFT != 0 && column < K / 2
                                    || EDGE & RIGHT != 0 && column >= columns - K / 2
                            }
                        };
                        let values = if outside {
                            zeros
                        } else {
                            let mut buffers = [[0_u8; LANES]; 2];
                            let mut read = from;
                            if lanes < LANES {
                                for (buffer, read) in buffers.iter_mut().zip(&mut read) {
                                    for at in 0..lanes {
                                        buffer[at] = *read.add(at);
                                    }
                                    *read = buffer.as_ptr();
                                }
                            }
                            if 2 * pair + 1 < K {
                                V::positions(isa, read, flip)
                            } else {
                                V::position(isa, read[0], flip)
                            }
                        };
                        from = [from[0].wrapping_add(a.column), from[1].wrapping_add(b.column)];
                        for n in 0..N {
                            if column >= n * S && column < n * S + K {
                                sums[n] = sums[n].add_products(values, weight[column - n * S]);
                            }
                        }
                    }
                }
                for row in &mut rows {
                    row.base = row.base.wrapping_add(row.vector);
                }
                end.store_half(isa, sums, channel, to.add(channel), c, lanes);
            }
        }
    }
}

struct Outputs<
    'a,
    V: CodeVector,
    const K: usize,
    const P: usize,
    const FLIP: bool,
    const S: usize,
    const EDGE: u8,
    const N: usize,
> {
    line: &'a Line<'a, V, K>,
    blocks: Blocks,
}

impl<
    V: CodeVector,
    const K: usize,
    const P: usize,
    const FLIP: bool,
    const S: usize,
    const EDGE: u8,
    const N: usize,
> Task for Outputs<'_, V, K, P, FLIP, S, EDGE, N>
{
    #[inline(always)]
    fn run(self) {
        let Blocks { x, count, .. } = self.blocks;
        let c = self.line.band.step.output.channels;
        for block in 0..count {
            // SAFETY: the blocks lie in the line, whose stride its user vouches for.
            unsafe { self.line.block::<P, FLIP, S, EDGE, N>(x + block * N, 0..c - c % LANES, LANES) }
        }
    }
}

/// The channels that do not fill a vector, one output at a time.
struct Rest<'a, V: CodeVector, const K: usize, const P: usize, const FLIP: bool> {
    line: &'a Line<'a, V, K>,
}

impl<V: CodeVector, const K: usize, const P: usize, const FLIP: bool> Task for Rest<'_, V, K, P, FLIP> {
    #[inline(always)]
    fn run(self) {
        let output = self.line.band.step.output;
        let lanes = output.channels % LANES;
        for x in 0..output.width {
            // SAFETY: a single output is at any stride.
            unsafe {
                let channels = output.channels - lanes..output.channels;
                self.line.block::<P, FLIP, 1, ANYWHERE, 1>(x, channels, lanes);
            }
        }
    }
}
