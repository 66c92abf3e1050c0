//! Pooling over windows and over whole maps: vectors along the channels.

use super::window::Axis;
use crate::kernels::vector::Vector;
use crate::kernels::view::{Sink, Source};
use crate::memory::Memory;
use crate::steps::{GlobalPool, Pool2d, Pooling};
use core::ops::Range;

/// See [`Pool2d`].
#[inline(always)]
pub fn window<V: Vector>(isa: V::Isa, memory: &Memory<'_>, step: &Pool2d, rows: Range<usize>) -> Option<()> {
    let Pool2d { input: from, output: to, kernel, stride, dilation, pad, .. } = step;
    if from.channels != to.channels {
        return None;
    }
    let (inputs, outputs) = ([from.height, from.width], [to.height, to.width]);
    let padded = [pad[0], pad[1]];
    let band = Band {
        step,
        axes: Axis::both(*kernel, *stride, *dilation, padded, inputs, outputs)?,
        input: Source::new(memory, from)?,
        output: Sink::new(memory, to, &rows)?,
    };
    for y in rows {
        for x in 0..to.width {
            for channel in (0..to.channels).step_by(V::LANES) {
                // SAFETY: the position is in the rows that the band was checked for.
                unsafe { band.vector::<V>(isa, y, x, channel) }
            }
        }
    }
    Some(())
}

struct Band<'m> {
    step: &'m Pool2d,
    axes: [Axis; 2],
    input: Source<'m>,
    output: Sink<'m>,
}

impl Band<'_> {
    #[inline(always)]
    unsafe fn vector<V: Vector>(&self, isa: V::Isa, y: usize, x: usize, channel: usize) {
        let c = self.step.output.channels;
        let lanes = V::LANES.min(c - channel);
        // SAFETY: taps lie in the map; the rest is the caller's.
        unsafe {
            let value = match self.step.pooling {
                Pooling::Max => self.fold::<V, true>(isa, y, x, channel),
                Pooling::Average | Pooling::AveragePadded => {
                    let sum = self.fold::<V, false>(isa, y, x, channel);
                    sum.mul(V::splat(isa, 1.0 / self.count(y, x).max(1) as f32))
                }
            };
            value.store_some(self.output.row(y).add(x * c + channel), lanes);
        }
    }

    /// The maximum or the sum over a window's taps in the map.
    #[inline(always)]
    unsafe fn fold<V: Vector, const MAX: bool>(&self, isa: V::Isa, y: usize, x: usize, channel: usize) -> V {
        let c = self.step.output.channels;
        let lanes = V::LANES.min(c - channel);
        let [rows, columns] = self.axes;
        let mut result = V::splat(isa, if MAX { f32::NEG_INFINITY } else { 0.0 });
        for ky in rows.taps(y) {
            let row = self.input.row(rows.position(y, ky));
            for kx in columns.taps(x) {
                // SAFETY: the tap lies in the map.
                let value =
                    unsafe { V::load_some(isa, row.add(columns.position(x, kx) * c + channel), lanes) };
                result = if MAX { result.max(value) } else { result.add(value) };
            }
        }
        result
    }

    /// Positions that an average is taken over.
    #[inline(always)]
    fn count(&self, y: usize, x: usize) -> usize {
        let [rows, columns] = self.axes;
        if self.step.pooling == Pooling::AveragePadded {
            rows.padded(self.step.pad[2]).taps(y).len() * columns.padded(self.step.pad[3]).taps(x).len()
        } else {
            rows.taps(y).len() * columns.taps(x).len()
        }
    }
}

/// See [`GlobalPool`]; the output holds sums until the last row.
#[inline(always)]
pub fn global<V: Vector>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &GlobalPool,
    rows: Range<usize>,
) -> Option<()> {
    let GlobalPool { input, output, max } = step;
    let c = input.channels;
    if [output.height, output.width, output.channels] != [1, 1, c] || rows.end > input.height {
        return None;
    }
    if rows.is_empty() {
        return Some(());
    }
    let source = Source::new(memory, input)?;
    let sums = Sink::new(memory, output, &(0..1))?.row(0);
    let factor = 1.0 / (input.height as f32 * input.width as f32);
    for channel in (0..c).step_by(4 * V::LANES) {
        let vectors = (c - channel).div_ceil(V::LANES).min(4);
        for v in 0..vectors {
            let channel = channel + v * V::LANES;
            let lanes = V::LANES.min(c - channel);
            // SAFETY: rows and channels lie in the maps.
            unsafe {
                let to = sums.add(channel);
                let mut sum = match (rows.start, max) {
                    (0, true) => V::splat(isa, f32::NEG_INFINITY),
                    (0, false) => V::splat(isa, 0.0),
                    _ => V::load_some(isa, to.cast_const(), lanes),
                };
                for y in rows.clone() {
                    let row = source.row(y).add(channel);
                    for x in 0..input.width {
                        let value = V::load_some(isa, row.add(x * c), lanes);
                        sum = if *max { sum.max(value) } else { sum.add(value) };
                    }
                }
                if rows.end == input.height && !max {
                    sum = sum.mul(V::splat(isa, factor));
                }
                sum.store_some(to, lanes);
            }
        }
    }
    Some(())
}
