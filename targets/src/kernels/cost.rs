//! Cost models of the register-tiled kernels, in cycles with all operands in the level 1 cache.
//!
//! They rank kernels, and tell what few rows at a time cost; what memory costs is the plan's.

use super::Shape;
use crate::Target;

/// The register file and the ports that a kernel computes with.
#[derive(Clone, Copy)]
pub struct Unit {
    /// `f32` lanes of a vector.
    pub lanes: usize,
    /// Vector multiply-adds a cycle.
    pub fma: f64,
    /// Vector loads a cycle.
    pub loads: f64,
    /// Multiply-adds that must be under way to keep the units busy: latency × units.
    pub under_way: f64,
}

impl Unit {
    /// AVX2 and FMA: two 256-bit multiply-adds of 4 cycles and two loads a cycle (Zen, Haswell and later).
    pub const AVX2: Self = Self { lanes: 8, fma: 2.0, loads: 2.0, under_way: 8.0 };

    /// AVX-512F: one 512-bit multiply-add of 4 cycles and two loads a cycle (Zen 4, which splits them; Intel's
    /// servers do two).
    pub const AVX512: Self = Self { lanes: 16, fma: 1.0, loads: 2.0, under_way: 4.0 };

    /// Plain Rust on a target: vectors of four where the CPU multiplies and adds that many at once, without
    /// a fused instruction; else numbers one by one.
    pub fn portable(target: &Target) -> Self {
        if target.fma_per_cycle >= 8.0 {
            Self { lanes: 4, fma: 1.0, loads: 2.0, under_way: 4.0 }
        } else {
            Self { lanes: 1, fma: target.fma_per_cycle / 2.0, loads: 1.0, under_way: 4.0 }
        }
    }

    /// Cycles that one step of a tile takes: its multiply-adds, its loads, or the latency of sums that are
    /// too few, whichever is longest.
    fn step(&self, sums: usize, fmas: usize, loads: usize) -> f64 {
        let compute = fmas as f64 / self.fma;
        let latency = compute * self.under_way / sums.max(1) as f64;
        compute.max(loads as f64 / self.loads).max(latency)
    }

    /// Cycles to finish and store that many vectors: an activation of two instructions, a store.
    fn finish(&self, vectors: usize) -> f64 {
        12.0 + vectors as f64 * 3.0 / self.loads
    }
}

/// Sum of `cost(height)` over tiles of nearly equal heights up to `most` that cover `total`.
fn tiles(total: usize, most: usize, cost: impl Fn(usize) -> f64) -> f64 {
    let count = total.div_ceil(most).max(1);
    let (height, higher) = (total / count, total % count);
    higher as f64 * cost(height + 1) + (count - higher) as f64 * cost(height)
}

/// A matrix product in tiles of `tile` positions × columns: `k` steps, each a multiply-add for each sum, and
/// a load for each row and vector.
pub fn gemm(unit: Unit, tile: [usize; 2], shape: &Shape) -> f64 {
    let vectors = shape.n.div_ceil(unit.lanes);
    // Single positions take four times as many columns at once.
    let width = tile[1] / unit.lanes * if shape.m == 1 { 4 } else { 1 };
    let column = |width: usize| {
        tiles(shape.m, tile[0], |height| {
            let sums = height * width;
            shape.k as f64 * unit.step(sums, sums, height + width) + unit.finish(sums)
        })
    };
    let rest = vectors % width.max(1);
    (vectors / width.max(1)) as f64 * column(width) + if rest > 0 { column(rest) } else { 0.0 }
}

/// A matrix product where half a vector of columns is left, of which a vector holds two steps of `k`.
pub fn gemm_with_pairs(unit: Unit, tile: [usize; 2], shape: &Shape) -> f64 {
    let left = shape.n % unit.lanes;
    let pairs = Shape { n: left, k: shape.k.div_ceil(2), ..*shape };
    gemm(unit, tile, &Shape { n: shape.n - left, ..*shape }) + gemm(unit, tile, &pairs)
}

/// A dense convolution: a matrix product, and pointers to set up for each row of taps of a tile, at the
/// borders, and where channels of other groups lie between them, for each tap; a loop over each row of taps ends in a
/// branch that is not foreseen.
pub fn conv2d(unit: Unit, tile: [usize; 2], shape: &Shape) -> f64 {
    let [rows, columns] = shape.kernel;
    by_group(shape, |group| {
        let count = group.m.div_ceil(tile[0]) * group.n.div_ceil(tile[1]);
        let runs = if shape.groups == 1 { rows } else { rows * columns };
        gemm(unit, tile, group) + count as f64 * (runs * tile[0]) as f64 * 16.0
    })
}

/// So much for each group.
fn by_group(shape: &Shape, cost: impl Fn(&Shape) -> f64) -> f64 {
    let groups = shape.groups.max(1);
    groups as f64 * cost(&Shape { n: shape.n / groups, ..*shape })
}

