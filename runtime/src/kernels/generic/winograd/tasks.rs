//! The three loops: inputs to points, products at points, and sums to outputs.

use super::transform::{forward, inverse};
use super::{Block, Layer};
use crate::kernels::generic::accumulate::accumulate_strided;
use crate::kernels::generic::ahead::Ahead;
use crate::kernels::generic::conv2d::ZEROS;
use crate::kernels::generic::epilogue::Finish;
use crate::kernels::vector::{Task, Vector};

/// The points of a block of tiles, of the channels that `column` reads.
pub struct Forward<'a, V: Vector, const P: usize> {
    pub layer: &'a Layer<'a, P>,
    pub isa: V::Isa,
    pub block: Block,
    pub column: usize,
}

impl<V: Vector, const P: usize> Task for Forward<'_, V, P> {
    #[inline(always)]
    fn run(self) {
        let Self { layer, isa, block, column } = self;
        let (depth, channel) = (layer.groups.depth, layer.groups.first(column));
        for tile in 0..block.count {
            let inputs = layer.inputs(block.first + tile, channel);
            let points = block.points.wrapping_add(tile * depth);
            // SAFETY: `depth` elements lie behind each input, and behind each point of the block's tiles. The last vector
            // ends with the last channel.
            unsafe {
                if depth < V::LANES {
                    transform::<V, P, false>(isa, &inputs, 0, points, block.stride, depth);
                } else {
                    for channel in (0..depth).step_by(V::LANES) {
                        let channel = channel.min(depth - V::LANES);
                        transform::<V, P, true>(isa, &inputs, channel, points, block.stride, V::LANES);
                    }
                }
            }
        }
    }
}

impl<const P: usize> Layer<'_, P> {
    /// Where each input of a tile begins, from `channel` on; zeros for those outside the map, and for rows that no
    /// output needs.
    #[inline(always)]
    fn inputs(&self, tile: usize, channel: usize) -> [[*const f32; P]; P] {
        let [y, x] = self.place(tile);
        let [rows, columns] = self.axes;
        let input = &self.step.input;
        let (y, x) = (rows.first(y), columns.first(x));
        // Behind the last tap of the last row that is made.
        let end = (self.rows.end + 2).saturating_sub(self.step.pad[0]).min(input.height);
        let mut inputs = [[ZEROS.as_ptr(); P]; P];
        for i in 0..P {
            let y = y.wrapping_add(i);
            if y >= end {
                continue;
            }
            let row = self.input.row(y);
            for j in 0..P {
                let x = x.wrapping_add(j);
                if x < input.width {
                    inputs[i][j] = row.wrapping_add(x * input.channels + channel);
                }
            }
        }
        inputs
    }
}

/// The points of a vector of channels, or of `lanes` of them, `stride` elements from one point to the next.
///
/// # Safety
///
/// `lanes` elements must be readable from `channel` on behind each input, and writable behind each point.
#[inline(always)]
unsafe fn transform<V: Vector, const P: usize, const WHOLE: bool>(
    isa: V::Isa,
    inputs: &[[*const f32; P]; P],
    channel: usize,
    points: *mut f32,
    stride: usize,
    lanes: usize,
) {
    let mut rows = [[V::splat(isa, 0.0); P]; P];
    for j in 0..P {
        let mut column = [V::splat(isa, 0.0); P];
        for i in 0..P {
            // SAFETY: the caller's.
            column[i] = unsafe {
                let from = inputs[i][j].add(channel);
                if WHOLE { V::load(isa, from) } else { V::load_partial(isa, from, lanes) }
            };
        }
        let column = forward::<V, P>(isa, column);
        for i in 0..P {
            rows[i][j] = column[i];
        }
    }
    for i in 0..P {
        let row = forward::<V, P>(isa, rows[i]);
        for j in 0..P {
            // SAFETY: the caller's.
            unsafe {
                let to = points.add((i * P + j) * stride + channel);
                if WHOLE { row[j].store(to) } else { row[j].store_partial(to, lanes) }
            }
        }
    }
}

/// The sums of `M` tiles from the block's `tile` on × `W` vectors of columns at all points: `[point, M, W]` vectors at
/// `sums`.
pub struct Products<'a, V: Vector, const NR: usize, const M: usize, const W: usize, const P: usize> {
    pub layer: &'a Layer<'a, P>,
    pub isa: V::Isa,
    pub block: Block,
    pub tile: usize,
    pub column: usize,
    pub sums: *mut f32,
}

