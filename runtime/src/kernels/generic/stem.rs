//! Convolution of few channels into many: the first layers of a network.
//!
//! The depth of a sum is short and its elements lie apart, so they are found through a table of offsets, one
//! for each tap and channel, that is made once for a row of outputs. Taps outside the map are not in it: the
//! inner loop knows neither a border nor the order of the input's dimensions.
//!
//! Tiles are up to `MR` columns of one row × 2 vectors of channels. With 6 columns 12 sums, 2 vectors of weights
//! and a broadcast are 15 of AVX2's 16 registers. Bound by the multiply-adds: 6 cycles of them for 5 of loads.

use super::accumulate::{load_row, row_of_sums};
use super::epilogue::{Destination, Finish};
use super::grouped::Groups;
use super::panels::Panels;
use super::rows::Rows;
use super::split::{next, of_height};
use super::window::Axis;
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Sink, Source, values};
use crate::memory::Memory;
use crate::steps::{Conv2d, Epilogue, Map, PlanarConv2d};
use core::ops::Range;

/// Elements of a sum at most.
const MOST: usize = 512;

/// See [`Conv2d`]; at most 512 elements a sum. Weights are in panels of `NR` columns, none of them of two groups.
#[inline(always)]
pub fn interleaved<V: Vector, const NR: usize, const MR: usize>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Conv2d,
    rows: Range<usize>,
) -> Option<()> {
    let groups = Groups::new::<NR>(step)?;
    let Map { height, width, channels, .. } = step.input;
    let source = Source::new(memory, &step.input)?;
    let order = Order { size: [groups.depth, height, width], distance: [channels, 1] };
    let window = [step.kernel, step.stride, step.dilation, step.pad];
    let constants = [step.weights, step.bias];
    let result = (&step.output, &step.epilogue);
    let layer = Layer::new::<NR>(memory, order, groups, window, constants, result, &rows)?;
    layer.run::<V, NR, MR>(isa, rows, source.row(0), |y| source.row(y));
    Some(())
}

/// See [`PlanarConv2d`]; at most 512 elements a sum. Weights are in panels of `NR` columns.
#[inline(always)]
pub fn planar<V: Vector, const NR: usize, const MR: usize>(
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
    let groups = Groups { depth: channels, columns: step.output.channels };
    let result = (&step.output, &step.epilogue);
    let layer = Layer::new::<NR>(memory, order, groups, window, constants, result, &rows)?;
    layer.run::<V, NR, MR>(isa, rows, input, |y| input.wrapping_add(y * width));
    Some(())
}

/// How the input lies.
struct Order {
    /// Channels of a group, rows and columns.
    size: [usize; 3],
    /// Elements from one column, and from one channel, to the next.
    distance: [usize; 2],
}

/// A checked convolution over an input of either order.
struct Layer<'a> {
    /// Rows and columns of the window.
    taps: [usize; 2],
    axes: [Axis; 2],
    groups: Groups,
    /// Elements from one input column, and from one input channel, to the next.
    distance: [usize; 2],
    output: &'a Map,
    panels: Panels,
    sink: Sink<'a>,
    finish: Finish<'a>,
}

/// The elements of a sum that lie in rows of the map: those of the window's first column, of its next one, and so on.
struct Table {
    /// Where offsets count from.
    base: *const f32,
    /// One more than are read, since the next one is found early.
    elements: [Element; MOST + 1],
    /// How many are a column's.
    column: usize,
}

#[derive(Clone, Copy, Default)]
struct Element {
    /// Where it lies for output column 0, or would lie.
    input: i32,
    /// Where its row of the panel begins.
    row: u32,
}

