//! Convolution in groups of any size: plain loops over the taps, vectors along a group's output channels.
//!
//! Groups whose output channels fill panels are what the tiled kernels take ([`Groups`]).

use super::epilogue::Finish;
use super::window::Axis;
use crate::kernels::vector::Vector;
use crate::kernels::view::{Sink, Source, constants};
use crate::memory::Memory;
use crate::steps::Conv2d;
use core::ops::Range;

/// See [`Conv2d`]; the weights are row-major.
#[inline(always)]
pub fn run<V: Vector>(isa: V::Isa, memory: &Memory<'_>, step: &Conv2d, rows: Range<usize>) -> Option<()> {
    let (c, n, groups) = (step.input.channels, step.output.channels, step.groups);
    if groups == 0 || c % groups != 0 || n % groups != 0 {
        return None;
    }
    let (depth, group) = (c / groups, n / groups);
    let k = step.kernel[0].checked_mul(step.kernel[1])?.checked_mul(depth)?;
    let band = Band {
        step,
        axes: axes(step)?,
        depth,
        input: Source::new(memory, &step.input)?,
        output: Sink::new(memory, &step.output, &rows)?,
        finish: Finish::new(memory, &step.epilogue, &step.output)?,
        weights: constants(memory, step.weights, k.checked_mul(n)?)?,
        bias: constants(memory, step.bias, n)?,
    };
    for y in rows {
        for x in 0..step.output.width {
            for (index, first) in (0..n).step_by(group.max(1)).enumerate() {
                for column in (first..first + group).step_by(V::LANES) {
                    let lanes = V::LANES.min(first + group - column);
                    // SAFETY: `lanes` columns from `column` on are in group `index`.
                    unsafe { band.vector::<V>(isa, [y, x], index * depth, column, lanes) }
                }
            }
        }
    }
    Some(())
}

/// Groups of which each fills panels of its own.
#[derive(Clone, Copy)]
pub struct Groups {
    /// Input channels of each.
    pub depth: usize,
    /// Output channels of each.
    pub columns: usize,
}

impl Groups {
    /// The groups of a convolution, unless a panel of `NR` columns were of two of them.
    pub fn new<const NR: usize>(step: &Conv2d) -> Option<Self> {
        let Conv2d { input, output, groups, .. } = step;
        let divides = *groups > 0 && input.channels % groups == 0 && output.channels % groups == 0;
        let (depth, columns) = (input.channels / groups.max(&1), output.channels / groups.max(&1));
        (divides && columns > 0 && (*groups == 1 || columns.is_multiple_of(NR)))
            .then_some(Self { depth, columns })
    }

    /// The first input channel that an output channel reads.
    #[inline(always)]
    pub const fn first(&self, column: usize) -> usize {
        column / self.columns * self.depth
    }

    /// Output channels of a group from `column` on.
    #[inline(always)]
    pub const fn left(&self, column: usize) -> usize {
        self.columns - column % self.columns
    }
}

/// The axes of a convolution's window.
pub fn axes(step: &Conv2d) -> Option<[Axis; 2]> {
    let Conv2d { input, output, .. } = step;
    Axis::both(
        step.kernel,
        step.stride,
        step.dilation,
        step.pad,
        [input.height, input.width],
        [output.height, output.width],
    )
}

struct Band<'m> {
    step: &'m Conv2d,
    axes: [Axis; 2],
    depth: usize,
    input: Source<'m>,
    output: Sink<'m>,
    finish: Finish<'m>,
    weights: *const f32,
    bias: *const f32,
}

impl Band<'_> {
    /// `lanes` output channels from `column` on, of the group whose input channels begin at `channel`.
    ///
    /// # Safety
    ///
    /// The channels must be in one group, and the position in the band's rows.
    #[inline(always)]
    unsafe fn vector<V: Vector>(
        &self,
        isa: V::Isa,
        [y, x]: [usize; 2],
        channel: usize,
        column: usize,
        lanes: usize,
    ) {
        let (c, n) = (self.step.input.channels, self.step.output.channels);
        let [rows, columns] = self.axes;
        let at = x * n + column;
        // SAFETY: taps that lie outside the map are skipped; the rest is the caller's.
        unsafe {
            let mut sum = V::load_partial(isa, self.bias.add(column), lanes);
            for ky in rows.taps(y) {
                for kx in columns.taps(x) {
                    let a = self.input.row(rows.position(y, ky)).add(columns.position(x, kx) * c + channel);
                    let first = (ky * self.step.kernel[1] + kx) * self.depth;
                    for ci in 0..self.depth {
                        let b = V::load_partial(isa, self.weights.add((first + ci) * n + column), lanes);
                        sum = V::splat(isa, *a.add(ci)).mul_add(b, sum);
                    }
                }
            }
            let residual = self.finish.row(y).map(|residual| [residual.add(at)]);
            self.finish.store(isa, [[sum]], [self.output.row(y).add(at)], residual, lanes);
        }
    }
}
