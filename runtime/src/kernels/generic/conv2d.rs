//! Dense convolution, direct: tiles of output positions × packed panels, the input read where it lies.
//!
//! The sum of a tile goes over *runs*: pieces of the depth that lie behind one another in the input. Where a
//! window lies inside the map, one run is a whole row of its taps; at the borders it is one tap. Taps outside
//! the map read zeros, so the inner loop knows no border.

use super::epilogue::Finish;
use super::gemm::{Ahead, Panels, accumulate};
use super::grouped::axes;
use super::split::split;
use super::window::Axis;
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Sink, Source};
use crate::memory::Memory;
use crate::steps::Conv2d;
use core::ops::Range;

/// What taps outside the map read; longer runs are cut.
static ZEROS: [f32; 256] = [0.0; 256];

/// See [`Conv2d`]; one group. Tiles are at most `MR` positions.
#[inline(always)]
pub fn run<V: Vector, const NR: usize, const MR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Conv2d,
    rows: Range<usize>,
) -> Option<()> {
    let [kh, kw] = step.kernel;
    let k = kh.checked_mul(kw)?.checked_mul(step.input.channels)?;
    if step.groups != 1 {
        return None;
    }
    let band = Band {
        step,
        axes: axes(step)?,
        input: Source::new(memory, &step.input)?,
        output: Sink::new(memory, &step.output, &rows)?,
        finish: Finish::new(memory, &step.epilogue, &step.output)?,
        panels: Panels::new::<NR>(memory, step.weights, step.bias, k, step.output.channels)?,
    };
    let mut first = rows.start * step.output.width;
    for (height, count) in split(rows.len() * step.output.width, MR) {
        if count == 0 {
            continue;
        }
        match height {
            6 if MR >= 6 => V::apart(isa, Tiles::<V, NR, 6> { band: &band, isa, first, count }),
            5 if MR >= 5 => V::apart(isa, Tiles::<V, NR, 5> { band: &band, isa, first, count }),
            4 if MR >= 4 => V::apart(isa, Tiles::<V, NR, 4> { band: &band, isa, first, count }),
            3 if MR >= 3 => V::apart(isa, Tiles::<V, NR, 3> { band: &band, isa, first, count }),
            2 if MR >= 2 => V::apart(isa, Tiles::<V, NR, 2> { band: &band, isa, first, count }),
            _ => V::apart(isa, Tiles::<V, NR, 1> { band: &band, isa, first, count }),
        }
        first += height * count;
    }
    Some(())
}

/// `count` tiles of `M` positions, which are counted along the rows of the band.
struct Tiles<'a, V: Vector, const NR: usize, const M: usize> {
    band: &'a Band<'a>,
    isa: V::Isa,
    first: usize,
    count: usize,
}

impl<V: Vector, const NR: usize, const M: usize> Task for Tiles<'_, V, NR, M> {
    #[inline(always)]
    fn run(self) {
        for tile in 0..self.count {
            // SAFETY: the tiles divide the positions of the rows that the band was checked for.
            unsafe { self.band.tile::<V, NR, M>(self.isa, self.first + tile * M) }
        }
    }
}

struct Band<'m> {
    step: &'m Conv2d,
    axes: [Axis; 2],
    input: Source<'m>,
    output: Sink<'m>,
    finish: Finish<'m>,
    panels: Panels,
}

/// Row and column of the first tap of one output position; outside the map they wrap around.
#[derive(Clone, Copy, Default)]
struct Corner {
    y: usize,
    x: usize,
}

