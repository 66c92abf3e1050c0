//! Convolutions of codes as matrix products: windows laid out as 16-bit numbers, a block of positions at a
//! time, then tiles of positions × panels of 16 channels over pairs of the depth.
//!
//! A panel's weights stay in the level 1 cache while all tiles of a block pass over it.

use super::end::End;
use super::gather::{SLACK, Windows};
use crate::kernels::code_vector::{CHANNELS, CodeVector};
use crate::kernels::generic::split::split;
use crate::kernels::vector::Task;
use crate::kernels::view::{CodeSink, pieces, weights};
use crate::memory::Memory;
use crate::steps::QuantizedConv2d;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Numbers of a block: 48 KiB, which leave room for a panel of weights in half of a level 2 cache of 256 KiB.
const BLOCK: usize = 24 << 10;

/// See [`QuantizedConv2d`]; one group, weights in pairs. Tiles are at most `MR` positions.
#[inline(always)]
pub fn run<V: CodeVector, const MR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &QuantizedConv2d,
    rows: Range<usize>,
) -> Option<()> {
    if step.groups != 1 {
        return None;
    }
    let windows = Windows::new(memory, step)?;
    let stride = windows.depth.checked_next_multiple_of(2)?;
    let n = step.output.channels;
    let padded = n.checked_next_multiple_of(CHANNELS)?;
    let most = BLOCK / stride.max(1) / MR * MR;
    if most == 0 {
        return None;
    }
    let mut numbers = [MaybeUninit::<i16>::uninit(); BLOCK + SLACK];
    let numbers = numbers.as_mut_ptr().cast::<i16>();
    let product = Product::<V> {
        windows: numbers.cast_const(),
        stride,
        weights: weights(memory, step.weights, padded.checked_mul(stride)?)?,
        bias: weights(memory, step.bias, padded)?,
        end: End::new(isa, memory, &step.requantize, [step.multipliers, step.shifts], padded)?,
        n,
    };
    let output = CodeSink::new(memory, &step.output, &rows)?;
    let width = step.output.width;
    for piece in pieces(rows, [output.rows()]) {
        let first = piece.start * width;
        let mut done = 0;
        for (height, count) in split(piece.len() * width, most) {
            for _ in 0..count {
                // SAFETY: the blocks divide the positions of the piece, which lie behind one another in the
                // output; `height` windows fit the block.
                unsafe {
                    let first = first + done;
                    V::apart(isa, Lay::<V> { windows: &windows, isa, first, height, stride, to: numbers });
                    let to = output.row(piece.start).add(done * n);
                    product.block::<MR>(isa, to, height);
                }
                done += height;
            }
        }
    }
    Some(())
}

/// The windows of one block.
struct Lay<'a, V: CodeVector> {
    windows: &'a Windows<'a>,
    isa: V::Isa,
    first: usize,
    height: usize,
    stride: usize,
    to: *mut i16,
}

impl<V: CodeVector> Task for Lay<'_, V> {
    #[inline(always)]
    fn run(self) {
        // SAFETY: whoever made the task vouches for the positions and the room.
        unsafe { self.windows.lay::<V>(self.isa, self.first, self.height, self.stride, self.to) }
    }
}

struct Product<'m, V: CodeVector> {
    windows: *const i16,
    /// Numbers from one window to the next, and of a column of weights; even.
    stride: usize,
    weights: &'m [i16],
    bias: &'m [i32],
    end: End<'m, V>,
    n: usize,
}

