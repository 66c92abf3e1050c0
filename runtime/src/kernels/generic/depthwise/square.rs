//! Depthwise convolution by square kernels of a fixed size, several outputs of a row at a step: a column that
//! is loaded once serves all of them, and the taps stay in registers.

use super::Band;
use crate::kernels::generic::epilogue::Finish;
use crate::kernels::vector::Vector;
use crate::memory::Memory;
use crate::steps::Depthwise;
use core::ops::Range;

/// See [`Depthwise`]; `K`×`K` taps without dilation, a column stride of 1 or 2, one output channel per input
/// channel. Weights are padded to `PAD` channels.
#[inline(always)]
pub fn square<V: Vector, const PAD: usize, const K: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Depthwise,
    rows: Range<usize>,
) -> Option<()> {
    if step.kernel != [K, K] || step.dilation != [1, 1] || step.multiplier != 1 {
        return None;
    }
    let band = Band::new::<V, PAD>(memory, step, &rows)?;
    // SAFETY: the rows are those that the band was checked for.
    unsafe {
        match step.stride[1] {
            1 => band.rows::<V, K, 1, 4>(isa, rows),
            2 => band.rows::<V, K, 2, 2>(isa, rows),
            _ => return None,
        }
    }
    Some(())
}

impl Band<'_> {
    /// # Safety
    ///
    /// The rows must be those that the band was checked for; `S` is the stride of its columns.
    #[inline(always)]
    unsafe fn rows<V: Vector, const K: usize, const S: usize, const N: usize>(
        &self,
        isa: V::Isa,
        rows: Range<usize>,
    ) {
        let (channels, width) = (self.step.output.channels, self.step.output.width);
        let inside = self.axes[1].inside();
        for y in rows {
            for channel in (0..channels).step_by(V::LANES) {
                // SAFETY: the columns `inside` have all their taps in the map.
                unsafe {
                    if channels - channel < V::LANES {
                        self.outputs::<V>(isa, y, 0..width, channel);
                    } else {
                        self.outputs::<V>(isa, y, 0..inside.start, channel);
                        self.inside::<V, K, S, N>(isa, y, inside.clone(), channel);
                        self.outputs::<V>(isa, y, inside.end..width, channel);
                    }
                }
            }
        }
    }

    /// Columns whose taps all lie in the map, of a whole vector of channels.
    #[inline(always)]
    unsafe fn inside<V: Vector, const K: usize, const S: usize, const N: usize>(
        &self,
        isa: V::Isa,
        y: usize,
        columns: Range<usize>,
        channel: usize,
    ) {
        if columns.is_empty() {
            return;
        }
        let taps = self.axes[0].taps(y);
        // SAFETY: the caller's.
        unsafe {
            match taps.len() {
                5 if K >= 5 => self.line::<V, 5, K, S, N>(isa, y, taps.start, columns, channel),
                4 if K >= 4 => self.line::<V, 4, K, S, N>(isa, y, taps.start, columns, channel),
                3 => self.line::<V, 3, K, S, N>(isa, y, taps.start, columns, channel),
                2 => self.line::<V, 2, K, S, N>(isa, y, taps.start, columns, channel),
                1 => self.line::<V, 1, K, S, N>(isa, y, taps.start, columns, channel),
                _ => self.outputs::<V>(isa, y, columns, channel),
            }
        }
    }

    /// The same where `R` rows of taps from `first` on lie in the map.
    #[inline(always)]
    unsafe fn line<V: Vector, const R: usize, const K: usize, const S: usize, const N: usize>(
        &self,
        isa: V::Isa,
        y: usize,
        first: usize,
        columns: Range<usize>,
        channel: usize,
    ) {
        let c = self.step.output.channels;
        let [row_axis, column_axis] = self.axes;
        let (from, to) = (column_axis.first(columns.start) * c + channel, columns.start * c + channel);
        // SAFETY: the caller's.
        unsafe {
            let mut input = [self.input.row(0); R];
            let mut weights = [[V::splat(isa, 0.0); K]; R];
            for r in 0..R {
                input[r] = self.input.row(row_axis.position(y, first + r)).add(from);
                for k in 0..K {
                    let tap = (first + r) * K + k;
                    weights[r][k] = V::load(isa, self.weights.add(tap * self.padded + channel));
                }
            }
            let mut line = Line {
                c,
                input,
                weights,
                bias: V::load(isa, self.bias.add(channel)),
                output: self.output.row(y).add(to),
                residual: self.finish.row(y).map(|residual| residual.add(to)),
                finish: &self.finish,
            };
            for _ in 0..columns.len() / N {
                line.step::<S, N>(isa);
            }
            for _ in 0..columns.len() % N {
                line.step::<S, 1>(isa);
            }
        }
    }
}

/// A vector of channels on its way along a row.
struct Line<'a, V, const R: usize, const K: usize> {
    /// Elements from one column to the next.
    c: usize,
    /// The first column of the next window, in each of its rows.
    input: [*const f32; R],
    weights: [[V; K]; R],
    bias: V,
    output: *mut f32,
    residual: Option<*const f32>,
    finish: &'a Finish<'a>,
}

impl<V: Vector, const R: usize, const K: usize> Line<'_, V, R, K> {
    /// The next `N` outputs at column stride `S`.
    ///
    /// # Safety
    ///
    /// They must exist, with all their columns in the map.
    #[inline(always)]
    unsafe fn step<const S: usize, const N: usize>(&mut self, isa: V::Isa) {
        let c = self.c;
        let mut sums = [[self.bias]; N];
        // SAFETY: the caller's; the pointers end at most where the next outputs would begin.
        unsafe {
            for r in 0..R {
                for column in 0..(N - 1) * S + K {
                    let x = V::load(isa, self.input[r].add(column * c));
                    for n in 0..N {
                        if column >= n * S && column < n * S + K {
                            sums[n][0] = x.mul_add(self.weights[r][column - n * S], sums[n][0]);
                        }
                    }
                }
                self.input[r] = self.input[r].wrapping_add(N * S * c);
            }
            let mut output = [self.output; N];
            for n in 0..N {
                output[n] = self.output.add(n * c);
            }
            let residual = match self.residual {
                Some(residual) => {
                    let mut pointers = [residual; N];
                    for n in 0..N {
                        pointers[n] = residual.add(n * c);
                    }
                    self.residual = Some(residual.wrapping_add(N * c));
                    Some(pointers)
                }
                None => None,
            };
            self.finish.store(isa, sums, output, residual, V::LANES);
            self.output = self.output.wrapping_add(N * c);
        }
    }
}
