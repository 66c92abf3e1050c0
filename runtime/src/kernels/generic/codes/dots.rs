//! Convolutions of codes as matrix products by an instruction that adds the products of quads: tiles of positions ×
//! panels of 16 channels over the quads of the depth.
//!
//! The codes of a row of a window that lie behind one another are a run, whose quads are read where they lie: in the
//! map, where positions are windows, else in a copy of the rows that a row of outputs reads, with the zero point
//! around them, so that no window has an edge. A tile of 12 positions × 32 channels takes 24 products for two loads of
//! weights and 12 broadcasts: bound by the unit that multiplies; with few input channels, by making codes of the sums.
//! Tiles next to each other have one height; the last one may overlap the one before, and computes the same codes
//! again.

use super::end::bounds;
use super::gather::{SLACK, Windows, fill, lay_run};
use crate::kernels::code_vector::{Bounds, CHANNELS, CodeVector};
use crate::kernels::dot_vector::DotVector;
use crate::kernels::generic::requantize::{Requantizer, flip, zero_byte};
use crate::kernels::generic::window::Axis;
use crate::kernels::vector::Task;
use crate::kernels::view::{CodeSink, CodeSource, pieces, weights};
use crate::memory::Memory;
use crate::steps::{QuantizedConv2d, Rounding};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Numbers of a block.
const BLOCK: usize = 48 << 10;

/// Columns of half a panel.
const HALF: usize = CHANNELS / 2;

/// Rows of a quad.
const QUAD: usize = 4;

/// Words of a panel in the table of panels: where it begins, and its additional quads.
const WORDS: usize = 2;

/// Heights of tiles, the greatest first.
const HEIGHTS: [usize; 8] = [14, 12, 10, 8, 6, 4, 2, 1];

/// How far ahead the weights of single positions are asked for, which come from memory once and are not read again.
const AHEAD: usize = 2048;

/// What a tile costs besides its positions, in positions.
const TILE: usize = 1;