impl<V: CodeVector> Product<'_, V> {
    /// `height` positions, all channels.
    ///
    /// # Safety
    ///
    /// The windows must be laid out, and the positions be writable from `to` on.
    #[inline(always)]
    unsafe fn block<const MR: usize>(&self, isa: V::Isa, to: *mut u8, height: usize) {
        for channel in (0..self.n).step_by(CHANNELS) {
            let mut row = 0;
            for (high, count) in split(height, MR) {
                if count == 0 {
                    continue;
                }
                // SAFETY: the caller's.
                let to = unsafe { to.add(row * self.n + channel) };
                match (high, self.n - channel > CHANNELS / 2) {
                    (6, true) if MR >= 6 => self.apart::<6, 2>(isa, row, count, channel, to),
                    (5, true) if MR >= 5 => self.apart::<5, 2>(isa, row, count, channel, to),
                    (4, true) if MR >= 4 => self.apart::<4, 2>(isa, row, count, channel, to),
                    (3, true) if MR >= 3 => self.apart::<3, 2>(isa, row, count, channel, to),
                    (2, true) if MR >= 2 => self.apart::<2, 2>(isa, row, count, channel, to),
                    (_, true) => self.apart::<1, 2>(isa, row, count, channel, to),
                    (6, false) if MR >= 6 => self.apart::<6, 1>(isa, row, count, channel, to),
                    (5, false) if MR >= 5 => self.apart::<5, 1>(isa, row, count, channel, to),
                    (4, false) if MR >= 4 => self.apart::<4, 1>(isa, row, count, channel, to),
                    (3, false) if MR >= 3 => self.apart::<3, 1>(isa, row, count, channel, to),
                    (2, false) if MR >= 2 => self.apart::<2, 1>(isa, row, count, channel, to),
                    (_, false) => self.apart::<1, 1>(isa, row, count, channel, to),
                }
                row += high * count;
            }
        }
    }

    #[inline(always)]
    fn apart<const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        row: usize,
        count: usize,
        channel: usize,
        to: *mut u8,
    ) {
        V::apart(isa, Tiles::<V, M, W> { product: self, isa, row, count, channel, to });
    }
}

/// `count` tiles of `M` positions, one below the other, of `W` vectors of channels.
struct Tiles<'a, V: CodeVector, const M: usize, const W: usize> {
    product: &'a Product<'a, V>,
    isa: V::Isa,
    row: usize,
    count: usize,
    channel: usize,
    to: *mut u8,
}

impl<V: CodeVector, const M: usize, const W: usize> Task for Tiles<'_, V, M, W> {
    #[inline(always)]
    fn run(self) {
        let Self { product, isa, channel, .. } = self;
        let Product { stride, n, .. } = *product;
        let lanes = (n - channel).min(CHANNELS);
        for tile in 0..self.count {
            // SAFETY: whoever made the product vouches for its positions, which the tiles divide; the panel
            // begins at the channel's column of the weights, which are padded.
            unsafe {
                let b = product.weights.as_ptr().add(channel * stride);
                let bias = product.bias.as_ptr().add(channel);
                let mut start = [V::load(isa, bias); W];
                if W == 2 {
                    let both = V::load_narrowing(isa, bias);
                    start[0] = both[0];
                    start[W - 1] = both[1];
                }
                let mut sums = [start; M];
                let mut rows = [product.windows.add((self.row + tile * M) * stride); M];
                for m in 0..M {
                    rows[m] = rows[m].add(m * stride);
                }
                for pair in 0..stride / 2 {
                    let mut column = [V::pairs(isa, b.add(pair * 2 * CHANNELS)); W];
                    if W == 2 {
                        column[W - 1] = V::pairs(isa, b.add(pair * 2 * CHANNELS + CHANNELS));
                    }
                    for m in 0..M {
                        let row = V::pair(isa, rows[m].add(pair * 2));
                        for w in 0..W {
                            sums[m][w] = sums[m][w].add_products(row, column[w]);
                        }
                    }
                }
                let to = self.to.add(tile * M * n);
                if W == 2 {
                    let mut pairs = [[sums[0][0]; 2]; M];
                    for m in 0..M {
                        pairs[m] = [sums[m][0], sums[m][W - 1]];
                    }
                    product.end.store(isa, pairs, channel, to, n, lanes);
                } else {
                    let mut halves = [sums[0][0]; M];
                    for m in 0..M {
                        halves[m] = sums[m][0];
                    }
                    product.end.store_half(isa, halves, channel, to, n, lanes);
                }
            }
        }
    }
}
