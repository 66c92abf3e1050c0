//! Convolution of few channels into many: the first layer of a network.
//!
//! The depth of a sum is short and its elements lie apart, so they are found through a table of pointers, one
//! for each tap and channel, that is made once for a row of outputs. Taps outside the map are not in it: the
//! inner loop knows neither a border nor the order of the input's dimensions.
//!
//! Tiles are up to 6 columns of one row × 2 vectors of channels: 12 sums, 2 vectors of weights and a broadcast
//! are 15 of AVX2's 16 registers. Bound by the multiply-adds: 6 cycles of them for 5 of loads.

use super::epilogue::{Finish, offsets, offsets_mut};
use super::gemm::Panels;
use super::split::split;
use super::window::Axis;
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Sink, Source, values};
use crate::memory::Memory;
use crate::steps::{Conv2d, Epilogue, Map, PlanarConv2d};
use core::ops::Range;
use core::ptr;

/// Elements of a sum at most.
const MOST: usize = 256;

/// See [`Conv2d`]; one group, at most 256 elements a sum. Weights are in panels of `NR` columns.
#[inline(always)]
pub fn interleaved<V: Vector, const NR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Conv2d,
    rows: Range<usize>,
) -> Option<()> {
    if step.groups != 1 {
        return None;
    }
    let Map { height, width, channels, .. } = step.input;
    let source = Source::new(memory, &step.input)?;
    let order = Order { size: [channels, height, width], distance: [channels, 1] };
    let window = [step.kernel, step.stride, step.dilation, step.pad];
    let constants = [step.weights, step.bias];
    let layer = Layer::new::<NR>(memory, order, window, constants, (&step.output, &step.epilogue), &rows)?;
    layer.run::<V, NR>(isa, rows, |y| source.row(y));
    Some(())
}

/// See [`PlanarConv2d`]; at most 256 elements a sum. Weights are in panels of `NR` columns.
#[inline(always)]
pub fn planar<V: Vector, const NR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &PlanarConv2d,
    rows: Range<usize>,
) -> Option<()> {
    let [channels, height, width] = step.size;
    let plane = height.checked_mul(width)?;
    let input = values(memory, step.input, plane.checked_mul(channels)?)?;
    let order = Order { size: step.size, distance: [1, plane] };
    let window = [step.kernel, step.stride, step.dilation, step.pad];
    let constants = [step.weights, step.bias];
    let layer = Layer::new::<NR>(memory, order, window, constants, (&step.output, &step.epilogue), &rows)?;
    layer.run::<V, NR>(isa, rows, |y| input.wrapping_add(y * width));
    Some(())
}

/// How the input lies.
struct Order {
    /// Channels, rows and columns.
    size: [usize; 3],
    /// Elements from one column, and from one channel, to the next.
    distance: [usize; 2],
}

/// A checked convolution over an input of either order.
struct Layer<'a> {
    /// Rows and columns of the window.
    taps: [usize; 2],
    axes: [Axis; 2],
    /// Input channels.
    channels: usize,
    /// Elements from one input column, and from one input channel, to the next.
    distance: [usize; 2],
    output: &'a Map,
    panels: Panels,
    sink: Sink<'a>,
    finish: Finish<'a>,
}

/// The elements of a sum that lie in the map.
struct Table {
    /// Where each lies for output column 0, or would lie.
    input: [*const f32; MOST],
    /// Its row of the matrix.
    row: [usize; MOST],
    len: usize,
}