impl<'m> Layer<'m> {
    /// The layer, when it fits the memory; the window is kernel, stride, dilation and padding.
    #[inline(always)]
    fn new<const NR: usize>(
        memory: &'m Memory<'_>,
        Order { size: [channels, height, width], distance }: Order,
        groups: Groups,
        [kernel, stride, dilation, pad]: [[usize; 2]; 4],
        [weights, bias]: [usize; 2],
        (output, epilogue): (&'m Map, &Epilogue),
        rows: &Range<usize>,
    ) -> Option<Self> {
        let depth = kernel[0].checked_mul(kernel[1])?.checked_mul(channels)?;
        let elements = height.checked_mul(width)?.checked_mul(distance[0].max(channels))?;
        if depth > MOST || elements > i32::MAX as usize / 2 {
            return None;
        }
        let to = [output.height, output.width];
        Some(Self {
            taps: kernel,
            axes: Axis::both(kernel, stride, dilation, pad, [height, width], to)?,
            groups,
            distance,
            output,
            panels: Panels::new::<NR>(memory, weights, bias, depth, output.channels)?,
            sink: Sink::new(memory, output, rows)?,
            finish: Finish::new(memory, epilogue, output)?,
        })
    }

    /// The rows of outputs; `line` says where a row of the input begins, `base` where all of them do.
    #[inline(always)]
    fn run<V: Vector, const NR: usize, const MR: usize>(
        &self,
        isa: V::Isa,
        rows: Range<usize>,
        base: *const f32,
        line: impl Fn(usize) -> *const f32 + Copy,
    ) {
        let columns = self.axes[1];
        let inside = columns.inside();
        let mut table = Table { base, elements: [Element::default(); MOST + 1], column: 0 };
        let mut made = None;
        for y in rows {
            match made.and_then(|made| self.distance_of_rows(made, y, line)) {
                Some(distance) => table.base = base.wrapping_byte_add(distance),
                None => {
                    table.base = base;
                    self.fill::<NR>(&mut table, y, line);
                    made = Some(y);
                }
            }
            if !inside.is_empty() {
                self.columns::<V, NR, MR>(isa, &table, y, inside.clone());
            }
            for x in (0..inside.start).chain(inside.end..self.output.width) {
                self.columns::<V, NR, MR>(isa, &table, y, x..x + 1);
            }
        }
    }

    /// Bytes from the inputs of one row of outputs to those of another, where they lie alike.
    #[inline(always)]
    fn distance_of_rows(&self, made: usize, y: usize, line: impl Fn(usize) -> *const f32) -> Option<usize> {
        let rows = self.axes[0];
        let taps = rows.taps(y);
        let distance =
            |ky| line(rows.position(y, ky)).addr().wrapping_sub(line(rows.position(made, ky)).addr());
        if taps != rows.taps(made) {
            return None;
        }
        let mut distances = taps.map(distance);
        let first = distances.next().unwrap_or(0);
        distances.all(|other| other == first).then_some(first)
    }

    /// The elements of output row `y`.
    #[inline(always)]
    fn fill<const NR: usize>(&self, table: &mut Table, y: usize, line: impl Fn(usize) -> *const f32) {
        let [rows, columns] = self.axes;
        let [column, channel] = self.distance;
        let taps = rows.taps(y);
        table.column = taps.len() * self.groups.depth;
        let mut elements = table.elements.iter_mut();
        for kx in 0..self.taps[1] {
            for ky in taps.clone() {
                let line = (line(rows.position(y, ky)).addr() - table.base.addr()) / size_of::<f32>();
                for c in 0..self.groups.depth {
                    let at = columns.position(0, kx).wrapping_mul(column).wrapping_add(c * channel);
                    if let Some(element) = elements.next() {
                        let row = ((ky * self.taps[1] + kx) * self.groups.depth + c) * NR;
                        // Less than 2³¹ elements from the base in either direction.
                        *element = Element { input: line.wrapping_add(at) as i32, row: row as u32 };
                    }
                }
            }
        }
    }

    /// All channels of columns whose sums have the table's elements.
    #[inline(always)]
    fn columns<V: Vector, const NR: usize, const MR: usize>(
        &self,
        isa: V::Isa,
        table: &Table,
        y: usize,
        x: Range<usize>,
    ) {
        let mut channel = 0;
        while channel < self.output.channels {
            let left = self.groups.left(channel).div_ceil(V::LANES);
            let width = match left {
                8.. if x.len() == 1 && NR == 2 * V::LANES => {
                    self.stripe::<V, NR, 1, 8>(isa, table, y, x.clone(), channel)
                }
                3 => self.stripe::<V, NR, 3, 3>(isa, table, y, x.clone(), channel),
                2.. => self.stripe::<V, NR, MR, 2>(isa, table, y, x.clone(), channel),
                _ => self.stripe::<V, NR, MR, 1>(isa, table, y, x.clone(), channel),
            };
            channel += width * V::LANES;
        }
    }

    /// `W` vectors of channels of all the columns, in tiles up to `MR` wide. Answers `W`.
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
        while x < columns.end {
            let (len, count) = next(columns.end - x, MR);
            let tiles = Place { x, y, count, channel };
            of_height!(len, MR, M => self.apart::<V, NR, M, W>(isa, table, tiles));
            x += len * count;
        }
        W
    }