impl Band<'_> {
    /// All channels of the `M` positions from `first` on, which are counted along rows.
    ///
    /// # Safety
    ///
    /// The positions must be in the rows that the band was checked for.
    #[inline(always)]
    unsafe fn tile<V: Vector, const NR: usize, const M: usize>(&self, isa: V::Isa, first: usize) {
        let Conv2d { output, .. } = self.step;
        let [rows, columns] = self.axes;
        let mut corners = [Corner::default(); M];
        let mut to = [(0, 0); M];
        for m in 0..M {
            let (y, x) = ((first + m) / output.width, (first + m) % output.width);
            corners[m] = Corner { y: rows.first(y), x: columns.first(x) };
            to[m] = (y, x * output.channels);
        }
        for column in (0..output.channels).step_by(2 * V::LANES) {
            // SAFETY: the columns are in the matrix or fill its last panel.
            unsafe {
                if output.channels - column > V::LANES {
                    self.columns::<V, NR, M, 2>(isa, &corners, &to, column);
                } else {
                    self.columns::<V, NR, M, 1>(isa, &corners, &to, column);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn columns<V: Vector, const NR: usize, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        corners: &[Corner; M],
        to: &[(usize, usize); M],
        column: usize,
    ) {
        let n = self.step.output.channels;
        // SAFETY: the caller vouches for positions and columns.
        unsafe {
            let sums = self.sums::<V, NR, M, W>(isa, corners, column);
            let mut output = [core::ptr::null_mut(); M];
            for m in 0..M {
                output[m] = self.output.row(to[m].0).add(to[m].1 + column);
            }
            let residual = match self.finish.row(0) {
                Some(first) => {
                    let mut residual = [first; M];
                    for m in 0..M {
                        residual[m] = self.finish.row(to[m].0).unwrap_or(first).add(to[m].1 + column);
                    }
                    Some(residual)
                }
                None => None,
            };
            self.finish.store(isa, sums, output, residual, (n - column).min(W * V::LANES));
        }
    }

    #[inline(always)]
    unsafe fn sums<V: Vector, const NR: usize, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        corners: &[Corner; M],
        column: usize,
    ) -> [[V; W]; M] {
        let [kh, kw] = self.step.kernel;
        let c = self.step.input.channels;
        // SAFETY: the caller vouches for the columns; the depth of the matrix is kh · kw · c.
        unsafe {
            let mut sums = self.panels.bias::<V, M, W>(isa, column);
            let mut b = self.panels.columns::<V, NR, W>(column);
            let span = if self.inside(corners) { kw } else { 1 };
            for ky in 0..kh {
                for kx in (0..kw).step_by(span) {
                    for at in (0..span * c).step_by(ZEROS.len()) {
                        let len = ZEROS.len().min(span * c - at);
                        let a = self.taps(corners, ky, kx, at);
                        accumulate::<V, NR, M, W>(isa, &mut sums, a, b, len, Ahead::nothing(b[0]));
                        for w in 0..W {
                            b[w] = b[w].add(len * NR);
                        }
                    }
                }
            }
            sums
        }
    }

    /// Whether all columns of all windows lie in the map, one behind another.
    #[inline(always)]
    fn inside<const M: usize>(&self, corners: &[Corner; M]) -> bool {
        let (width, kw) = (self.step.input.width, self.step.kernel[1]);
        let mut inside = self.step.dilation[1] == 1 && kw <= width;
        for corner in corners {
            inside = inside && corner.x <= width - kw;
        }
        inside
    }

    /// Where each position's tap begins, plus `at` elements; zeros for those outside the map.
    ///
    /// # Safety
    ///
    /// `at` must lie inside the run.
    #[inline(always)]
    unsafe fn taps<const M: usize>(
        &self,
        corners: &[Corner; M],
        ky: usize,
        kx: usize,
        at: usize,
    ) -> [*const f32; M] {
        let Conv2d { input, dilation, .. } = self.step;
        let mut pointers = [ZEROS.as_ptr(); M];
        for m in 0..M {
            let y = corners[m].y.wrapping_add(ky * dilation[0]);
            let x = corners[m].x.wrapping_add(kx * dilation[1]);
            if y < input.height && x < input.width {
                // SAFETY: the position is in the map.
                pointers[m] = unsafe { self.input.row(y).add(x * input.channels + at) };
            }
        }
        pointers
    }
}