/// See [`QuantizedConv2d`]; one group, weights in dots. `H` are the sums of a last panel of up to 8 channels, `C`
/// copies codes. Tiles are at most `MR` positions × `WR` vectors, which are at most 14 × 2.
#[inline(always)]
pub fn run<V, H, C, const MR: usize, const WR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &QuantizedConv2d,
    rows: Range<usize>,
) -> Option<()>
where
    V: DotVector,
    H: DotVector<Isa = V::Isa>,
    C: CodeVector,
    V::Isa: Into<C::Isa>,
{
    if step.groups != 1 || V::LANES != CHANNELS || H::LANES != HALF {
        return None;
    }
    let QuantizedConv2d { input, output, kernel, stride, dilation, pad, .. } = step;
    let n = output.channels;
    let padded = n.checked_next_multiple_of(CHANNELS)?;
    let scalar = Requantizer::new(memory, &step.requantize, [step.multipliers, step.shifts], padded)?;
    let bounds = bounds(&scalar, &step.requantize)?;
    let windows = Windows::new(memory, step)?;
    let columns = if dilation[1] == 1 { 1 } else { kernel[1] };
    let run = kernel[1] / columns * input.channels;
    let mut bytes = [MaybeUninit::<u8>::uninit(); BLOCK + SLACK];
    let mut product = Product {
        windows: bytes.as_ptr().cast(),
        position: stride[1].checked_mul(input.channels)?,
        runs: [kernel[0], columns],
        distances: [0, dilation[1] * input.channels],
        quads: run.div_ceil(QUAD),
        memory,
        weights: step.weights,
        table: weights(memory, step.weights, n.div_ceil(CHANNELS).checked_mul(WORDS)?)?,
        bias: weights(memory, step.bias, padded)?.as_ptr(),
        scalar: &scalar,
        bounds: &bounds,
        n,
    };
    let sink = CodeSink::new(memory, output, &rows)?;
    let width = output.width;
    if windows.is_point() {
        product.position = run.checked_next_multiple_of(QUAD)?;
        let most = BLOCK / product.position.max(1);
        for piece in pieces(rows, [sink.rows()]) {
            let (mut first, end) = (piece.start * width, piece.end * width);
            while first < end {
                let height = most.min(end - first);
                if height == 0 {
                    return None;
                }
                let stride = product.position;
                // SAFETY: the blocks divide the positions of the piece, which lie behind one another in the output;
                // `height` windows fit the block.
                unsafe {
                    product.windows = windows.lying(first, height, stride).unwrap_or_else(|| {
                        let (windows, isa, to) = (&windows, isa.into(), bytes.as_mut_ptr().cast::<u8>());
                        C::apart(isa, Lay::<C> { windows, isa, first, height, stride, to });
                        to
                    });
                    let to = sink.row(piece.start).add((first - piece.start * width) * n);
                    product.block::<V, H, MR, WR>(isa, to, height)?;
                }
                first += height;
            }
        }
        return Some(());
    }
    let source = CodeSource::new(memory, input)?;
    let axes =
        Axis::both(*kernel, *stride, *dilation, *pad, [input.height, input.width], [output.height, width])?;
    let extent = (kernel[1] - 1) * dilation[1] + 1;
    // Columns of the map that so many outputs read.
    let span = |count: usize| (count - 1) * stride[1] + extent;
    let fitting = (BLOCK / kernel[0].max(1) / input.channels.max(1)).checked_sub(extent)? / stride[1] + 1;
    let copy = Copy {
        isa: isa.into(),
        source,
        axes,
        zero: zero_byte(step.codes)?,
        flip: flip(step.codes),
        kh: kernel[0],
        channels: input.channels,
    };
    for y in rows {
        let mut x = 0;
        while x < width {
            let count = fitting.min(width - x);
            let to = bytes.as_mut_ptr().cast::<u8>();
            product.distances[0] = span(count) * input.channels;
            // SAFETY: `kh` rows of as many columns fit the block; the outputs lie in the row.
            unsafe {
                C::apart(isa.into(), Rows::<C> { copy: &copy, y, x, columns: span(count), to });
                product.windows = to;
                product.block::<V, H, MR, WR>(isa, sink.row(y).add(x * n), count)?;
            }
            x += count;
        }
    }
    Some(())
}

/// The windows of one block of positions.
struct Lay<'a, C: CodeVector> {
    windows: &'a Windows<'a>,
    isa: C::Isa,
    first: usize,
    height: usize,
    stride: usize,
    to: *mut u8,
}

impl<C: CodeVector> Task for Lay<'_, C> {
    #[inline(always)]
    fn run(self) {
        // SAFETY: whoever made the task vouches for the positions and the room.
        unsafe { self.windows.lay::<C>(self.isa, self.first, self.height, self.stride, self.to) }
    }
}

/// What rows are copied from.
struct Copy<'a, C: CodeVector> {
    isa: C::Isa,
    source: CodeSource<'a>,
    axes: [Axis; 2],
    /// What taps outside the map read, as a number from 0 to 255.
    zero: u8,
    flip: u8,
    /// Rows of a window.
    kh: usize,
    channels: usize,
}

/// The rows that the outputs of row `y` read, `columns` columns from that on where column `x` of the outputs begins,
/// as numbers from 0 to 255.
struct Rows<'a, C: CodeVector> {
    copy: &'a Copy<'a, C>,
    y: usize,
    x: usize,
    columns: usize,
    to: *mut u8,
}

impl<C: CodeVector> Task for Rows<'_, C> {
    #[inline(always)]
    fn run(self) {
        let Self { copy, y, x, columns, mut to } = self;
        let &Copy { isa, source, axes: [rows, across], zero, flip, kh, channels } = copy;
        let inside = across.held(x, columns);
        for ky in 0..kh {
            let row = rows.position(y, ky);
            let held = if row < rows.len() { inside.clone() } else { 0..0 };
            // SAFETY: the columns that are copied lie in the map; whoever made the task vouches for the room. What
            // a copy writes too much is written later, or behind the last row.
            unsafe {
                fill(to, zero, held.start * channels);
                let from = across.first(x).wrapping_add(held.start).wrapping_mul(channels);
                lay_run::<C>(
                    isa,
                    &source,
                    [row, from],
                    held.len() * channels,
                    flip,
                    to.add(held.start * channels),
                );
                fill(to.add(held.end * channels), zero, (columns - held.end) * channels);
                to = to.add(columns * channels);
            }
        }
    }
}