    #[inline(always)]
    fn apart<V: Vector, const NR: usize, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        table: &Table,
        tiles: Place,
    ) {
        V::apart(isa, Tiles::<V, NR, M, W> { layer: self, isa, table, tiles });
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
        let input = table.base.wrapping_add(layer.groups.first(tiles.channel) * layer.distance[1]);
        let ending = layer.finish.ending(lanes == W * V::LANES);
        // From one output column to the next.
        let distance = layer.axes[1].first(1).wrapping_sub(layer.axes[1].first(0)) * layer.distance[0];
        let taps = layer.axes[1].taps(tiles.x);
        let elements = taps.start * table.column..taps.end * table.column;
        for tile in 0..tiles.count {
            let x = tiles.x + tile * M;
            // SAFETY: the elements of the table lie in the map for all of these columns, its rows in the
            // matrix; the columns are in a row that the layer was checked for.
            unsafe {
                let columns = layer.panels.columns::<V, NR, W>(tiles.channel);
                let mut sums = layer.panels.bias::<V, M, W>(isa, tiles.channel);
                let base = input.wrapping_add(x * distance);
                if M == 1 {
                    let elements = table.elements.get_unchecked(elements.clone());
                    alone::<V, W>(isa, &mut sums[0], base, elements, columns);
                } else {
                    let mut element = *table.elements.get_unchecked(elements.start);
                    let mut inputs = Rows::new(base.wrapping_offset(element.input as isize), distance);
                    for next in elements.clone() {
                        let weights = load_row::<V, W>(isa, columns, element.row as usize);
                        inputs.multiply(isa, &mut sums, weights);
                        // The next one is found while this one is computed; the last one is followed by any.
                        element = *table.elements.get_unchecked(next + 1);
                        inputs = Rows::new(base.wrapping_offset(element.input as isize), distance);
                    }
                }
                let at = x * n + tiles.channel;
                let residual = layer.finish.row(tiles.y).map(|residual| residual.add(at));
                let to = Destination { output: layer.sink.row(tiles.y).add(at), residual, apart: n };
                layer.finish.store_tile(isa, sums, ending, lanes, to);
            }
        }
    }
}

/// Elements of the only column that are multiplied at once, so that enough sums are under way to hide the latency of a
/// multiply-add.
const AT_ONCE: usize = 4;

/// `sums[w] += Σ input · weight[w]` over the elements.
///
/// # Safety
///
/// They must lie in the map and in the matrix.
#[inline(always)]
unsafe fn alone<V: Vector, const W: usize>(
    isa: V::Isa,
    sums: &mut [V; W],
    base: *const f32,
    elements: &[Element],
    columns: [*const f32; W],
) {
    let mut parts = [[V::splat(isa, 0.0); W]; AT_ONCE];
    let mut several = elements.chunks_exact(AT_ONCE);
    // SAFETY: the caller's.
    unsafe {
        for elements in several.by_ref() {
            for i in 0..AT_ONCE {
                let weights = load_row::<V, W>(isa, columns, elements[i].row as usize);
                let input = base.wrapping_offset(elements[i].input as isize);
                row_of_sums(isa, &mut parts[i], input, weights);
            }
        }
        for element in several.remainder() {
            let weights = load_row::<V, W>(isa, columns, element.row as usize);
            row_of_sums(isa, sums, base.wrapping_offset(element.input as isize), weights);
        }
    }
    for part in parts {
        for w in 0..W {
            sums[w] = sums[w].add(part[w]);
        }
    }
}
