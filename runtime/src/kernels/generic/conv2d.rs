//! Dense convolution, direct: tiles of output positions × packed panels, the input read where it lies.
//!
//! The sum of a tile goes over *runs*: pieces of the depth that lie behind one another in the input. Where a
//! window lies inside the map, one run is a whole row of its taps; at the borders it is one tap. Taps outside
//! the map read zeros, so the inner loop knows no border.

use super::accumulate::accumulate;
use super::ahead::Ahead;
use super::epilogue::Finish;
use super::grouped::{Groups, axes};
use super::panels::Panels;
use super::split::{of_height, split};
use super::window::Axis;
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Sink, Source};
use crate::memory::Memory;
use crate::steps::{Conv2d, Map};
use core::ops::Range;

/// What taps outside the map read; longer runs are cut.
pub static ZEROS: [f32; 256] = [0.0; 256];

/// Bytes of input that are passed over panel after panel: half of the smallest level 2 cache.
const BLOCK_BYTES: usize = 128 << 10;

/// See [`Conv2d`]; panels of `NR` columns, none of them of two groups. Tiles are at most `MR` positions.
#[inline(always)]
pub fn run<V: Vector, const NR: usize, const MR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Conv2d,
    rows: Range<usize>,
) -> Option<()> {
    let [kh, kw] = step.kernel;
    let groups = Groups::new::<NR>(step)?;
    let k = kh.checked_mul(kw)?.checked_mul(groups.depth)?;
    let band = Band {
        step,
        groups,
        axes: axes(step)?,
        input: Source::new(memory, &step.input)?,
        output: Sink::new(memory, &step.output, &rows)?,
        finish: Finish::new(memory, &step.epilogue, &step.output)?,
        panels: Panels::new::<NR>(memory, step.weights, step.bias, k, step.output.channels)?,
    };
    // Positions whose inputs stay in the level 2 cache while panel after panel passes over them.
    let position = step.stride[0] * step.stride[1] * step.input.channels * size_of::<f32>();
    let block = (BLOCK_BYTES / position.max(1)).max(MR) / MR * MR;
    let positions = rows.start * step.output.width..rows.end * step.output.width;
    let mut first = positions.start;
    while first < positions.end {
        let count = block.min(positions.end - first);
        let mut column = 0;
        while column < step.output.channels {
            column += if groups.left(column) > V::LANES {
                band.stripe::<V, NR, MR, 2>(isa, first..first + count, column)
            } else {
                band.stripe::<V, NR, MR, 1>(isa, first..first + count, column)
            };
        }
        first += count;
    }
    Some(())
}

/// `count` tiles of `M` positions, which are counted along the rows of the map, and `W` vectors of columns; whole
/// ones whose epilogue is plain, or any.
struct Tiles<'a, V: Vector, const NR: usize, const M: usize, const W: usize, const PLAIN: bool> {
    band: &'a Band<'a>,
    isa: V::Isa,
    first: usize,
    count: usize,
    column: usize,
}

impl<V: Vector, const NR: usize, const M: usize, const W: usize, const PLAIN: bool> Task
    for Tiles<'_, V, NR, M, W, PLAIN>
{
    #[inline(always)]
    fn run(self) {
        for tile in 0..self.count {
            // SAFETY: the tiles divide the positions of the rows that the band was checked for.
            unsafe {
                self.band.tile::<V, NR, M, W, PLAIN>(self.isa, self.first + tile * M, self.column);
            }
        }
    }
}

struct Band<'m> {
    step: &'m Conv2d,
    groups: Groups,
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
    /// `W` vectors of columns of those positions, in tiles of nearly equal heights up to `MR`. Answers how many columns.
    #[inline(always)]
    fn stripe<V: Vector, const NR: usize, const MR: usize, const W: usize>(
        &self,
        isa: V::Isa,
        positions: Range<usize>,
        column: usize,
    ) -> usize {
        let mut first = positions.start;
        for (height, count) in split(positions.len(), MR) {
            if count == 0 {
                continue;
            }
            of_height!(height, MR, M => self.apart::<V, NR, M, W>(isa, first, count, column));
            first += height * count;
        }
        W * V::LANES
    }

    #[inline(always)]
    fn apart<V: Vector, const NR: usize, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        first: usize,
        count: usize,
        column: usize,
    ) {
        let whole = self.step.output.channels - column >= W * V::LANES;
        if whole && self.finish.is_plain() {
            V::apart(isa, Tiles::<V, NR, M, W, true> { band: self, isa, first, count, column });
        } else {
            V::apart(isa, Tiles::<V, NR, M, W, false> { band: self, isa, first, count, column });
        }
    }

    /// The tile of the `M` positions from `first` on.
    ///
    /// # Safety
    ///
    /// The positions must be in the rows that the band was checked for, and the columns in the matrix.
    #[inline(always)]
    unsafe fn tile<V: Vector, const NR: usize, const M: usize, const W: usize, const PLAIN: bool>(
        &self,
        isa: V::Isa,
        first: usize,
        column: usize,
    ) {
        let Map { width, channels: n, .. } = self.step.output;
        let [rows, columns] = self.axes;
        let mut corners = [Corner::default(); M];
        let mut output = [core::ptr::null_mut(); M];
        let mut residual = [core::ptr::null(); M];
        let (mut y, mut x) = (first / width, first % width);
        for m in 0..M {
            corners[m] = Corner { y: rows.first(y), x: columns.first(x) };
            output[m] = self.output.row(y).wrapping_add(x * n + column);
            residual[m] =
                self.finish.row(y).map_or(core::ptr::null(), |row| row.wrapping_add(x * n + column));
            x += 1;
            if x == width {
                (y, x) = (y + 1, 0);
            }
        }
        let residual = self.finish.row(0).map(|_| residual);
        // SAFETY: the caller vouches for positions and columns.
        unsafe {
            let sums = self.sums::<V, NR, M, W>(isa, &corners, column);
            if PLAIN {
                for m in 0..M {
                    let residual = residual.map(|residual| residual[m]);
                    Finish::store_plain(isa, sums[m], output[m], residual, self.finish.bounds().0);
                }
            } else {
                self.finish.store(isa, sums, output, residual, (n - column).min(W * V::LANES));
            }
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
        let (c, channel) = (self.groups.depth, self.groups.first(column));
        // SAFETY: the caller vouches for the columns; the depth of the matrix is kh · kw · c.
        unsafe {
            let mut sums = self.panels.bias::<V, M, W>(isa, column);
            let mut b = self.panels.columns::<V, NR, W>(column);
            let span = if self.inside(corners) { kw } else { 1 };
            for ky in 0..kh {
                for kx in (0..kw).step_by(span) {
                    for at in (0..span * c).step_by(ZEROS.len()) {
                        let len = ZEROS.len().min(span * c - at);
                        let a = self.taps(corners, ky, kx, channel + at);
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

    /// Whether all columns of all windows lie in the map, one behind another without channels of other groups between
    /// them.
    #[inline(always)]
    fn inside<const M: usize>(&self, corners: &[Corner; M]) -> bool {
        let (width, kw) = (self.step.input.width, self.step.kernel[1]);
        let mut inside = self.step.groups == 1 && self.step.dilation[1] == 1 && kw <= width;
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
