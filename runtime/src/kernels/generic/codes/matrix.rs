//! Convolutions of codes as matrix products: windows laid out as numbers from 0 to 255, a block of positions at a
//! time, then tiles of positions × panels of 16 channels over quads of the depth.
//!
//! A panel's weights stay in the level 1 cache while all tiles of a block pass over it. A wide quad takes two products
//! and two additions for 32 multiply-adds; a bundle of `g` narrow ones, whose sums fit 16 bits, `g + 1` products and
//! `g` additions for 32·g. Bound by the two units that multiply, and where quads are wide by additions in their way.

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

/// Quads of the largest bundle.
const BUNDLE: usize = 4;

/// Positions of a tile over bundles: their sums in 16 bits take as many registers again.
const MOST_BUNDLED: usize = 3;

/// How far ahead the weights of single positions are asked for, which come from memory once and are not read again.
const AHEAD: usize = 2048;

/// Words of a panel in the table of panels: where it begins, its wide quads, its bundles by size from 1 on.
const WORDS: usize = 2 + BUNDLE;

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
    let mut product = Product::<V> {
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
    let has_wide = product.table.chunks_exact(WORDS).any(|panel| panel[1] != 0);
    for piece in pieces(rows, [output.rows()]) {
        let mut first = piece.start * width;
        let mut to = output.row(piece.start);
        for (height, count) in split(piece.len() * width, most) {
            for _ in 0..count {
                // SAFETY: the blocks divide the positions of the piece, which lie behind one another in the
                // output; `height` windows fit the block.
                unsafe {
                    product.bytes = match windows.lying(first, height, stride) {
                        Some(lying) if !has_wide => lying,
                        _ => {
                            let widened = has_wide.then_some(numbers);
                            let windows = &windows;
                            V::apart(isa, Lay::<V> { windows, isa, first, height, stride, bytes, widened });
                            bytes
                        }
                    };
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
    bytes: *mut u8,
    /// Where they are wanted in 16 bits too.
    widened: Option<*mut i16>,
}

impl<V: CodeVector> Task for Lay<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { windows, isa, first, height, stride, bytes, widened } = self;
        // SAFETY: whoever made the task vouches for the positions and the room; the last numbers that are widened
        // may be any.
        unsafe {
            windows.lay::<V>(isa, first, height, stride, bytes);
            if let Some(numbers) = widened {
                for at in (0..height * stride).step_by(SLACK) {
                    V::widen(isa, bytes.add(at), numbers.add(at));
                }
            }
        }
    }
}

struct Product<'m, V: CodeVector> {
    isa: V::Isa,
    /// The windows in 16 bits, where a panel has wide quads.
    numbers: *const i16,
    /// The windows.
    bytes: *const u8,
    /// Numbers from one window to the next; a multiple of 4.
    stride: usize,
    memory: &'m Memory<'m>,
    /// Offset of the weights.
    weights: usize,
    /// What [`WORDS`] says of each panel.
    table: &'m [i32],
    bias: *const i32,
    end: End<'m, V>,
    n: usize,
}

/// A panel of weights: wide quads, then bundles of narrow ones, the largest first; and the place of each in the depth.
struct Panel {
    weights: *const u8,
    wide: usize,
    /// Bundles by size, from 1 on.
    bundles: [usize; BUNDLE],
    places: *const u16,
}

impl Panel {
    /// Whether all of the depth is wide, hence in order.
    fn is_wide(&self, quads: usize) -> bool {
        self.wide == quads && self.bundles == [0; BUNDLE]
    }
}

impl<V: CodeVector> Product<'_, V> {
    /// A panel of `halves` halves, when it lies inside the weights.
    fn panel(&self, at: usize, halves: usize) -> Option<Panel> {
        let words: &[i32; WORDS] = self.table.get(at * WORDS..)?.first_chunk()?;
        let [start, wide, bundles @ ..] = words.map(|word| word.cast_unsigned() as usize);
        let mut narrow = 0usize;
        for (bundles, size) in bundles.iter().zip(1..) {
            narrow = narrow.checked_add(bundles.checked_mul(size)?)?;
        }
        let half = HALF * QUAD * halves;
        let len = wide.checked_mul(2 * half)?.checked_add(narrow.checked_mul(half)?)?;
        let places = wide.checked_add(narrow)?.checked_mul(size_of::<u16>())?;
        let all = len.checked_add(places)?;
        let weights = weights::<u8>(self.memory, self.weights.checked_add(start)?, all)?.as_ptr();
        Some(Panel { weights, wide, bundles, places: weights.wrapping_add(len).cast() })
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
            let most = if panel.bundles[1..] == [0; BUNDLE - 1] { MR } else { MR.min(MOST_BUNDLED) };
            let mut row = 0;
            for (high, count) in split(height, most) {
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
        let Panel { weights, wide, bundles, places } = *panel;
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
                if panel.is_wide(quads) {
                    // All of the depth, in order.
                    for pair in 0..stride / 2 {
                        let weights = weights.add(pair * 2 * CHANNELS * W);
                        if M == 1 {
                            V::prefetch(isa, weights.wrapping_add(AHEAD));
                        }
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
                    let mut quads = Quads { weights, places, last };
                    for _ in 0..wide {
                        let at = quads.place();
                        for pair in 0..2 {
                            let column = quads.columns::<{ 2 * CHANNELS }, W>();
                            for m in 0..M {
                                let row = V::pair(isa, numbers.add(at + 2 * pair + m * stride));
                                for w in 0..W {
                                    sums[m][w] =
                                        sums[m][w].add_products(row, V::pairs(isa, column[w].cast()));
                                }
                            }
                        }
                    }
                    if M <= MOST_BUNDLED {
                        for _ in 0..bundles[3] {
                            bundle::<V, M, W, 4>(isa, &mut sums, bytes, stride, &mut quads);
                        }
                        for _ in 0..bundles[2] {
                            bundle::<V, M, W, 3>(isa, &mut sums, bytes, stride, &mut quads);
                        }
                        for _ in 0..bundles[1] {
                            bundle::<V, M, W, 2>(isa, &mut sums, bytes, stride, &mut quads);
                        }
                    }
                    for _ in 0..bundles[0] {
                        bundle::<V, M, W, 1>(isa, &mut sums, bytes, stride, &mut quads);
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

/// The quads of a panel that are still to come.
struct Quads {
    weights: *const u8,
    places: *const u16,
    /// The last quad of the depth.
    last: usize,
}

impl Quads {
    /// Where in a window the next quad is.
    ///
    /// # Safety
    ///
    /// There must be one.
    #[inline(always)]
    unsafe fn place(&mut self) -> usize {
        // SAFETY: the caller's.
        unsafe {
            let place = usize::from(self.places.read_unaligned());
            self.places = self.places.add(1);
            place.min(self.last) * QUAD
        }
    }

    /// The next weights of `W` halves of a panel, which are `BYTES` each.
    ///
    /// # Safety
    ///
    /// There must be some.
    #[inline(always)]
    unsafe fn columns<const BYTES: usize, const W: usize>(&mut self) -> [*const u8; W] {
        let mut columns = [self.weights; W];
        // SAFETY: the caller's.
        unsafe {
            for w in 1..W {
                columns[w] = self.weights.add(w * BYTES);
            }
            self.weights = self.weights.add(W * BYTES);
        }
        columns
    }
}

/// The next `G` quads, whose products fit 16 bits together.
///
/// # Safety
///
/// There must be as many, and `M` windows at `bytes`, `stride` apart.
#[inline(always)]
unsafe fn bundle<V: CodeVector, const M: usize, const W: usize, const G: usize>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    bytes: *const u8,
    stride: usize,
    quads: &mut Quads,
) {
    // SAFETY: the caller's.
    unsafe {
        if M == 1 {
            V::prefetch(isa, quads.weights.wrapping_add(AHEAD));
        }
        let (at, column) = (quads.place(), quads.columns::<{ 2 * CHANNELS }, W>());
        let product = |at: usize, column: [*const u8; W], m: usize, w: usize| {
            V::products(V::quad(isa, bytes.add(at + m * stride)), V::quads(isa, column[w]))
        };
        if G == 1 {
            for m in 0..M {
                for w in 0..W {
                    sums[m][w] = sums[m][w].add_sums(product(at, column, m, w));
                }
            }
            return;
        }
        let mut short = [[product(at, column, 0, 0); W]; M];
        for m in 0..M {
            for w in 0..W {
                short[m][w] = product(at, column, m, w);
            }
        }
        for _ in 1..G {
            if M == 1 {
                V::prefetch(isa, quads.weights.wrapping_add(AHEAD));
            }
            let (at, column) = (quads.place(), quads.columns::<{ 2 * CHANNELS }, W>());
            for m in 0..M {
                for w in 0..W {
                    short[m][w] = V::add_pairs(short[m][w], product(at, column, m, w));
                }
            }
        }
        for m in 0..M {
            for w in 0..W {
                sums[m][w] = sums[m][w].add_sums(short[m][w]);
            }
        }
    }
}