impl<'m> Layer<'m> {
    /// The layer, when it fits the memory; the window is kernel, stride, dilation and padding.
    #[inline(always)]
    fn new<const NR: usize>(
        memory: &'m Memory<'_>,
        Order { size: [channels, height, width], distance }: Order,
        [kernel, stride, dilation, pad]: [[usize; 2]; 4],
        [weights, bias]: [usize; 2],
        (output, epilogue): (&'m Map, &Epilogue),
        rows: &Range<usize>,
    ) -> Option<Self> {
        let depth = kernel[0].checked_mul(kernel[1])?.checked_mul(channels)?;
        if depth > MOST {
            return None;
        }
        let to = [output.height, output.width];
        Some(Self {
            taps: kernel,
            axes: Axis::both(kernel, stride, dilation, pad, [height, width], to)?,
            channels,
            distance,
            output,
            panels: Panels::new::<NR>(memory, weights, bias, depth, output.channels)?,
            sink: Sink::new(memory, output, rows)?,
            finish: Finish::new(memory, epilogue, output)?,
        })
    }

    /// The rows of outputs; `line` says where a row of the input begins.
    #[inline(always)]
    fn run<V: Vector, const NR: usize>(
        &self,
        isa: V::Isa,
        rows: Range<usize>,
        line: impl Fn(usize) -> *const f32 + Copy,
    ) {
        let columns = self.axes[1];
        let inside = columns.inside();
        let mut table = Table { input: [ptr::null(); MOST], row: [0; MOST], len: 0 };
        for y in rows {
            if !inside.is_empty() {
                self.fill(&mut table, y, 0..self.taps[1], line);
                self.columns::<V, NR>(isa, &table, y, inside.clone());
            }
            for x in (0..inside.start).chain(inside.end..self.output.width) {
                self.fill(&mut table, y, columns.taps(x), line);
                self.columns::<V, NR>(isa, &table, y, x..x + 1);
            }
        }
    }

    /// The elements of output row `y` that taps of these columns read.
    #[inline(always)]
    fn fill(&self, table: &mut Table, y: usize, taps: Range<usize>, line: impl Fn(usize) -> *const f32) {
        let [rows, columns] = self.axes;
        let [column, channel] = self.distance;
        table.len = 0;
        for ky in rows.taps(y) {
            let line = line(rows.position(y, ky));
            for kx in taps.clone() {
                for c in 0..self.channels {
                    let at = columns.position(0, kx).wrapping_mul(column).wrapping_add(c * channel);
                    if let (Some(input), Some(row)) =
                        (table.input.get_mut(table.len), table.row.get_mut(table.len))
                    {
                        *input = line.wrapping_add(at);
                        *row = (ky * self.taps[1] + kx) * self.channels + c;
                        table.len += 1;
                    }
                }
            }
        }
    }

    /// All channels of columns whose sums have the table's elements.
    #[inline(always)]
    fn columns<V: Vector, const NR: usize>(&self, isa: V::Isa, table: &Table, y: usize, x: Range<usize>) {
        let n = self.output.channels;
        let mut channel = 0;
        while channel < n {
            let width = match (n - channel).div_ceil(V::LANES) {
                3 => self.stripe::<V, NR, 3, 3>(isa, table, y, x.clone(), channel),
                2.. => self.stripe::<V, NR, 6, 2>(isa, table, y, x.clone(), channel),
                _ => self.stripe::<V, NR, 6, 1>(isa, table, y, x.clone(), channel),
            };
            channel += width * V::LANES;
        }
    }

    /// `W` vectors of channels of all the columns, in tiles of nearly equal widths up to `MR`. Answers `W`.
    #[inline(always)]
    fn stripe<V: Vector, const NR: usize, const MR: usize, const W: usize>(
        &self,
        isa: V::Isa,
        table: &Table,
        y: usize,
        columns: Range<usize>,
        channel: usize,
    ) -> usize {
        let mut x = columns.start;
        for (len, count) in split(columns.len(), MR) {
            if count == 0 {
                continue;
            }
            let tiles = Place { x, y, count, channel };
            match len {
                6 if MR >= 6 => V::apart(isa, Tiles::<V, NR, 6, W> { layer: self, isa, table, tiles }),
                5 if MR >= 5 => V::apart(isa, Tiles::<V, NR, 5, W> { layer: self, isa, table, tiles }),
                4 if MR >= 4 => V::apart(isa, Tiles::<V, NR, 4, W> { layer: self, isa, table, tiles }),
                3 => V::apart(isa, Tiles::<V, NR, 3, W> { layer: self, isa, table, tiles }),
                2 => V::apart(isa, Tiles::<V, NR, 2, W> { layer: self, isa, table, tiles }),
                _ => V::apart(isa, Tiles::<V, NR, 1, W> { layer: self, isa, table, tiles }),
            }
            x += len * count;
        }
        W
    }
}

/// `count` tiles from a column of a row on, of the channels from one on.
#[derive(Clone, Copy)]
struct Place {
    x: usize,
    y: usize,
    count: usize,
    channel: usize,
}

/// Tiles of `M` columns × `W` vectors of channels.
struct Tiles<'a, V: Vector, const NR: usize, const M: usize, const W: usize> {
    layer: &'a Layer<'a>,
    isa: V::Isa,
    table: &'a Table,
    tiles: Place,
}

impl<V: Vector, const NR: usize, const M: usize, const W: usize> Task for Tiles<'_, V, NR, M, W> {
    #[inline(always)]
    fn run(self) {
        let Self { layer, isa, table, tiles } = self;
        let n = layer.output.channels;
        let lanes = (n - tiles.channel).min(W * V::LANES);
        // From one output column to the next.
        let distance = layer.axes[1].first(1).wrapping_sub(layer.axes[1].first(0)) * layer.distance[0];
        for tile in 0..tiles.count {
            let x = tiles.x + tile * M;
            // SAFETY: the elements of the table lie in the map for all of these columns, its rows in the
            // matrix; the columns are in a row that the layer was checked for.
            unsafe {
                let columns = layer.panels.columns::<V, NR, W>(tiles.channel);
                let mut sums = layer.panels.bias::<V, M, W>(isa, tiles.channel);
                for element in 0..table.len {
                    let a = table.input.get_unchecked(element).wrapping_add(x * distance);
                    let row = *table.row.get_unchecked(element) * NR;
                    let mut weights = [V::splat(isa, 0.0); W];
                    for w in 0..W {
                        weights[w] = V::load(isa, columns[w].add(row));
                    }
                    for m in 0..M {
                        let value = V::splat(isa, *a.wrapping_add(m * distance));
                        for w in 0..W {
                            sums[m][w] = value.mul_add(weights[w], sums[m][w]);
                        }
                    }
                }
                let at = x * n + tiles.channel;
                let output = offsets_mut(layer.sink.row(tiles.y).add(at), n);
                let residual = layer.finish.row(tiles.y).map(|residual| offsets(residual.add(at), n));
                layer.finish.store(isa, sums, output, residual, lanes);
            }
        }
    }
}
