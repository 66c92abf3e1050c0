//! Convolutions of codes as matrix products: windows laid out as numbers of 16 bits and of 8, a block of positions at
//! a time, then tiles of positions × panels of 16 channels over quads of the depth.
//!
//! A panel's weights stay in the level 1 cache while all tiles of a block pass over it. A narrow quad takes a product
//! of bytes, a sum of two products and an addition for 32 multiply-adds, a wide one two products and two additions.
//! Bound by the two units that multiply: narrow quads reach 90 % of their peak, wide ones 75 %, because additions
//! get in their way.

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

/// Numbers of a block: 48 KiB, and half of that as bytes.
const BLOCK: usize = 24 << 10;

/// Columns of half a panel.
const HALF: usize = CHANNELS / 2;

/// Rows of a quad.
const QUAD: usize = 4;

/// Words of a panel in the table of panels.
const WORDS: usize = 3;

/// See [`QuantizedConv2d`]; one group, weights in quads. Tiles are at most `MR` positions.
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
    let stride = windows.depth.checked_next_multiple_of(QUAD)?;
    let n = step.output.channels;
    let padded = n.checked_next_multiple_of(CHANNELS)?;
    let most = BLOCK / stride.max(1);
    if most == 0 {
        return None;
    }
    let mut numbers = [MaybeUninit::<i16>::uninit(); BLOCK + SLACK];
    let mut bytes = [MaybeUninit::<u8>::uninit(); BLOCK + SLACK];
    let (numbers, bytes) = (numbers.as_mut_ptr().cast::<i16>(), bytes.as_mut_ptr().cast::<u8>());
    let product = Product::<V> {
        isa,
        numbers: numbers.cast_const(),
        bytes: bytes.cast_const(),
        stride,
        memory,
        weights: step.weights,
        table: weights(memory, step.weights, n.div_ceil(CHANNELS).checked_mul(WORDS)?)?,
        bias: weights(memory, step.bias, padded)?.as_ptr(),
        end: End::new(isa, memory, &step.requantize, [step.multipliers, step.shifts], padded)?,
        n,
    };
    let output = CodeSink::new(memory, &step.output, &rows)?;
    let width = step.output.width;
    for piece in pieces(rows, [output.rows()]) {
        let mut first = piece.start * width;
        let mut to = output.row(piece.start);
        for (height, count) in split(piece.len() * width, most) {
            for _ in 0..count {
                // SAFETY: the blocks divide the positions of the piece, which lie behind one another in the
                // output; `height` windows fit the block.
                unsafe {
                    V::apart(isa, Lay::<V> { windows: &windows, isa, first, height, stride, numbers, bytes });
                    product.block::<MR>(to, height)?;
                    to = to.add(height * n);
                }
                first += height;
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
    numbers: *mut i16,
    bytes: *mut u8,
}

impl<V: CodeVector> Task for Lay<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { windows, isa, first, height, stride, numbers, bytes } = self;
        // SAFETY: whoever made the task vouches for the positions and the room; the last numbers that are narrowed
        // may be any.
        unsafe {
            windows.lay::<V>(isa, first, height, stride, numbers);
            for at in (0..height * stride).step_by(SLACK) {
                V::narrow(isa, numbers.add(at), bytes.add(at));
            }
        }
    }
}

struct Product<'m, V: CodeVector> {
    isa: V::Isa,
    /// The windows, and the same as bytes.
    numbers: *const i16,
    bytes: *const u8,
    /// Numbers from one window to the next; a multiple of 4.
    stride: usize,
    memory: &'m Memory<'m>,
    /// Offset of the weights.
    weights: usize,
    /// Where each panel begins, and its wide and narrow quads.
    table: &'m [i32],
    bias: *const i32,
    end: End<'m, V>,
    n: usize,
}

/// A panel of weights: wide quads, narrow ones, and the place of each in the depth.
struct Panel {
    weights: *const u8,
    wide: usize,
    narrow: usize,
    places: *const u16,
}

