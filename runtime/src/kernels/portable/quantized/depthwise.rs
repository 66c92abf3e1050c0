//! Depthwise convolution of codes, eight channels at a time.

use super::Weight;
use crate::kernels::generic::requantize::{Requantizer, flip, zero_byte};
use crate::kernels::generic::window::Axis;
use crate::kernels::told;
use crate::kernels::view::{CodeSink, CodeSource, weights};
use crate::memory::Memory;
use crate::steps::QuantizedDepthwise;
use core::ops::Range;

/// Channels at a time.
const LANES: usize = 8;

/// See [`QuantizedDepthwise`]; weights `[kh·kw, c·multiplier]`.
#[inline(never)]
pub fn dwconv2d_q8(memory: &mut Memory<'_>, step: &QuantizedDepthwise, rows: Range<usize>) {
    told(if step.wide { run::<i16>(memory, step, rows) } else { run::<i8>(memory, step, rows) });
}

pub(in crate::kernels) fn run<W: Weight>(
    memory: &Memory<'_>,
    step: &QuantizedDepthwise,
    rows: Range<usize>,
) -> Option<()> {
    let QuantizedDepthwise { input, output, kernel, multiplier, .. } = step;
    let n = output.channels;
    if *multiplier == 0 || input.channels.checked_mul(*multiplier)? != n {
        return None;
    }
    let taps = kernel[0].checked_mul(kernel[1])?;
    let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
    let band = Band::<W> {
        step,
        axes: Axis::both(*kernel, step.stride, step.dilation, step.pad, inputs, outputs)?,
        input: CodeSource::new(memory, input)?,
        output: CodeSink::new(memory, output, &rows)?,
        weights: weights(memory, step.weights, taps.checked_mul(n)?)?,
        bias: weights(memory, step.bias, n)?,
        end: Requantizer::new(memory, &step.requantize, [step.multipliers, step.shifts], n)?,
        zero: zero_byte(step.codes)?.into(),
    };
    for y in rows {
        for x in 0..output.width {
            let mut channel = 0;
            while channel < n {
                // SAFETY: the position is in the rows that the band was checked for.
                unsafe {
                    if n - channel >= LANES && *multiplier == 1 {
                        band.vector::<LANES>(y, x, channel);
                        channel += LANES;
                    } else {
                        band.vector::<1>(y, x, channel);
                        channel += 1;
                    }
                }
            }
        }
    }
    Some(())
}

struct Band<'m, W> {
    step: &'m QuantizedDepthwise,
    axes: [Axis; 2],
    input: CodeSource<'m>,
    output: CodeSink<'m>,
    weights: &'m [W],
    bias: &'m [i32],
    end: Requantizer<'m>,
    /// What taps outside the map read.
    zero: i32,
}

impl<W: Weight> Band<'_, W> {
    /// # Safety
    ///
    /// Position and `N` channels must be in the output; several only with a multiplier of 1.
    #[inline(always)]
    unsafe fn vector<const N: usize>(&self, y: usize, x: usize, channel: usize) {
        let QuantizedDepthwise { input, output, kernel: [kh, kw], multiplier, .. } = self.step;
        let flip = flip(self.step.codes);
        let mut sums = [0; N];
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum = self.bias.get(channel + at).copied().unwrap_or(0);
        }
        for ky in 0..*kh {
            let row = self.axes[0].position(y, ky);
            for kx in 0..*kw {
                let column = self.axes[1].position(x, kx);
                let mut values = [self.zero; N];
                if row < input.height && column < input.width {
                    for (at, value) in values.iter_mut().enumerate() {
                        let offset = column * input.channels + channel / multiplier + at;
                        // SAFETY: the tap is in the map, and so are the channels.
                        *value = i32::from(unsafe { *self.input.row(row).add(offset) } ^ flip);
                    }
                }
                let tap = (ky * kw + kx) * output.channels + channel;
                for (at, value) in values.iter().enumerate() {
                    // SAFETY: the tap is one of the window's.
                    let weight = unsafe { *self.weights.as_ptr().add(tap + at) }.value();
                    sums[at] = sums[at].wrapping_add(value * weight);
                }
            }
        }
        for (at, sum) in sums.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let to = self.output.row(y).add(x * output.channels + channel + at);
                *to = self.end.byte(*sum, channel + at);
            }
        }
    }
}
