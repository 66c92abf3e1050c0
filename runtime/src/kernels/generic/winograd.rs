//! Dense 3×3 convolution by Winograd's method, F(4×4, 3×3) and F(2×2, 3×3) (Lavin and Gray, arXiv:1509.09308).
//!
//! A tile of `P`×`P` inputs, two rows and columns of which are the next tile's too, is transformed to `P²` points; at
//! each point the sum over the channels is a matrix product by transformed weights; and the sums are transformed to a
//! tile of outputs. Of the multiplications of 4×4 outputs that leaves 36 of 144, of those of 2×2 outputs 16 of 36, for
//! as many times the weights as points are more than 9 taps.
//!
//! Tiles are taken in blocks whose points stay in the level 2 cache, while the panels of the matrix pass over them: of
//! two vectors of columns all points' sums of up to `MR` tiles are computed and at once transformed to outputs. The
//! first loop is that of pointwise convolutions, bound by the multiply-adds where a block has 4 tiles and more and
//! the matrix comes from the level 2 cache; the transforms, by their loads and stores.
//!
//! What a band of rows leaves of a tile is computed and dropped. Inputs that no output of a band needs count as zeros.
//! Tiles begin with a band; so the last bits of an output depend on where bands do, as they do of no other kernel.
//!
//! Rounding: with `c` channels of a group an output is off by no more than `c + 19` times half a unit in the last place
//! of `|Aᵀ| (Σ |U| ⊙ (|Bᵀ| |d| |B|)) |A| + |bias|`, where `U` are the weights at the points: up to 4 roundings in each of
//! four transforms of a dimension, one of a weight, of the first product, of each sum, and of the bias. What is to be
//! expected is in [`transform`]. A number that is not finite makes all outputs of its tile so.

mod tasks;
mod transform;

use super::epilogue::Finish;
use super::grouped::{Groups, axes};
use super::panels::Panels;
use super::split::{next, of_height, split};
use super::window::Axis;
use crate::kernels::vector::Vector;
use crate::kernels::view::{Sink, Source};
use crate::memory::Memory;
use crate::steps::Conv2d;
use core::mem::MaybeUninit;
use core::ops::Range;
use tasks::{Forward, Inverse, Products};

/// Elements of the points of a block of tiles: 14 tiles of 96 channels at 36 points, and a cache line between points.
const POINTS: usize = 36 * (14 * 96 + GAP);

/// Elements between the tiles of one point and those of the next, so that they do not compete for places of a cache.
const GAP: usize = 16;

/// Elements of the sums at all points: 14 tiles of 32 columns.
const SUMS: usize = 36 * 14 * 32;

/// Input channels of a group at most: as many as zeros lie behind one another.
const DEPTH: usize = super::conv2d::ZEROS.len();

/// What is kept on the stack, 254 KiB.
#[repr(align(64))]
struct Scratch {
    points: [MaybeUninit<f32>; POINTS],
    sums: [MaybeUninit<f32>; SUMS],
}

/// See [`Conv2d`]; 3×3 without stride and dilation, up to 256 input channels of a group. Weights are at `P²` points in
/// panels of `NR` columns, none of them of two groups. Products are of at most `MR` tiles, and `MR` at most 14.
#[inline(always)]
pub fn run<V: Vector, const NR: usize, const MR: usize, const P: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Conv2d,
    rows: Range<usize>,
) -> Option<()> {
    let groups = Groups::new::<NR>(step)?;
    let suits = step.kernel == [3; 2] && step.stride == [1; 2] && step.dilation == [1; 2];
    if !suits || groups.depth > DEPTH || groups.depth == 0 {
        return None;
    }
    let layer = Layer::<P> {
        step,
        groups,
        axes: axes(step)?,
        input: Source::new(memory, &step.input)?,
        output: Sink::new(memory, &step.output, &rows)?,
        finish: Finish::new(memory, &step.epilogue, &step.output)?,
        panels: Panels::new::<NR>(
            memory,
            step.weights,
            step.bias,
            P * P * groups.depth,
            step.output.channels,
        )?,
        columns: step.output.width.div_ceil(P - 2),
        rows,
    };
    layer.run::<V, NR, MR>(isa);
    Some(())
}

