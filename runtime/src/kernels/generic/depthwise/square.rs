//! Depthwise convolution by square kernels of a fixed size, several outputs of a row at a step: a column that
//! is loaded once serves all of them.

use super::Band;
use crate::kernels::generic::split::split;
use crate::kernels::vector::{Task, Vector};
use crate::memory::Memory;
use crate::steps::Depthwise;
use core::ops::Range;

/// Bytes of input that the rows of one window may take, so that they stay in the level 1 cache from one
/// output row to the next: half of the smallest there is.
const WINDOW_BYTES: usize = 16 << 10;

/// Outputs at a step. 3×3: 6 sums, 3 taps and an input take 10 registers, and each tap row loads 11
/// vectors for 18 multiply-adds.
const STEP: usize = 6;

/// See [`Depthwise`]; `K`×`K` taps without dilation, a column stride of 1 or 2, one output channel per input
/// channel. Weights are padded to `PAD` channels.
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
    let band = Band::new::<V, PAD>(memory, step, &rows)?;
    let channels = step.output.channels;
    let column_bytes = K * step.input.width * size_of::<f32>();
    let chunk = (WINDOW_BYTES / column_bytes.max(1) / PAD).max(1) * PAD;
    for first in (0..channels).step_by(chunk) {
        for y in rows.clone() {
            let line = Line::<K>::new(&band, y);
            for channel in (first..channels.min(first + chunk)).step_by(V::LANES) {
                // SAFETY: the row is one that the band was checked for.
                unsafe {
                    if channels - channel < V::LANES {
                        band.outputs::<V>(isa, y, 0..step.output.width, channel);
                    } else {
                        line.outputs::<V>(isa, stride, channel);
                    }
                }
            }
        }
    }
    Some(())
}

/// One row of outputs, and the input rows that it needs.
struct Line<'a, const K: usize> {
    band: &'a Band<'a>,
    y: usize,
    /// The taps' rows that lie in the map.
    input: [*const f32; K],
    /// Which taps these are.
    taps: Range<usize>,
    /// Outputs all of whose columns lie in the map.
    inside: Range<usize>,
}

impl<'a, const K: usize> Line<'a, K> {
    #[inline(always)]
    fn new(band: &'a Band<'a>, y: usize) -> Self {
        let [rows, columns] = band.axes;
        let taps = rows.taps(y);
        let mut input = [band.input.row(0); K];
        for tap in taps.clone() {
            input[tap] = band.input.row(rows.position(y, tap));
        }
        Self { band, y, input, taps, inside: columns.inside() }
    }

    /// A whole vector of channels of all columns, in steps of nearly equal lengths: those inside the map
    /// together, those at its edges by themselves.
    ///
    /// # Safety
    ///
    /// The channels must exist, and `stride` be the stride of the columns.
    #[inline(always)]
    unsafe fn outputs<V: Vector>(&self, isa: V::Isa, stride: usize, channel: usize) {
        let mut x = 0;
        for (len, count) in split(self.band.step.output.width, STEP) {
            let mut done = 0;
            while done < count {
                let edge = x < self.inside.start || x + len > self.inside.end;
                let fits = if edge { 1 } else { ((self.inside.end - x) / len).min(count - done) };
                self.steps::<V>(isa, stride, Steps { x, len, count: fits, channel, edge });
                done += fits;
                x += fits * len;
            }
        }
    }

