//! Convolution of codes: tiles of positions × output channels, the depth in runs.
//!
//! A run is a piece of the depth that lies behind one another in the input: a whole row of a window's taps
//! inside the map, one tap at its borders. Taps outside read zero points, so the inner loop knows no border.

use super::Weight;
use crate::kernels::generic::requantize::{Requantizer, flip, zero_byte};
use crate::kernels::generic::window::Axis;
use crate::kernels::told;
use crate::kernels::view::{CodeSink, CodeSource, weights};
use crate::memory::Memory;
use crate::steps::QuantizedConv2d;
use core::ops::Range;

/// Elements of the longest run in the padding.
const PADDING: usize = 128;

/// See [`QuantizedConv2d`]; weights `[n, kh·kw·(c/groups)]`.
#[inline(never)]
pub fn conv2d_q8(memory: &mut Memory<'_>, step: &QuantizedConv2d, rows: Range<usize>) {
    told(if step.wide { run::<i16>(memory, step, rows) } else { run::<i8>(memory, step, rows) });
}

pub(in crate::kernels) fn run<W: Weight>(
    memory: &Memory<'_>,
    step: &QuantizedConv2d,
    rows: Range<usize>,
) -> Option<()> {
    let QuantizedConv2d { input, output, kernel, groups, .. } = step;
    let n = output.channels;
    if *groups == 0 || !n.is_multiple_of(*groups) || !input.channels.is_multiple_of(*groups) {
        return None;
    }
    let depth = input.channels / groups;
    let k = kernel[0].checked_mul(kernel[1])?.checked_mul(depth)?;
    let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
    let band = Band::<W> {
        step,
        axes: Axis::both(*kernel, step.stride, step.dilation, step.pad, inputs, outputs)?,
        input: CodeSource::new(memory, input)?,
        output: CodeSink::new(memory, output, &rows)?,
        weights: weights(memory, step.weights, n.checked_mul(k)?)?,
        bias: weights(memory, step.bias, n)?,
        end: Requantizer::new(memory, &step.requantize, [step.multipliers, step.shifts], n)?,
        // Stored as a code is, so that it is flipped like one.
        padding: [zero_byte(step.codes)? ^ flip(step.codes); PADDING],
        depth,
        k,
    };
    for y in rows {
        let mut x = 0;
        while x < output.width {
            let pair = x + 1 < output.width;
            for group in 0..*groups {
                // SAFETY: row and columns are in the output.
                unsafe {
                    if pair { band.positions::<2>(y, x, group) } else { band.positions::<1>(y, x, group) }
                }
            }
            x += if pair { 2 } else { 1 };
        }
    }
    Some(())
}

struct Band<'m, W> {
    step: &'m QuantizedConv2d,
    axes: [Axis; 2],
    input: CodeSource<'m>,
    output: CodeSink<'m>,
    weights: &'m [W],
    bias: &'m [i32],
    end: Requantizer<'m>,
    padding: [u8; PADDING],
    /// Input channels of a group.
    depth: usize,
    k: usize,
}

impl<W: Weight> Band<'_, W> {
    /// All output channels of a group at `M` positions.
    ///
    /// # Safety
    ///
    /// The positions must be in the rows that the band was checked for.
    #[inline(always)]
    unsafe fn positions<const M: usize>(&self, y: usize, x: usize, group: usize) {
        let n = self.step.output.channels / self.step.groups;
        let mut channel = group * n;
        let end = channel + n;
        while channel < end {
            // SAFETY: the caller's, and the channels are of the group.
            unsafe {
                if end - channel >= 4 {
                    self.tile::<M, 4>(y, x, group, channel);
                    channel += 4;
                } else {
                    self.tile::<M, 1>(y, x, group, channel);
                    channel += 1;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<const M: usize, const N: usize>(&self, y: usize, x: usize, group: usize, channel: usize) {
        let mut sums = [[0; N]; M];
        for row in &mut sums {
            for (at, sum) in row.iter_mut().enumerate() {
                *sum = self.bias.get(channel + at).copied().unwrap_or(0);
            }
        }
        // SAFETY: the caller's; the depth of the weights is kh · kw · depth.
        unsafe {
            self.accumulate::<M, N>(&mut sums, y, x, group, self.weights.as_ptr().add(channel * self.k));
            for (m, row) in sums.iter().enumerate() {
                let to = self.output.row(y).add((x + m) * self.step.output.channels + channel);
                for (at, sum) in row.iter().enumerate() {
                    *to.add(at) = self.end.byte(*sum, channel + at);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn accumulate<const M: usize, const N: usize>(
        &self,
        sums: &mut [[i32; N]; M],
        y: usize,
        x: usize,
        group: usize,
        weights: *const W,
    ) {
        let QuantizedConv2d { input, kernel: [kh, kw], groups, .. } = self.step;
        let columns = self.axes[1];
        let mut first = [0; M];
        let mut whole = *groups == 1 && self.step.dilation[1] == 1 && *kw <= input.width;
        for m in 0..M {
            first[m] = columns.first(x + m);
            whole = whole && first[m] <= input.width.wrapping_sub(*kw);
        }
        let span = if whole { *kw } else { 1 };
        let mut at = 0;
        for ky in 0..*kh {
            let row = self.axes[0].position(y, ky);
            for kx in (0..*kw).step_by(span) {
                let len = span * self.depth;
                let mut done = 0;
                while done < len {
                    let mut pointers = [self.padding.as_ptr(); M];
                    let mut run = len - done;
                    for m in 0..M {
                        let column = columns.position(x + m, kx);
                        if row < input.height && column < input.width {
                            let offset = column * input.channels + group * self.depth + done;
                            // SAFETY: the position is in the map.
                            pointers[m] = unsafe { self.input.row(row).add(offset) };
                        } else {
                            run = run.min(PADDING);
                        }
                    }
                    // SAFETY: the run is in the map or the padding, and in the weights.
                    unsafe { products(sums, pointers, flip(self.step.codes), weights.add(at), self.k, run) };
                    done += run;
                    at += run;
                }
            }
        }
    }
}

/// `sums[m][n] += Σ_i a[m][i] · b[n · k + i]` over `len` elements, modulo 2^32.
///
/// # Safety
///
/// `len` elements must be readable from each.
#[inline(always)]
unsafe fn products<W: Weight, const M: usize, const N: usize>(
    sums: &mut [[i32; N]; M],
    a: [*const u8; M],
    flip: u8,
    b: *const W,
    k: usize,
    len: usize,
) {
    let mut totals = *sums;
    for i in 0..len {
        let mut values = [0; M];
        for (value, a) in values.iter_mut().zip(a) {
            // SAFETY: element `i` is below `len`.
            *value = i32::from(unsafe { *a.add(i) } ^ flip);
        }
        for n in 0..N {
            // SAFETY: as above.
            let weight = unsafe { *b.add(n * k + i) }.value();
            for m in 0..M {
                totals[m][n] = totals[m][n].wrapping_add(values[m] * weight);
            }
        }
    }
    *sums = totals;
}