struct Product<'m> {
    windows: *const u8,
    /// Numbers from one window to the next.
    position: usize,
    /// Runs of a window along rows and columns.
    runs: [usize; 2],
    /// Numbers from one of these to the next.
    distances: [usize; 2],
    /// Quads of a run.
    quads: usize,
    memory: &'m Memory<'m>,
    /// Offset of the weights.
    weights: usize,
    /// What [`WORDS`] says of each panel.
    table: &'m [i32],
    bias: *const i32,
    scalar: &'m Requantizer<'m>,
    bounds: &'m Bounds,
    n: usize,
}

/// A panel of weights: its quads in order, then additional ones and the places of these in the depth.
#[derive(Clone, Copy)]
struct Panel {
    weights: *const u8,
    additional: usize,
}

/// `count` tiles over the positions of a block, each a height behind the one before, the last one at the end.
struct Run<const W: usize> {
    panels: [Panel; W],
    height: usize,
    count: usize,
    channel: usize,
    to: *mut u8,
}

impl Product<'_> {
    /// A panel of `columns` columns, when it lies inside the weights.
    fn panel(&self, at: usize, columns: usize) -> Option<Panel> {
        let words: &[i32; WORDS] = self.table.get(at * WORDS..)?.first_chunk()?;
        let [start, additional] = words.map(|word| word.cast_unsigned() as usize);
        let runs = self.runs[0].checked_mul(self.runs[1])?;
        let quads = runs.checked_mul(self.quads)?.checked_add(additional)?;
        let places = additional.checked_mul(size_of::<u16>())?;
        let len = quads.checked_mul(columns * QUAD)?.checked_add(places)?;
        let weights = weights::<u8>(self.memory, self.weights.checked_add(start)?, len)?.as_ptr();
        Some(Panel { weights, additional })
    }

    /// `height` positions, all channels.
    ///
    /// # Safety
    ///
    /// The windows must be laid out, and the positions be writable from `to` on.
    #[inline(always)]
    unsafe fn block<V: DotVector, H: DotVector<Isa = V::Isa>, const MR: usize, const WR: usize>(
        &self,
        isa: V::Isa,
        to: *mut u8,
        height: usize,
    ) -> Option<()> {
        let mut channel = 0;
        while channel < self.n {
            let at = channel / CHANNELS;
            // SAFETY: the caller's.
            let to = unsafe { to.add(channel) };
            channel += match self.n - channel {
                0..=HALF => {
                    let panels = [self.panel(at, HALF)?];
                    self.tiles::<H, MR, 1>(isa, Run { panels, height, count: 0, channel, to });
                    HALF
                }
                left if WR >= 2 && left > CHANNELS + HALF => {
                    let panels = [self.panel(at, CHANNELS)?, self.panel(at + 1, CHANNELS)?];
                    self.tiles::<V, MR, 2>(isa, Run { panels, height, count: 0, channel, to });
                    2 * CHANNELS
                }
                _ => {
                    let panels = [self.panel(at, CHANNELS)?];
                    self.tiles::<V, MR, 1>(isa, Run { panels, height, count: 0, channel, to });
                    CHANNELS
                }
            };
        }
        Some(())
    }

    /// Tiles of the height that takes least.
    #[inline(always)]
    fn tiles<V: DotVector, const MR: usize, const W: usize>(&self, isa: V::Isa, run: Run<W>) {
        let total = run.height;
        let (mut best, mut least) = (1, usize::MAX);
        for height in HEIGHTS {
            let cost = total.div_ceil(height) * (height + TILE);
            if height <= total.min(MR) && cost < least {
                (best, least) = (height, cost);
            }
        }
        let run = Run { count: total.div_ceil(best), ..run };
        match best {
            14 if MR >= 14 => self.apart::<V, 14, W>(isa, run),
            12 if MR >= 12 => self.apart::<V, 12, W>(isa, run),
            10 if MR >= 10 => self.apart::<V, 10, W>(isa, run),
            8 if MR >= 8 => self.apart::<V, 8, W>(isa, run),
            6 => self.apart::<V, 6, W>(isa, run),
            4 => self.apart::<V, 4, W>(isa, run),
            2 => self.apart::<V, 2, W>(isa, run),
            _ => self.apart::<V, 1, W>(isa, run),
        }
    }

    #[inline(always)]
    fn apart<V: DotVector, const M: usize, const W: usize>(&self, isa: V::Isa, run: Run<W>) {
        V::apart(isa, Tiles::<V, M, W> { product: self, isa, run });
    }
}

