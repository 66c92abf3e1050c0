//! Depthwise convolution of codes by square kernels whose taps are multiplied in quads: a vector of channels slides
//! along a row.
//!
//! At each column the codes of four rows become quads, which all outputs that see the column take: with 3×3 taps at
//! a stride of 1 those of two rows, three in each. An output is begun at its first column, and finished at its last;
//! until then its sums stay in registers. Blocks of channels are the outermost loop over as many rows as stay in the
//! level 2 cache, so that weights stay in that of level 1.
//!
//! Channels that do not fill a vector stand in it side by side with the same channels of other columns: such blocks,
//! of a half or a quarter of a vector, are laid out for as many stretches of the row, and their codes put where they
//! belong afterwards.
//!
//! Bound by vector instructions: 128 outputs of 3×3 at a stride of 1 take 24 products, 12 to interleave and rotate,
//! and 30 to 40 to make codes of the sums, two a cycle. A stride of 2 and 5×5 are bound by loads, one a cycle: 26
//! and 53 for 64 outputs, of which 12 and 40 are weights.

mod beside;
mod rows;

use super::end;
use crate::kernels::byte_vector::{ByteVector, PARTS};
use crate::kernels::code_vector::Bounds;
use crate::kernels::generic::requantize::{Requantizer, flip, zero_byte};
use crate::kernels::generic::window::Axis;
use crate::kernels::view::{CodeSink, CodeSource, weights};
use crate::memory::Memory;
use crate::steps::{QuantizedDepthwise, Rounding};
use core::marker::PhantomData;
use core::ops::Range;
use rows::Rows;

/// Bytes of a vector, at most.
const BYTES: usize = 64;

/// Weights in one part, the rule of ONNX, and codes that are the numbers from 0 to 255, with a zero point of 0 behind
/// the layer: nothing but packing makes codes of numbers of steps.
const PLAIN: u8 = 0;
/// Weights in one part, the rule of ONNX.
const ONNX: u8 = 1;
/// The rule of ONNX.
const PARTS_OF_WEIGHTS: u8 = 2;
/// The rule of TensorFlow Lite.
const TFLITE: u8 = 3;

/// Bytes of the input that all blocks read before any reads more: they stay in the level 2 cache.
const CACHED: usize = 256 << 10;

/// See [`QuantizedDepthwise`]; kernels of `K`×`K` taps, 3 or 5, column strides of 1 and 2, no dilation, a multiplier
/// of 1, a quarter of a vector of channels or more; weights in quads of taps.
#[inline(always)]
pub fn square<V: ByteVector, const K: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &QuantizedDepthwise,
    rows: Range<usize>,
) -> Option<()> {
    let QuantizedDepthwise { input, output, kernel, stride, .. } = step;
    let channels = output.channels;
    let plain = *kernel == [K, K] && step.dilation == [1, 1] && step.multiplier == 1;
    if !plain || !(1..=2).contains(&stride[1]) || input.channels != channels || channels < V::LANES / 4 {
        return None;
    }
    let count = Blocks::<V>::new(channels).count();
    let lanes = count.checked_mul(V::LANES)?;
    let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
    let bias = weights::<i32>(memory, step.bias, lanes)?.as_ptr();
    let scalar = Requantizer::new(memory, &step.requantize, [step.multipliers, step.shifts], lanes)?;
    let band = Band::<V> {
        isa,
        step,
        axes: Axis::both(*kernel, *stride, step.dilation, step.pad, inputs, outputs)?,
        input: CodeSource::new(memory, input)?,
        output: CodeSink::new(memory, output, &rows)?,
        zeros: [zero_byte(step.codes)? ^ flip(step.codes); BYTES],
    };
    let bounds = end::bounds(&scalar, &step.requantize)?;
    let table = weights::<i32>(memory, step.weights, count.checked_mul(2)?)?;
    // An even number, so that rows are made in pairs.
    let some = 2 * (CACHED / input.width.checked_mul(2 * channels * stride[0])?.max(1)).max(1);
    for start in rows.clone().step_by(some) {
        let rows = start..rows.end.min(start + some);
        for ((at, block), entry) in Blocks::<V>::new(channels).enumerate().zip(table.chunks_exact(2)) {
            let (from, parts) = (usize::try_from(entry[0]).ok()?, usize::try_from(entry[1]).ok()?);
            let len = parts.checked_mul(part_len::<V>(K))?;
            let weights = weights::<u8>(memory, step.weights.checked_add(from)?, len)?.as_ptr();
            let lane = at * V::LANES;
            let constants = Constants {
                weights,
                parts,
                bias: bias.wrapping_add(lane),
                multipliers: scalar.multipliers.as_ptr().wrapping_add(lane),
                shifts: scalar.shifts.as_ptr().wrapping_add(lane),
                bounds,
            };
            Line::<V, K> { band: &band, block, constants }.rows(rows.clone());
        }
    }
    Some(())
}

