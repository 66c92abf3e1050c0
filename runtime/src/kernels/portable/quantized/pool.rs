//! Pooling of codes over windows, several channels at a time.

use crate::kernels::generic::requantize::{Requantizer, flip, limits};
use crate::kernels::generic::window::Axis;
use crate::kernels::told;
use crate::kernels::view::{CodeSink, CodeSource};
use crate::memory::Memory;
use crate::steps::{Pooling, QuantizedPool2d, Rounding};
use core::ops::Range;

/// Channels at a time where vectors would be wider than what is left.
const FEW: usize = 8;

/// See [`QuantizedPool2d`].
#[inline(never)]
pub fn pool2d_q8(memory: &mut Memory<'_>, step: &QuantizedPool2d, rows: Range<usize>) {
    told(run::<FEW>(memory, step, rows));
}

/// See [`pool2d_q8`]; `LANES` channels at a time, in the vectors of whoever inlines it.
#[inline(always)]
pub(in crate::kernels) fn run<const LANES: usize>(
    memory: &Memory<'_>,
    step: &QuantizedPool2d,
    rows: Range<usize>,
) -> Option<()> {
    let QuantizedPool2d { input, output, kernel, stride, dilation, pad, .. } = step;
    if input.channels != output.channels {
        return None;
    }
    let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
    let band = Band {
        step,
        axes: Axis::both(*kernel, *stride, *dilation, [pad[0], pad[1]], inputs, outputs)?,
        input: CodeSource::new(memory, input)?,
        output: CodeSink::new(memory, output, &rows)?,
        end: Requantizer::new(memory, &step.requantize, [0, 0], 0)
            .filter(|_| kernel[0].checked_mul(kernel[1]).is_some_and(|taps| taps < 1 << 20))?,
    };
    for y in rows {
        for x in 0..output.width {
            let mut channel = 0;
            while channel < output.channels {
                // SAFETY: the position is in the rows that the band was checked for.
                unsafe {
                    channel += match output.channels - channel {
                        left if left >= LANES => band.vector::<LANES>(y, x, channel),
                        FEW.. => band.vector::<FEW>(y, x, channel),
                        _ => band.vector::<1>(y, x, channel),
                    };
                }
            }
        }
    }
    Some(())
}

struct Band<'m> {
    step: &'m QuantizedPool2d,
    axes: [Axis; 2],
    input: CodeSource<'m>,
    output: CodeSink<'m>,
    end: Requantizer<'m>,
}

impl Band<'_> {
    /// `N` channels, as many as it returns.
    ///
    /// # Safety
    ///
    /// Position and channels must be in the output.
    #[inline(always)]
    unsafe fn vector<const N: usize>(&self, y: usize, x: usize, channel: usize) -> usize {
        let [rows, columns] = self.axes;
        let c = self.step.input.channels;
        let max = self.step.pooling == Pooling::Max;
        let flip = flip(self.step.codes);
        let mut values = [0_i32; N];
        let mut count = 0;
        for ky in rows.taps(y) {
            let row = self.input.row(rows.position(y, ky));
            for kx in columns.taps(x) {
                let offset = columns.position(x, kx) * c + channel;
                for (at, value) in values.iter_mut().enumerate() {
                    // SAFETY: the tap is in the map.
                    let next = i32::from(unsafe { *row.add(offset + at) } ^ flip);
                    *value = if max { next.max(*value) } else { *value + next };
                }
                count += 1;
            }
        }
        for (at, value) in values.into_iter().enumerate() {
            let byte = if max { self.maximum(value) } else { self.mean(value, count, y, x) };
            // SAFETY: the caller's.
            unsafe { *self.output.row(y).add(x * c + channel + at) = byte };
        }
        N
    }

    /// The byte of the largest number from 0 to 255.
    #[inline(always)]
    fn maximum(&self, value: i32) -> u8 {
        let [lo, hi] = self.end.range;
        (value + limits(self.step.codes)[0]).clamp(lo, hi) as u8
    }

    /// The byte of a sum of `count` numbers from 0 to 255; positions in the padding are 0.
    #[inline(always)]
    fn mean(&self, sum: i32, count: i32, y: usize, x: usize) -> u8 {
        let least = limits(self.step.codes)[0];
        let all = if self.step.pooling == Pooling::AveragePadded { self.padded(y, x) } else { count };
        let (codes, zero_point) = (sum + count * least, self.step.codes.zero_point);
        match self.end.rounding {
            Rounding::Onnx => {
                let sum = codes.wrapping_sub(count.wrapping_mul(zero_point));
                self.end.nearest(sum as f32 * (self.step.ratio / all as f32))
            }
            Rounding::Tflite => {
                let sum = codes.wrapping_add((all - count).wrapping_mul(zero_point));
                let half = if sum > 0 { all / 2 } else { -(all / 2) };
                let [lo, hi] = self.end.range;
                sum.wrapping_add(half).checked_div(all).unwrap_or(0).clamp(lo, hi) as u8
            }
        }
    }

    /// Positions of a window in the padded map.
    fn padded(&self, y: usize, x: usize) -> i32 {
        let [rows, columns] = self.axes;
        let [_, _, bottom, right] = self.step.pad;
        (rows.padded(bottom).taps(y).len() * columns.padded(right).taps(x).len()) as i32
    }
}