/// A convolution that finds the elements of its sums through a table of pointers, made for each row of outputs
/// and for each column at a border.
pub fn stem(unit: Unit, shape: &Shape) -> f64 {
    let pair = tiles(shape.m, 6, |height| {
        let sums = 2 * height;
        shape.k as f64 * unit.step(sums, sums, height + 4) + unit.finish(sums)
    });
    let rows = shape.m.div_ceil(shape.width.max(1));
    let tables = 2 * 3 * rows * shape.k;
    let products = by_group(shape, |group| group.n.div_ceil(unit.lanes).div_ceil(2) as f64 * pair);
    products + tables as f64
}

/// A 3×3 convolution by F(side×side, 3×3) in tiles of `tile` tiles × columns: a product at each point, or the reading of
/// its matrix, which is many times as large as the one of taps, whichever takes longer; and the transforms.
///
/// Measured on a Granite Rapids core (`cargo bench -p mobilec-runtime --bench kernels -- 'F('`): with AVX2, 180 cycles for
/// a vector of inputs to 36 points and 110 for a vector of sums to 16 outputs, 64 and 38 for 16 points and 4 outputs, and
/// what is found once for a tile; of matrices beyond the level 2 cache, 8 bytes a cycle (7×7, 160 → 160).
pub fn winograd(unit: Unit, tile: [usize; 2], side: usize, shape: &Shape, target: &Target) -> f64 {
    let points = (side + 2) * (side + 2);
    let rows = shape.m.div_ceil(shape.width.max(1));
    let total = rows.div_ceil(side) * shape.width.div_ceil(side);
    let depth = (shape.k / 9).max(1);
    // As many tiles as the kernel's buffer has place for, in whole products.
    let most = ((WINOGRAD_POINTS / points).saturating_sub(16) / depth).max(1);
    let most = if most > tile[0] { most - most % tile[0] } else { most };
    by_group(shape, |group| {
        let vectors = group.n.div_ceil(unit.lanes);
        let column = |width: usize| {
            tiles(total, most.min(tile[0]), |height| {
                let sums = height * width;
                depth as f64 * unit.step(sums, sums, height + width) + unit.finish(sums)
            })
        };
        let width = (tile[1] / unit.lanes).max(1);
        let rest = if vectors % width > 0 { column(vectors % width) } else { 0.0 };
        let products = points as f64 * ((vectors / width) as f64 * column(width) + rest);

        let bytes = 4 * points * depth * group.n;
        let again = if bytes <= target.l2_bytes { CYCLES_PER_L2_BYTE } else { CYCLES_PER_L3_BYTE };
        let (blocks, passes) = (total.div_ceil(most), total.div_ceil(most.min(tile[0])));
        let reading = CYCLES_PER_L3_BYTE
            + blocks.saturating_sub(1) as f64 * again
            + passes.saturating_sub(blocks) as f64 * CYCLES_PER_L2_BYTE;
        // The rates are those of a core with two units: what reading costs counts in multiply-adds.
        let reading = bytes as f64 * reading * 2.0 / unit.fma;

        let [forward, inverse] = if side == 4 { [144.0, 152.0] } else { [32.0, 36.0] };
        let outputs = (side * side) as f64;
        let forward = forward / unit.fma + 3.0 * points as f64;
        let inverse = inverse / unit.fma + points as f64 + outputs / unit.loads;
        let inputs = depth.div_ceil(unit.lanes) as f64 * forward + 4.0 * points as f64;
        products.max(reading) + total as f64 * (inputs + vectors as f64 * inverse)
    })
}

/// Elements of the buffer of points of [`winograd`]'s kernels.
const WINOGRAD_POINTS: usize = 36 * (14 * 96 + 16);
/// Cycles to read a byte of a matrix from the level 2 cache.
const CYCLES_PER_L2_BYTE: f64 = 0.03;
/// From the level 3 cache.
const CYCLES_PER_L3_BYTE: f64 = 0.12;

/// A depthwise convolution by a square kernel in blocks of up to seven outputs of a row, four at a stride of 2.
pub fn square(unit: Unit, shape: &Shape) -> f64 {
    let [rows, taps] = shape.kernel;
    let vectors = shape.n.div_ceil(unit.lanes) as f64;
    let line = tiles(shape.width.min(shape.m), if shape.stride[1] == 1 { 7 } else { 4 }, |outputs| {
        let loads = taps + outputs.saturating_sub(1) * shape.stride[1] + taps;
        rows as f64 * unit.step(3 * outputs, outputs * taps, loads) + unit.finish(outputs)
    });
    let lines = shape.m as f64 / shape.width.min(shape.m).max(1) as f64;
    vectors * lines * line
}

/// Sums that are computed vector by vector, with a few instructions of address arithmetic for each term.
pub fn by_vector(unit: Unit, shape: &Shape) -> f64 {
    let vectors = shape.n.div_ceil(unit.lanes) as f64;
    shape.m as f64 * vectors * (shape.k as f64 * (1.0 / unit.fma + 2.0) + unit.finish(1))
}