/// Quads that hold a column of taps.
const fn quads(side: usize) -> usize {
    side.div_ceil(4)
}

/// Bytes of a part of a block's weights.
const fn part_len<V: ByteVector>(side: usize) -> usize {
    side * quads(side) * PARTS * V::LANES
}

/// Some channels side by side: a vector, or a half or a quarter of one.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    width: usize,
}

/// The blocks of a map, in the order of its channels. The last one ends with the last channel, and may overlap the
/// one before.
struct Blocks<V> {
    channels: usize,
    next: usize,
    vector: PhantomData<V>,
}

impl<V> Blocks<V> {
    /// For a quarter of a vector of channels or more.
    const fn new(channels: usize) -> Self {
        Self { channels, next: 0, vector: PhantomData }
    }
}

impl<V: ByteVector> Iterator for Blocks<V> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let left = self.channels.checked_sub(self.next).filter(|&left| left > 0)?;
        let (whole, half, quarter) = (V::LANES, V::LANES / 2, V::LANES / 4);
        // A block that would hold many channels again is divided.
        let fits = |width: usize, least: usize| left >= width || left > least && self.channels >= width;
        let width = if fits(whole, half + quarter) {
            whole
        } else if fits(half, quarter) {
            half
        } else {
            quarter
        };
        let first = self.next.min(self.channels.saturating_sub(width));
        self.next = first + width;
        Some(Block { first, width })
    }
}

struct Band<'m, V: ByteVector> {
    isa: V::Isa,
    step: &'m QuantizedDepthwise,
    axes: [Axis; 2],
    input: CodeSource<'m>,
    output: CodeSink<'m>,
    /// What taps outside the map read.
    zeros: [u8; BYTES],
}

/// The constants of a block.
#[derive(Clone, Copy)]
struct Constants {
    weights: *const u8,
    /// In how many parts the weights are, which are added.
    parts: usize,
    bias: *const i32,
    multipliers: *const i32,
    shifts: *const i32,
    bounds: Bounds,
}

/// A block of channels of a band.
#[derive(Clone, Copy)]
pub struct Line<'a, V: ByteVector, const K: usize> {
    band: &'a Band<'a, V>,
    block: Block,
    constants: Constants,
}

impl<V: ByteVector, const K: usize> Line<'_, V, K> {
    fn rows(self, rows: Range<usize>) {
        let stride = self.band.step.stride;
        if stride == [1, 1] && K == 3 {
            let pairs = rows.start..rows.end - rows.len() % 2;
            let last = pairs.end..rows.end;
            self.at_stride::<2, 1>(pairs);
            self.at_stride::<1, 1>(last);
        } else if stride[1] == 1 {
            self.at_stride::<1, 1>(rows);
        } else {
            self.at_stride::<1, 2>(rows);
        }
    }

    fn at_stride<const R: usize, const S: usize>(self, rows: Range<usize>) {
        let isa = self.band.isa;
        match self.way() {
            _ if rows.is_empty() => {}
            PLAIN => V::apart(isa, Rows::<V, K, R, S, PLAIN> { line: self, rows }),
            ONNX => V::apart(isa, Rows::<V, K, R, S, ONNX> { line: self, rows }),
            PARTS_OF_WEIGHTS => V::apart(isa, Rows::<V, K, R, S, PARTS_OF_WEIGHTS> { line: self, rows }),
            _ => V::apart(isa, Rows::<V, K, R, S, TFLITE> { line: self, rows }),
        }
    }

    fn way(&self) -> u8 {
        let QuantizedDepthwise { codes, requantize, .. } = self.band.step;
        let Bounds { zero, range, flip } = self.constants.bounds;
        match requantize.rounding {
            Rounding::Tflite => TFLITE,
            Rounding::Onnx if self.constants.parts > 1 => PARTS_OF_WEIGHTS,
            Rounding::Onnx if codes.signed || (zero, range, flip) != (0, [0, 255], 0) => ONNX,
            Rounding::Onnx => PLAIN,
        }
    }
}
