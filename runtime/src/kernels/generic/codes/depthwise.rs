//! Depthwise convolution of codes by square kernels: eight channels at a time, several outputs of a row a step.
//!
//! Two rows of a column of the input are one vector of pairs, which all outputs that see the column multiply by
//! the pairs of weights of their taps. Where the kernel's height is odd the last row is paired with zeros.
//! Channels that do not fill a vector are copied through a buffer, one output at a time.

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
    let zero = zero_byte(step.codes)? ^ flip(step.codes);
    let band = Band {
        step,
        axes: Axis::both(*kernel, *stride, step.dilation, step.pad, inputs, outputs)?,
        input: CodeSource::new(memory, input)?,
        output: CodeSink::new(memory, output, &rows)?,
        weights: weights(memory, step.weights, padded.checked_mul(2 * P * K)?)?,
        bias: weights(memory, step.bias, padded)?,
        end: End::new(memory, &step.requantize, [step.multipliers, step.shifts], padded)?,
        zeros: [zero; LANES],
    };
    Rows::<V, K, P> { band: &band, isa, rows }.run();
    Some(())
}

struct Band<'m> {
    step: &'m QuantizedDepthwise,
    axes: [Axis; 2],
    input: CodeSource<'m>,
    output: CodeSink<'m>,
    weights: &'m [i16],
    bias: &'m [i32],
    end: End<'m>,
    /// What taps outside the map read.
    zeros: [u8; LANES],
}

/// Outputs of a step: 6 sums beside 3 or 5 vectors of weights, one of pairs and a product.
const STEP: usize = 6;

struct Rows<'a, V: CodeVector, const K: usize, const P: usize> {
    band: &'a Band<'a>,
    isa: V::Isa,
    rows: Range<usize>,
}

impl<V: CodeVector, const K: usize, const P: usize> Rows<'_, V, K, P> {
    fn run(self) {
        let Self { band, isa, rows } = self;
        for y in rows {
            Line::<K>::new(band, y).outputs::<V, P>(isa);
        }
    }
}

/// One row of outputs, and the rows of the input that its taps read.
struct Line<'a, const K: usize> {
    band: &'a Band<'a>,
    y: usize,
    /// Where each row begins; rows outside the map are zeros.
    rows: [*const u8; K],
    /// From one column to the next; 0 outside the map.
    strides: [usize; K],
    /// Outputs all of whose columns lie in the map.
    inside: Range<usize>,
}

/// `count` steps of `len` outputs from column `x` on, of the channels from `start` to `end`.
#[derive(Clone, Copy)]
struct Steps {
    x: usize,
    len: usize,
    count: usize,
    start: usize,
    end: usize,
    /// Whether some input columns lie outside the map.
    edge: bool,
}

impl<'a, const K: usize> Line<'a, K> {
    fn new(band: &'a Band<'a>, y: usize) -> Self {
        let [rows, columns] = band.axes;
        let mut line =
            Self { band, y, rows: [band.zeros.as_ptr(); K], strides: [0; K], inside: columns.inside() };
        for ky in rows.taps(y) {
            line.rows[ky] = band.input.row(rows.position(y, ky));
            line.strides[ky] = band.step.input.channels;
        }
        line
    }

    /// All columns, in steps of nearly equal lengths: those inside the map together, those at its edges by
    /// themselves. What does not fill a vector goes one by one.
    fn outputs<V: CodeVector, const P: usize>(&self, isa: V::Isa) {
        let (width, channels) = (self.band.step.output.width, self.band.step.output.channels);
        let stride = self.band.step.stride[1];
        let end = channels / LANES * LANES;
        if end < channels {
            let steps = Steps { x: 0, len: 1, count: width, start: end, end: channels, edge: true };
            self.apart::<V, P, 1, true, 1, false>(isa, steps);
        }
        if end == 0 {
            return;
        }
        let mut x = 0;
        for (len, count) in split(width, STEP) {
            let mut done = 0;
            while done < count {
                let edge = x < self.inside.start || x + len > self.inside.end;
                let fits = if edge { 1 } else { ((self.inside.end - x) / len).min(count - done) };
                let steps = Steps { x, len, count: fits, start: 0, end, edge };
                if stride == 1 {
                    self.steps::<V, P, 1>(isa, steps);
                } else {
                    self.steps::<V, P, 2>(isa, steps);
                }
                done += fits;
                x += fits * len;
            }
        }
    }

    fn steps<V: CodeVector, const P: usize, const S: usize>(&self, isa: V::Isa, steps: Steps) {
        match (steps.len, steps.edge) {
            (6, false) => self.apart::<V, P, S, false, 6, true>(isa, steps),
            (5, false) => self.apart::<V, P, S, false, 5, true>(isa, steps),
            (4, false) => self.apart::<V, P, S, false, 4, true>(isa, steps),
            (3, false) => self.apart::<V, P, S, false, 3, true>(isa, steps),
            (6, true) => self.apart::<V, P, S, true, 6, true>(isa, steps),
            (5, true) => self.apart::<V, P, S, true, 5, true>(isa, steps),
            (4, true) => self.apart::<V, P, S, true, 4, true>(isa, steps),
            (3, true) => self.apart::<V, P, S, true, 3, true>(isa, steps),
            (2, _) => self.apart::<V, P, S, true, 2, true>(isa, steps),
            _ => self.apart::<V, P, S, true, 1, true>(isa, steps),
        }
    }