impl<V: Vector, const NR: usize, const M: usize, const W: usize, const P: usize> Task
    for Products<'_, V, NR, M, W, P>
{
    #[inline(always)]
    fn run(self) {
        let Self { layer, isa, block, tile, column, sums } = self;
        let depth = layer.groups.depth;
        let mut to = sums;
        // SAFETY: the tiles are the block's, and the columns the matrix's, which has `depth` rows for each point. The
        // sums have place for all points of `M` ≤ 14 tiles × `W` ≤ 2 vectors of up to 16 columns.
        unsafe {
            let mut a = block.points.add(tile * depth).cast_const();
            let mut b = layer.panels.columns::<V, NR, W>(column);
            for _ in 0..P * P {
                let mut products = [[V::splat(isa, 0.0); W]; M];
                let ahead = Ahead::nothing(b[0]);
                accumulate_strided::<V, NR, M, W>(isa, &mut products, a, depth, b, depth, ahead);
                for product in products.as_flattened() {
                    product.store(to);
                    to = to.add(V::LANES);
                }
                a = a.add(block.stride);
                b = b.map(|b| b.wrapping_add(depth * NR));
            }
        }
    }
}

/// The outputs of `count` tiles from `first` on, `W` vectors of columns of which the sums lie at `sums`; whole ones whose
/// epilogue is plain, or any.
pub struct Inverse<'a, V: Vector, const W: usize, const P: usize, const PLAIN: bool> {
    pub layer: &'a Layer<'a, P>,
    pub isa: V::Isa,
    pub first: usize,
    pub count: usize,
    pub column: usize,
    pub sums: *mut f32,
}

impl<V: Vector, const W: usize, const P: usize, const PLAIN: bool> Task for Inverse<'_, V, W, P, PLAIN> {
    #[inline(always)]
    fn run(self) {
        let Self { layer, isa, first, count, column, sums } = self;
        let (n, width, end) = (layer.step.output.channels, layer.step.output.width, layer.rows.end);
        let bounds = layer.finish.bounds().0;
        // SAFETY: `Products` wrote the sums; the columns begin in the matrix, and the outputs are in the rows that the
        // layer was checked for.
        unsafe {
            let [bias] = layer.panels.bias::<V, 1, W>(isa, column);
            for tile in 0..count {
                let [y, x] = layer.place(first + tile);
                for w in 0..W {
                    let from = sums.add((tile * W + w) * V::LANES);
                    let lines = vertical::<V, P>(isa, from, count * W * V::LANES);
                    let column = column + w * V::LANES;
                    for i in 0..P - 2 {
                        if i >= end - y {
                            break;
                        }
                        let outputs = inverse::<V, P>(isa, lines[i]);
                        let at = x * n + column;
                        let output = layer.output.row(y + i).add(at);
                        let residual = layer.finish.row(y + i).map(|residual| residual.add(at));
                        for j in 0..P - 2 {
                            if j >= width - x {
                                break;
                            }
                            let (sum, output) = (outputs[j].add(bias[w]), output.add(j * n));
                            let residual = residual.map(|residual| residual.add(j * n));
                            if PLAIN {
                                Finish::store_plain(isa, [sum], output, residual, bounds);
                            } else {
                                let (residual, lanes) = (residual.map(|residual| [residual]), n - column);
                                layer.finish.store(isa, [[sum]], [output], residual, lanes.min(V::LANES));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The sums of a tile, `stride` elements from one point to the next, transformed along columns: the first `P − 2` rows.
///
/// # Safety
///
/// A vector must be readable at each point.
#[inline(always)]
unsafe fn vertical<V: Vector, const P: usize>(isa: V::Isa, sums: *const f32, stride: usize) -> [[V; P]; P] {
    let mut rows = [[V::splat(isa, 0.0); P]; P];
    for j in 0..P {
        let mut column = [V::splat(isa, 0.0); P];
        for i in 0..P {
            // SAFETY: the caller's.
            column[i] = unsafe { V::load(isa, sums.add((i * P + j) * stride)) };
        }
        let column = inverse::<V, P>(isa, column);
        for i in 0..P - 2 {
            rows[i][j] = column[i];
        }
    }
    rows
}