/// A checked convolution of some rows in tiles of `P − 2` outputs a side.
struct Layer<'m, const P: usize> {
    step: &'m Conv2d,
    groups: Groups,
    axes: [Axis; 2],
    input: Source<'m>,
    output: Sink<'m>,
    finish: Finish<'m>,
    panels: Panels,
    /// Tiles in a row of tiles.
    columns: usize,
    rows: Range<usize>,
}

/// Tiles, counted along rows of tiles from the first row that is made, at the points of the channels of a group.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    count: usize,
    /// Where element `[point, tile, channel]` lies.
    points: *mut f32,
    /// Elements from one point to the next.
    stride: usize,
}

impl<const P: usize> Layer<'_, P> {
    #[inline(always)]
    fn run<V: Vector, const NR: usize, const MR: usize>(&self, isa: V::Isa) {
        let mut scratch = MaybeUninit::<Scratch>::uninit();
        // SAFETY: arrays of what need not be initialised are so.
        let Scratch { points, sums } = unsafe { scratch.assume_init_mut() };
        let (points, sums) = (points.as_mut_ptr().cast::<f32>(), sums.as_mut_ptr().cast::<f32>());
        let tiles = self.rows.len().div_ceil(P - 2) * self.columns;
        let most = (POINTS / (P * P) - GAP) / self.groups.depth;
        let most = if most > MR { most - most % MR } else { most };
        for group in (0..self.step.output.channels).step_by(self.groups.columns) {
            let mut first = 0;
            for (count, blocks) in split(tiles, most) {
                let stride = count * self.groups.depth + GAP;
                for _ in 0..blocks {
                    let block = Block { first, count, points, stride };
                    V::apart(isa, Forward::<V, P> { layer: self, isa, block, column: group });
                    self.block::<V, NR, MR>(isa, block, group, sums);
                    first += count;
                }
            }
        }
    }

    /// All columns of a group, of which `column` is the first, of a block of tiles.
    #[inline(always)]
    fn block<V: Vector, const NR: usize, const MR: usize>(
        &self,
        isa: V::Isa,
        block: Block,
        mut column: usize,
        sums: *mut f32,
    ) {
        let end = column + self.groups.columns;
        while column < end {
            column += if end - column > V::LANES {
                self.stripe::<V, NR, MR, 2>(isa, block, column, sums)
            } else {
                self.stripe::<V, NR, MR, 1>(isa, block, column, sums)
            };
        }
    }

    /// `W` vectors of columns of a block, in products of up to `MR` tiles. Answers how many columns.
    #[inline(always)]
    fn stripe<V: Vector, const NR: usize, const MR: usize, const W: usize>(
        &self,
        isa: V::Isa,
        block: Block,
        column: usize,
        sums: *mut f32,
    ) -> usize {
        let whole = self.step.output.channels - column >= W * V::LANES && self.finish.is_plain();
        let mut tile = 0;
        while tile < block.count {
            let (count, times) = next(block.count - tile, MR);
            for _ in 0..times {
                of_height!(count, MR, M => V::apart(
                    isa,
                    Products::<V, NR, M, W, P> { layer: self, isa, block, tile, column, sums },
                ));
                let first = block.first + tile;
                if whole {
                    V::apart(isa, Inverse::<V, W, P, true> { layer: self, isa, first, count, column, sums });
                } else {
                    V::apart(isa, Inverse::<V, W, P, false> { layer: self, isa, first, count, column, sums });
                }
                tile += count;
            }
        }
        W * V::LANES
    }

    /// First output row and column of a tile.
    #[inline(always)]
    fn place(&self, tile: usize) -> [usize; 2] {
        [self.rows.start + tile / self.columns * (P - 2), tile % self.columns * (P - 2)]
    }
}