impl<V: CodeVector> Product<'_, V> {
    /// A panel of `halves` halves, when it lies inside the weights.
    fn panel(&self, at: usize, halves: usize) -> Option<Panel> {
        let words: &[i32; WORDS] = self.table.get(at * WORDS..)?.first_chunk()?;
        let [start, wide, narrow] = words.map(|word| word.cast_unsigned() as usize);
        let half = HALF * QUAD * halves;
        let len = wide.checked_mul(2 * half)?.checked_add(narrow.checked_mul(half)?)?;
        let places = wide.checked_add(narrow)?.checked_mul(size_of::<u16>())?;
        let all = len.checked_add(places)?;
        let weights = weights::<u8>(self.memory, self.weights.checked_add(start)?, all)?.as_ptr();
        Some(Panel { weights, wide, narrow, places: weights.wrapping_add(len).cast() })
    }

    /// `height` positions, all channels.
    ///
    /// # Safety
    ///
    /// The windows must be laid out, and the positions be writable from `to` on.
    #[inline(always)]
    unsafe fn block<const MR: usize>(&self, to: *mut u8, height: usize) -> Option<()> {
        for channel in (0..self.n).step_by(CHANNELS) {
            let both = self.n - channel > HALF;
            let panel = self.panel(channel / CHANNELS, if both { 2 } else { 1 })?;
            let mut row = 0;
            for (high, count) in split(height, MR) {
                if count == 0 {
                    continue;
                }
                // SAFETY: the caller's.
                let to = unsafe { to.add(row * self.n + channel) };
                let tiles = Run { panel: &panel, row, count, channel, to };
                match (high, both) {
                    (6, true) if MR >= 6 => self.apart::<6, 2>(tiles),
                    (5, true) if MR >= 5 => self.apart::<5, 2>(tiles),
                    (4, true) => self.apart::<4, 2>(tiles),
                    (3, true) => self.apart::<3, 2>(tiles),
                    (2, true) => self.apart::<2, 2>(tiles),
                    (_, true) => self.apart::<1, 2>(tiles),
                    (6, false) if MR >= 6 => self.apart::<6, 1>(tiles),
                    (5, false) if MR >= 5 => self.apart::<5, 1>(tiles),
                    (4, false) => self.apart::<4, 1>(tiles),
                    (3, false) => self.apart::<3, 1>(tiles),
                    (2, false) => self.apart::<2, 1>(tiles),
                    (_, false) => self.apart::<1, 1>(tiles),
                }
                row += high * count;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn apart<const M: usize, const W: usize>(&self, run: Run<'_>) {
        V::apart(self.isa, Tiles::<V, M, W> { product: self, run });
    }
}

/// `count` tiles from a row on, one below the other, of the panel from a channel on.
struct Run<'a> {
    panel: &'a Panel,
    row: usize,
    count: usize,
    channel: usize,
    to: *mut u8,
}

/// Tiles of `M` positions × `W` halves of a panel.
struct Tiles<'a, V: CodeVector, const M: usize, const W: usize> {
    product: &'a Product<'a, V>,
    run: Run<'a>,
}

impl<V: CodeVector, const M: usize, const W: usize> Task for Tiles<'_, V, M, W> {
    #[inline(always)]
    fn run(self) {
        let Run { panel, row, count, channel, to } = self.run;
        let Product { isa, numbers, bytes, stride, bias, end, n, .. } = *self.product;
        let Panel { weights, wide, narrow, places } = *panel;
        let lanes = (n - channel).min(CHANNELS);
        let quads = stride / QUAD;
        let last = quads.saturating_sub(1);
        for tile in 0..count {
            let row = (row + tile * M) * stride;
            // SAFETY: whoever made the product vouches for its positions, which the tiles divide, and the panel for
            // its quads; their places are held to the depth.
            unsafe {
                let bias = bias.add(channel);
                let mut start = [V::load(isa, bias); W];
                if W == 2 {
                    let both = V::load_narrowing(isa, bias);
                    start[0] = both[0];
                    start[W - 1] = both[1];
                }
                let mut sums = [start; M];
                let (numbers, bytes) = (numbers.add(row), bytes.add(row));
                let mut rows = [numbers; M];
                for m in 0..M {
                    rows[m] = rows[m].add(m * stride);
                }
                if wide == quads && narrow == 0 {
                    // All of the depth, in order.
                    for pair in 0..stride / 2 {
                        let weights = weights.add(pair * 2 * CHANNELS * W);
                        let mut column = [V::pairs(isa, weights.cast()); W];
                        for w in 1..W {
                            column[w] = V::pairs(isa, weights.add(w * 2 * CHANNELS).cast());
                        }
                        for m in 0..M {
                            let row = V::pair(isa, rows[m].add(pair * 2));
                            for w in 0..W {
                                sums[m][w] = sums[m][w].add_products(row, column[w]);
                            }
                        }
                    }
                } else {
                    let mut weights = weights;
                    for quad in 0..wide {
                        let at = usize::from(places.add(quad).read_unaligned()).min(last) * QUAD;
                        for pair in 0..2 {
                            let mut column = [V::pairs(isa, weights.cast()); W];
                            for w in 1..W {
                                column[w] = V::pairs(isa, weights.add(w * 2 * CHANNELS).cast());
                            }
                            weights = weights.add(2 * CHANNELS * W);
                            for m in 0..M {
                                let row = V::pair(isa, numbers.add(at + 2 * pair + m * stride));
                                for w in 0..W {
                                    sums[m][w] = sums[m][w].add_products(row, column[w]);
                                }
                            }
                        }
                    }
                    for quad in wide..wide + narrow {
                        let at = usize::from(places.add(quad).read_unaligned()).min(last) * QUAD;
                        let mut column = [V::quads(isa, weights); W];
                        for w in 1..W {
                            column[w] = V::quads(isa, weights.add(w * 2 * CHANNELS));
                        }
                        weights = weights.add(2 * CHANNELS * W);
                        for m in 0..M {
                            let row = V::quad(isa, bytes.add(at + m * stride));
                            for w in 0..W {
                                sums[m][w] = sums[m][w].add_quads(row, column[w]);
                            }
                        }
                    }
                }
                let to = to.add(tile * M * n);
                if W == 2 {
                    let mut pairs = [[sums[0][0]; 2]; M];
                    for m in 0..M {
                        pairs[m] = [sums[m][0], sums[m][W - 1]];
                    }
                    end.store(isa, pairs, channel, to, n, lanes);
                } else {
                    let mut halves = [sums[0][0]; M];
                    for m in 0..M {
                        halves[m] = sums[m][0];
                    }
                    end.store_half(isa, halves, channel, to, n, lanes);
                }
            }
        }
    }
}