/// Tiles of `M` positions × `W` vectors.
struct Tiles<'a, V: DotVector, const M: usize, const W: usize> {
    product: &'a Product<'a>,
    isa: V::Isa,
    run: Run<W>,
}

impl<V: DotVector, const M: usize, const W: usize> Task for Tiles<'_, V, M, W> {
    #[inline(always)]
    fn run(self) {
        let Self { isa, product, run: Run { panels, height, count, channel, to } } = self;
        let Product { position, runs, distances, quads, n, .. } = *product;
        let all = runs[0] * runs[1] * quads;
        let bytes = V::LANES * QUAD;
        let lanes = (n - channel).min(W * V::LANES);
        let end = End::<V> {
            multipliers: product.scalar.multipliers.as_ptr(),
            shifts: product.scalar.shifts.as_ptr(),
            tflite: product.scalar.rounding == Rounding::Tflite,
            limits: V::limits(isa, product.bounds),
        };
        for tile in 0..count {
            let first = (tile * M).min(height - M);
            // SAFETY: whoever made the product vouches for its positions, in which the tiles lie, and the panels for
            // their quads; places are held to the depth.
            unsafe {
                let window = product.windows.add(first * position);
                let mut sums = [[V::load(isa, product.bias.add(channel)); W]; M];
                for w in 1..W {
                    let bias = V::load(isa, product.bias.add(channel + w * V::LANES));
                    for m in 0..M {
                        sums[m][w] = bias;
                    }
                }
                let mut columns = panels.map(|panel| panel.weights);
                for row in 0..runs[0] {
                    for run in 0..runs[1] {
                        let run = window.add(row * distances[0] + run * distances[1]);
                        for quad in 0..quads {
                            let mut column = [V::quads(isa, columns[0]); W];
                            for w in 1..W {
                                column[w] = V::quads(isa, columns[w]);
                            }
                            for m in 0..M {
                                let numbers = V::quad(isa, run.add(quad * QUAD + m * position));
                                for w in 0..W {
                                    sums[m][w] = sums[m][w].add_products(numbers, column[w]);
                                }
                            }
                            for w in 0..W {
                                if M == 1 {
                                    V::prefetch(isa, columns[w].wrapping_add(AHEAD));
                                }
                                columns[w] = columns[w].add(bytes);
                            }
                        }
                    }
                }
                for w in 0..W {
                    let Panel { weights, additional } = panels[w];
                    let more = weights.add(all * bytes);
                    let places = more.add(additional * bytes).cast::<u16>();
                    for i in 0..additional {
                        let place = usize::from(places.add(i).read_unaligned()).min(all - 1);
                        let (run, quad) = (place / quads, place % quads);
                        let (row, run) = (run / runs[1], run % runs[1]);
                        let place = row * distances[0] + run * distances[1] + quad * QUAD;
                        let column = V::quads(isa, more.add(i * bytes));
                        for m in 0..M {
                            let numbers = V::quad(isa, window.add(place + m * position));
                            sums[m][w] = sums[m][w].add_products(numbers, column);
                        }
                    }
                }
                end.store(isa, sums, channel, to.add(first * n), n, lanes);
            }
        }
    }
}

