//! Depthwise convolution: vectors along the channels.
//!
//! Here are the step's check, and outputs computed one by one with just the taps that lie in the map: any
//! kernel, the borders, and the channels that do not fill a vector. What is fast is in [`square`].

mod square;

pub use square::square;

use super::epilogue::{Finish, offsets, offsets_mut};
use super::window::Axis;
use crate::kernels::vector::{Vector, WIDEST};
use crate::kernels::view::{Sink, Source, constants};
use crate::memory::Memory;
use crate::steps::Depthwise;
use core::ops::Range;

/// See [`Depthwise`]; any of them. Weights are in panels of `PAD` channels.
#[inline(always)]
pub fn any<V: Vector, const PAD: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Depthwise,
    rows: Range<usize>,
) -> Option<()> {
    let band = Band::<PAD>::new::<V>(memory, step, &rows)?;
    for y in rows {
        for channel in (0..step.output.channels).step_by(V::LANES) {
            // SAFETY: the position is in the rows that the band was checked for.
            unsafe { band.outputs::<V>(isa, y, 0..step.output.width, channel) }
        }
    }
    Some(())
}

/// A checked step.
struct Band<'m, const PAD: usize> {
    step: &'m Depthwise,
    axes: [Axis; 2],
    input: Source<'m>,
    output: Sink<'m>,
    finish: Finish<'m>,
    weights: *const f32,
    bias: *const f32,
    taps: usize,
}

impl<'m, const PAD: usize> Band<'m, PAD> {
    fn new<V: Vector>(memory: &'m Memory<'_>, step: &'m Depthwise, rows: &Range<usize>) -> Option<Self> {
        const { assert!(PAD.is_multiple_of(V::LANES), "a partial vector of channels has whole weights") };
        let Depthwise { input, output, kernel, .. } = step;
        if step.multiplier == 0 || input.channels.checked_mul(step.multiplier)? != output.channels {
            return None;
        }
        let padded = output.channels.checked_next_multiple_of(PAD)?;
        let taps = kernel[0].checked_mul(kernel[1])?;
        let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
        Some(Self {
            step,
            axes: Axis::both(step.kernel, step.stride, step.dilation, step.pad, inputs, outputs)?,
            input: Source::new(memory, input)?,
            output: Sink::new(memory, output, rows)?,
            finish: Finish::new(memory, &step.epilogue, output)?,
            weights: constants(memory, step.weights, taps.checked_mul(padded)?)?,
            bias: constants(memory, step.bias, padded)?,
            taps,
        })
    }

    /// A vector of channels, or what is left of it, at some columns of a row.
    ///
    /// # Safety
    ///
    /// Row, columns and channel must be in the output, and the row one that the band was checked for.
    #[inline(always)]
    unsafe fn outputs<V: Vector>(&self, isa: V::Isa, y: usize, columns: Range<usize>, channel: usize) {
        let c = self.step.output.channels;
        let lanes = V::LANES.min(c - channel);
        for x in columns {
            // SAFETY: the caller's.
            unsafe {
                let sum = self.sum::<V>(isa, y, x, channel, lanes);
                self.store(isa, [[sum]], y, x, channel, lanes);
            }
        }
    }

    /// Finishes `N` outputs from column `x` on, of `lanes` channels.
    ///
    /// # Safety
    ///
    /// They must be in the output, and the row one that the band was checked for.
    #[inline(always)]
    unsafe fn store<V: Vector, const N: usize>(
        &self,
        isa: V::Isa,
        sums: [[V; 1]; N],
        y: usize,
        x: usize,
        channel: usize,
        lanes: usize,
    ) {
        let c = self.step.output.channels;
        let at = x * c + channel;
        // SAFETY: the caller's.
        unsafe {
            let output = offsets_mut(self.output.row(y).add(at), c);
            let residual = self.finish.row(y).map(|residual| offsets(residual.add(at), c));
            self.finish.store(isa, sums, output, residual, lanes);
        }
    }

    #[inline(always)]
    unsafe fn sum<V: Vector>(&self, isa: V::Isa, y: usize, x: usize, channel: usize, lanes: usize) -> V {
        let [rows, columns] = self.axes;
        // SAFETY: weights and bias are padded to whole vectors, and the taps lie in the map.
        unsafe {
            let mut sum = V::load(isa, self.bias.add(channel));
            let weights = self.weights.add(channel / PAD * PAD * self.taps + channel % PAD);
            for ky in rows.taps(y) {
                let row = self.input.row(rows.position(y, ky));
                for kx in columns.taps(x) {
                    let position = row.add(columns.position(x, kx) * self.step.input.channels);
                    let tap = ky * self.step.kernel[1] + kx;
                    let weight = V::load(isa, weights.add(tap * PAD));
                    sum = self.values::<V>(isa, position, channel, lanes).mul_add(weight, sum);
                }
            }
            sum
        }
    }

    /// What `lanes` output channels from `channel` on read at an input position.
    #[inline(always)]
    unsafe fn values<V: Vector>(&self, isa: V::Isa, at: *const f32, channel: usize, lanes: usize) -> V {
        let multiplier = self.step.multiplier;
        // SAFETY: the caller vouches for position and channels.
        unsafe {
            if multiplier != 1 {
                let mut values = [0.0; WIDEST];
                for lane in 0..lanes {
                    values[lane] = *at.add((channel + lane) / multiplier);
                }
                V::load(isa, values.as_ptr())
            } else {
                V::load_some(isa, at.add(channel), lanes)
            }
        }
    }
}