    #[inline(always)]
    fn steps<V: Vector>(&self, isa: V::Isa, stride: usize, steps: Steps) {
        match (steps.len, stride, steps.edge) {
            (6, 1, false) => self.apart::<V, 1, false, 6>(isa, steps),
            (5, 1, false) => self.apart::<V, 1, false, 5>(isa, steps),
            (4, 1, false) => self.apart::<V, 1, false, 4>(isa, steps),
            (3, 1, false) => self.apart::<V, 1, false, 3>(isa, steps),
            (6, _, false) => self.apart::<V, 2, false, 6>(isa, steps),
            (5, _, false) => self.apart::<V, 2, false, 5>(isa, steps),
            (4, _, false) => self.apart::<V, 2, false, 4>(isa, steps),
            (3, _, false) => self.apart::<V, 2, false, 3>(isa, steps),
            (6, 1, _) => self.apart::<V, 1, true, 6>(isa, steps),
            (5, 1, _) => self.apart::<V, 1, true, 5>(isa, steps),
            (4, 1, _) => self.apart::<V, 1, true, 4>(isa, steps),
            (3, 1, _) => self.apart::<V, 1, true, 3>(isa, steps),
            (2, 1, _) => self.apart::<V, 1, true, 2>(isa, steps),
            (_, 1, _) => self.apart::<V, 1, true, 1>(isa, steps),
            (6, ..) => self.apart::<V, 2, true, 6>(isa, steps),
            (5, ..) => self.apart::<V, 2, true, 5>(isa, steps),
            (4, ..) => self.apart::<V, 2, true, 4>(isa, steps),
            (3, ..) => self.apart::<V, 2, true, 3>(isa, steps),
            (2, ..) => self.apart::<V, 2, true, 2>(isa, steps),
            _ => self.apart::<V, 2, true, 1>(isa, steps),
        }
    }

    #[inline(always)]
    fn apart<V: Vector, const S: usize, const EDGE: bool, const N: usize>(&self, isa: V::Isa, steps: Steps) {
        V::apart(isa, Outputs::<V, K, S, EDGE, N> { line: self, isa, steps });
    }

    /// `N` outputs from column `x` on. At an edge, input columns outside the map are left out.
    ///
    /// # Safety
    ///
    /// The outputs must exist, and without `EDGE` have all their columns in the map.
    #[inline(always)]
    unsafe fn step<V: Vector, const S: usize, const EDGE: bool, const N: usize>(
        &self,
        isa: V::Isa,
        x: usize,
        channel: usize,
    ) {
        let Band { step, axes, weights, bias, padded, .. } = self.band;
        let c = step.output.channels;
        let first = axes[1].first(x);
        // SAFETY: weights and bias are padded to whole vectors; input columns lie in the map.
        unsafe {
            let mut sums = [[V::load(isa, bias.add(channel))]; N];
            for tap in self.taps.clone() {
                let row = self.input[tap].wrapping_add(first.wrapping_mul(c).wrapping_add(channel));
                let mut weight = [V::splat(isa, 0.0); K];
                for k in 0..K {
                    weight[k] = V::load(isa, weights.add((tap * K + k) * padded + channel));
                }
                for column in 0..(N - 1) * S + K {
                    if EDGE && first.wrapping_add(column) >= step.input.width {
                        continue;
                    }
                    let value = V::load(isa, row.wrapping_add(column * c));
                    for n in 0..N {
                        if column >= n * S && column < n * S + K {
                            sums[n][0] = value.mul_add(weight[column - n * S], sums[n][0]);
                        }
                    }
                }
            }
            self.band.store::<V, N>(isa, sums, self.y, x, channel, V::LANES);
        }
    }
}

/// `count` steps of `len` outputs from column `x` on, of a vector of channels.
#[derive(Clone, Copy)]
struct Steps {
    x: usize,
    len: usize,
    count: usize,
    channel: usize,
    /// Whether some input columns lie outside the map.
    edge: bool,
}

struct Outputs<'a, V: Vector, const K: usize, const S: usize, const EDGE: bool, const N: usize> {
    line: &'a Line<'a, K>,
    isa: V::Isa,
    steps: Steps,
}

impl<V: Vector, const K: usize, const S: usize, const EDGE: bool, const N: usize> Task
    for Outputs<'_, V, K, S, EDGE, N>
{
    #[inline(always)]
    fn run(self) {
        let Steps { x, count, channel, .. } = self.steps;
        for step in 0..count {
            // SAFETY: the steps lie in the line, whose channels and stride its user vouches for.
            unsafe { self.line.step::<V, S, EDGE, N>(self.isa, x + step * N, channel) }
        }
    }
}