    fn apart<
        V: CodeVector,
        const P: usize,
        const S: usize,
        const EDGE: bool,
        const N: usize,
        const WHOLE: bool,
    >(
        &self,
        isa: V::Isa,
        steps: Steps,
    ) {
        V::apart(isa, Outputs::<V, K, P, S, EDGE, N, WHOLE> { line: self, isa, steps });
    }

    /// `N` outputs from column `x` on.
    ///
    /// # Safety
    ///
    /// The outputs must exist, and without `EDGE` have all their columns in the map; `WHOLE` says that there
    /// are 8 channels.
    #[inline(always)]
    unsafe fn step<
        V: CodeVector,
        const P: usize,
        const S: usize,
        const EDGE: bool,
        const N: usize,
        const WHOLE: bool,
    >(
        &self,
        isa: V::Isa,
        x: usize,
        channel: usize,
        lanes: usize,
    ) {
        let Band { step, axes, weights, bias, end, output, zeros, .. } = self.band;
        let lanes = if WHOLE { LANES } else { lanes };
        let flip = flip(step.codes);
        // A stride of 1 stands for any where there is one output.
        let first = if N == 1 { axes[1].first(x) } else { x.wrapping_mul(S).wrapping_sub(step.pad[1]) };
        // SAFETY: constants are padded; columns lie in the map, or are zeros.
        unsafe {
            let mut sums = [V::load(isa, bias.as_ptr().add(channel)); N];
            for pair in 0..P {
                let second = (2 * pair + 1).min(K - 1);
                let start = |ky: usize| {
                    let at = first.wrapping_mul(self.strides[ky]);
                    let offset = if self.strides[ky] == 0 { 0 } else { at.wrapping_add(channel) };
                    self.rows[ky].wrapping_add(offset)
                };
                let mut from = [start(2 * pair), start(second)];
                let row = weights.as_ptr().add((channel * P + pair * LANES) * K * 2);
                let mut taps = [V::pairs(isa, row); K];
                for kx in 1..K {
                    taps[kx] = V::pairs(isa, row.add(kx * 2 * LANES));
                }
                for column in 0..(N - 1) * S + K {
                    let outside = EDGE && first.wrapping_add(column) >= step.input.width;
                    let mut read = if outside { [zeros.as_ptr(); 2] } else { from };
                    let mut buffers = [*zeros; 2];
                    if !WHOLE {
                        for (buffer, read) in buffers.iter_mut().zip(&mut read) {
                            read.copy_to_nonoverlapping(buffer.as_mut_ptr(), lanes.min(LANES));
                            *read = buffer.as_ptr();
                        }
                    }
                    let values = if 2 * pair + 1 < K {
                        V::positions(isa, read, flip)
                    } else {
                        V::position(isa, read[0], flip)
                    };
                    from = [
                        from[0].wrapping_add(self.strides[2 * pair]),
                        from[1].wrapping_add(self.strides[second]),
                    ];
                    for n in 0..N {
                        if column >= n * S && column < n * S + K {
                            sums[n] = sums[n].add_products(values, taps[column - n * S]);
                        }
                    }
                }
            }
            let mut to = [output.row(self.y).add(x * step.output.channels + channel); N];
            for n in 0..N {
                to[n] = to[n].add(n * step.output.channels);
            }
            end.store_half(isa, sums, channel, to, lanes);
        }
    }
}

struct Outputs<
    'a,
    V: CodeVector,
    const K: usize,
    const P: usize,
    const S: usize,
    const EDGE: bool,
    const N: usize,
    const WHOLE: bool,
> {
    line: &'a Line<'a, K>,
    isa: V::Isa,
    steps: Steps,
}

impl<
    V: CodeVector,
    const K: usize,
    const P: usize,
    const S: usize,
    const EDGE: bool,
    const N: usize,
    const WHOLE: bool,
> Task for Outputs<'_, V, K, P, S, EDGE, N, WHOLE>
{
    #[inline(always)]
    fn run(self) {
        let Steps { x, count, start, end, .. } = self.steps;
        // All channels of a step before the next one: its columns are read, and its outputs written, line by line.
        for step in 0..count {
            for channel in (start..end).step_by(LANES) {
                let lanes = (end - channel).min(LANES);
                // SAFETY: the steps lie in the line, whose channels and stride its user vouches for.
                unsafe { self.line.step::<V, P, S, EDGE, N, WHOLE>(self.isa, x + step * N, channel, lanes) }
            }
        }
    }
}