/// What becomes of a tile of sums, by either rule.
#[derive(Clone, Copy)]
struct End<V: DotVector> {
    multipliers: *const i32,
    shifts: *const i32,
    tflite: bool,
    limits: V::Limits,
}

impl<V: DotVector> End<V> {
    /// Stores the first `lanes` of `W` vectors of channels of `M` positions, each `distance` codes behind the one
    /// before.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `lanes` elements of each position, and factors be readable for whole vectors from
    /// `channel` on.
    #[inline(always)]
    unsafe fn store<const M: usize, const W: usize>(
        self,
        isa: V::Isa,
        sums: [[V; W]; M],
        channel: usize,
        to: *mut u8,
        distance: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's.
        unsafe {
            if self.tflite || lanes < W * V::LANES {
                // A copy, so that the tile needs no address and stays in registers elsewhere.
                let spilled = sums;
                V::apart(isa, Slow { end: self, isa, sums: &spilled, channel, to, distance, lanes });
                return;
            }
            let mut factors = [V::load(isa, self.multipliers.add(channel)); W];
            for w in 1..W {
                factors[w] = V::load(isa, self.multipliers.add(channel + w * V::LANES));
            }
            let mut steps = sums;
            for m in 0..M {
                for w in 0..W {
                    steps[m][w] = sums[m][w].nearest(factors[w]);
                }
            }
            if W == 2 {
                for pair in 0..M.div_ceil(2) {
                    // An odd last position is stored twice.
                    let [a, b] = [2 * pair, if 2 * pair + 1 < M { 2 * pair + 1 } else { M - 1 }];
                    let pairs = [[steps[a][0], steps[a][W - 1]], [steps[b][0], steps[b][W - 1]]];
                    V::store_two(pairs, self.limits, [to.add(a * distance), to.add(b * distance)]);
                }
            } else {
                for four in 0..M.div_ceil(4) {
                    let mut places = [to.add(4 * four * distance); 4];
                    let mut vectors = [steps[4 * four][0]; 4];
                    for i in 1..4 {
                        let m = if 4 * four + i < M { 4 * four + i } else { M - 1 };
                        vectors[i] = steps[m][0];
                        places[i] = to.add(m * distance);
                    }
                    V::store_four(vectors, self.limits, places);
                }
            }
        }
    }
}

/// [`End::store`] for any rule and any number of channels, out of line.
struct Slow<'a, V: DotVector, const W: usize> {
    end: End<V>,
    isa: V::Isa,
    sums: &'a [[V; W]],
    channel: usize,
    to: *mut u8,
    distance: usize,
    lanes: usize,
}

impl<V: DotVector, const W: usize> Task for Slow<'_, V, W> {
    #[inline(always)]
    fn run(self) {
        let Self { end, isa, sums, channel, to, distance, lanes } = self;
        for (m, sums) in sums.iter().enumerate() {
            for (w, &sums) in sums.iter().enumerate() {
                let first = w * V::LANES;
                // SAFETY: whoever made the task vouches for `lanes` elements of each position and for the factors.
                unsafe {
                    let factors = V::load(isa, end.multipliers.add(channel + first));
                    let steps = if end.tflite {
                        sums.fixed_point(factors, V::load(isa, end.shifts.add(channel + first)))
                    } else {
                        sums.nearest(factors)
                    };
                    let mut codes = [0_u8; CHANNELS];
                    V::store_four([steps; 4], end.limits, [codes.as_mut_ptr(); 4]);
                    let to = to.add(m * distance + first);
                    for (lane, code) in
                        codes.into_iter().enumerate().take(lanes.saturating_sub(first).min(V::LANES))
                    {
                        *to.add(lane) = code;
                    }
                }
            }
        }
    }
}