/// A matrix product of codes in tiles of `tile` positions × columns by multiply-adds of pairs: a product and an
/// addition for each vector of sums and pair, at three vector instructions a cycle; widening the windows; and a
/// dozen instructions for 16 codes.
pub fn matrix_of_codes(tile: [usize; 2], shape: &Shape) -> f64 {
    let panels = shape.n.div_ceil(tile[1]) as f64;
    let pairs = shape.k.div_ceil(2) as f64;
    let products = tiles(shape.m, tile[0], |height| {
        let vectors = 2 * height;
        panels
            * (pairs * ((2 * vectors) as f64 / 3.0).max((height + 2) as f64 / 2.0)
                + 5.0 * vectors as f64
                + 10.0)
    });
    products + (shape.m * shape.k.div_ceil(16)) as f64 * 2.0
}

/// A matrix of codes by one 512-bit instruction a cycle that adds the products of quads, in tiles of `tile` positions
/// × columns: as many broadcasts as positions, 5 cycles to make 16 codes of their sums; and its windows, laid out 16
/// codes at a time.
pub fn dots(tile: [usize; 2], shape: &Shape) -> f64 {
    let (wide, rest) = (shape.n / tile[1], shape.n % tile[1]);
    let quads = shape.k.div_ceil(4) as f64;
    let column = |vectors: f64| {
        tiles(shape.m, tile[0], |height| {
            let height = height as f64;
            quads * (vectors * height).max(height + vectors).max(4.0) + 5.0 * vectors * height + 10.0
        })
    };
    let products = wide as f64 * column(2.0) + if rest > 0 { column(rest as f64 / 16.0) } else { 0.0 };
    products + (shape.m * shape.k.div_ceil(16)) as f64 * 2.0
}

/// A depthwise convolution of codes by a square kernel in steps of four outputs of a row.
pub fn square_of_codes(shape: &Shape) -> f64 {
    let [rows, taps] = shape.kernel;
    let pairs = rows.div_ceil(2);
    let vectors = shape.n.div_ceil(16) as f64;
    let line = tiles(shape.width.min(shape.m), 4, |outputs| {
        let columns = outputs.saturating_sub(1) * shape.stride[1] + taps;
        (columns * (rows * 2 + pairs * 2) + outputs * taps * pairs * 4) as f64 / 3.0 + outputs as f64 * 6.0
    });
    vectors * line * shape.m as f64 / shape.width.min(shape.m).max(1) as f64
}

/// A depthwise convolution of codes by a square kernel, 64 channels at a time along a row: the vector instructions
/// of a step, two a cycle, or its loads, one a cycle, whichever take longer; so long before the first output too.
pub fn slide_of_codes(shape: &Shape) -> f64 {
    let ([side, _], [down, along]) = (shape.kernel, shape.stride);
    let together = if side == 3 && [down, along] == [1, 1] { 2 } else { 1 };
    let quads = side.div_ceil(4);
    let products = 4 * quads * side * together;
    let (interleaved, finished) = (8 * quads * along, 20 * together);
    let loads = products + side * along + 8 * together;
    let step = ((products + interleaved + finished) as f64 / 2.0).max(loads as f64);
    let width = shape.width.min(shape.m).max(1);
    let steps = (width + (side - 1) / along) as f64 + 2.0;
    shape.n.div_ceil(16) as f64 / 4.0 * (shape.m / width) as f64 / together as f64 * steps * step
}

/// A load, an operation and a store for each vector; what is left over goes one by one.
pub fn elementwise(unit: Unit, shape: &Shape) -> f64 {
    let each =
        (shape.n / unit.lanes) as f64 * 2.0 + if shape.n.is_multiple_of(unit.lanes) { 0.0 } else { 10.0 };
    shape.m as f64 * shape.k as f64 * each
}

/// Softmax: a range reduction and a polynomial for each vector of a row; columns go one by one.
pub fn softmax(unit: Unit, shape: &Shape) -> f64 {
    let lanes = if shape.n == 1 { unit.lanes } else { 1 };
    shape.m as f64 * shape.k as f64 * shape.n as f64 * 20.0 / lanes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_tile_is_computed_at_the_peak() {
        let shape = Shape::new(6, 16, 1000);
        let peak = shape.macs() as f64 / 16.0;
        assert!(gemm(Unit::AVX2, [6, 16], &shape) < 1.01 * peak);
    }

    #[test]
    fn forty_nine_rows_have_no_ragged_edge() {
        let shape = Shape::new(49, 16, 1000);
        let peak = shape.macs() as f64 / 16.0;
        assert!(gemm(Unit::AVX2, [6, 16], &shape) < 1.1 * peak);
    }

    #[test]
    fn few_rows_at_a_time_cost_more() {
        let cost = |m| gemm(Unit::AVX2, [6, 16], &Shape::new(m, 64, 384)) / m as f64;
        assert!(cost(2) > 1.5 * cost(12));
    }
}
