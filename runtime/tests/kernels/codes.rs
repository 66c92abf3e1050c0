//! Convolutions of 8-bit codes, bit by bit: random layers over the whole grid of windows, zero points and weights
//! at the ends of their ranges, both roundings, rings and bands.

use crate::{Kernel, kernels};
use mobilec_runtime::Arena;
use mobilec_runtime::steps::{
    Codes, Lookup, Map, Place, Pooling, QuantizedCombine, QuantizedConv2d, QuantizedDepthwise,
    QuantizedPool2d, Requantize, Rounding,
};
use proptest::prelude::*;
use std::ops::Range;

/// Bytes of the arena; every layer fits.
const BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
struct Layer {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pad: [usize; 2],
    output: [usize; 2],
    channels: usize,
    /// Output channels.
    n: usize,
    groups: usize,
    codes: Codes,
    to: Requantize,
    /// Weights of 9 bits.
    wide: bool,
    /// Weights and codes at the ends of their ranges only.
    extreme: bool,
    band: usize,
    spare: usize,
    seed: u64,
}

pub fn codes() -> impl Strategy<Value = Codes> {
    (any::<bool>(), prop_oneof![Just(0), Just(255), 0..=255])
        .prop_map(|(signed, zero)| Codes { signed, zero_point: if signed { zero - 128 } else { zero } })
}

pub fn requantize() -> impl Strategy<Value = Requantize> {
    (codes(), any::<bool>(), prop_oneof![Just([0, 255]), [0..=255, 0..=255]]).prop_map(
        |(codes, tflite, [a, b])| {
            let least = if codes.signed { -128 } else { 0 };
            let range = [a.min(b) + least, a.max(b) + least];
            let rounding = if tflite { Rounding::Tflite } else { Rounding::Onnx };
            Requantize { rounding, codes, range }
        },
    )
}

fn layers(depthwise: bool) -> impl Strategy<Value = Layer> {
    let side = prop_oneof![3 => Just(1), 4 => Just(3), 1 => Just(5), 2 => 1..=5_usize];
    let window = (
        prop_oneof![2 => side.prop_map(|k| [k, k]), 1 => [1..=4_usize, 1..=4]],
        [1..=3_usize, 1..=3],
        prop_oneof![3 => Just([1, 1]), 1 => [1..=2_usize, 1..=2]],
        [0..=3_usize, 0..=3],
    );
    let size = ([1..=9_usize, 1..=17], prop_oneof![1..=40_usize, Just(8), Just(16), Just(32)], 1..=40_usize);
    let groups = prop_oneof![3 => Just(1), 1 => 1..=3_usize];
    let ends = (codes(), requantize(), any::<bool>(), prop::bool::weighted(0.2));
    (window, size, groups, ends, (1..=9_usize, 0..=2_usize, any::<u64>())).prop_map(
        move |(window, (output, channels, n), groups, (codes, to, wide, extreme), (band, spare, seed))| {
            let (kernel, stride, dilation, pad) = window;
            let multiplier = groups;
            let (channels, n, groups) = if depthwise {
                (channels, channels * multiplier, multiplier)
            } else {
                (channels.next_multiple_of(groups), n.next_multiple_of(groups), groups)
            };
            Layer {
                kernel,
                stride,
                dilation,
                pad,
                output,
                channels,
                n,
                groups,
                codes,
                to,
                wide,
                extreme,
                band,
                spare,
                seed,
            }
        },
    )
}

/// Square windows over 16 channels or more.
fn squares() -> impl Strategy<Value = Layer> {
    let channels =
        prop_oneof![2 => 16..=40_usize, 2 => 40..=150_usize, 1 => (1..=4_usize).prop_map(|n| 32 * n)];
    let window = (prop_oneof![3 => Just(3), 2 => Just(5_usize)], [1..=3_usize, 1..=2]);
    (layers(true), channels, window, 1..=40_usize).prop_map(|(layer, channels, (k, stride), width)| {
        let output = [layer.output[0], width];
        let (kernel, dilation) = ([k, k], [1, 1]);
        Layer { kernel, stride, dilation, channels, n: channels, groups: 1, output, ..layer }
    })
}

/// A generator of numbers.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub fn between(&mut self, lo: i32, hi: i32, extreme: bool) -> i32 {
        if extreme {
            return if self.below(2) == 0 { lo } else { hi };
        }
        lo + self.below((hi - lo + 1) as u64) as i32
    }
}

impl Layer {
    /// Rows and columns of the input, all of whose positions some tap may read.
    fn input(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = (self.output[axis] - 1) * self.stride[axis]
                + (self.kernel[axis] - 1) * self.dilation[axis]
                + 1;
            reach.saturating_sub(self.pad[axis]).max(1)
        })
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Inputs of a sum.
    fn depth(&self, depthwise: bool) -> usize {
        if depthwise { self.taps() } else { self.taps() * self.channels / self.groups }
    }
}

/// What a layer reads, and the weights `[n, depth]`.
struct Constants {
    weights: Vec<i32>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shifts: Vec<i32>,
    input: Vec<u8>,
}

impl Constants {
    fn new(layer: &Layer, depthwise: bool) -> Self {
        let mut draw = Draw(layer.seed | 1);
        let depth = layer.depth(depthwise);
        // Small weights too, of which several products fit 16 bits.
        let share = [1, 4, 16, 64][draw.below(4) as usize];
        let limits = if layer.wide { [-255, 255] } else { [-128, 127] }.map(|limit| limit / share);
        let weights =
            (0..layer.n * depth).map(|_| draw.between(limits[0], limits[1], layer.extreme)).collect();
        let bias = (0..layer.n).map(|_| draw.between(-50_000, 50_000, layer.extreme)).collect();
        // Factors from 1 down to 2^-14 of a step.
        let exponents: Vec<i32> = (0..layer.n).map(|_| -(draw.below(14) as i32)).collect();
        let mantissas: Vec<i32> = (0..layer.n).map(|_| (1 << 30) + draw.below(1 << 30) as i32).collect();
        let tflite = layer.to.rounding == Rounding::Tflite;
        let real = |(m, e): (&i32, &i32)| (*m as f32 / (1_u32 << 31) as f32 * 2.0_f32.powi(*e)).to_bits();
        let multipliers = if tflite {
            mantissas.clone()
        } else {
            mantissas.iter().zip(&exponents).map(|pair| real(pair).cast_signed()).collect()
        };
        let [height, width] = layer.input();
        let byte = |draw: &mut Draw| draw.between(0, 255, layer.extreme) as u8;
        let input = (0..height * width * layer.channels).map(|_| byte(&mut draw)).collect();
        Self { weights, bias, multipliers, shifts: exponents, input }
    }

    /// The layer by its definition, in 64 bits.
    fn expected(&self, layer: &Layer, depthwise: bool) -> Vec<u8> {
        let mut result = Vec::new();
        for y in 0..layer.output[0] {
            for x in 0..layer.output[1] {
                for o in 0..layer.n {
                    let sum = i64::from(self.bias[o]) + self.sum(layer, depthwise, [y, x], o);
                    result.push(self.code(layer, sum, o));
                }
            }
        }
        result
    }

    fn sum(&self, layer: &Layer, depthwise: bool, [y, x]: [usize; 2], o: usize) -> i64 {
        let [height, width] = layer.input();
        let (first, per_tap) = if depthwise {
            (o / layer.groups, 1)
        } else {
            let per_group = layer.channels / layer.groups;
            (o / (layer.n / layer.groups) * per_group, per_group)
        };
        let mut sum = 0;
        for tap in 0..layer.taps() {
            let (ky, kx) = (tap / layer.kernel[1], tap % layer.kernel[1]);
            let row = (y * layer.stride[0] + ky * layer.dilation[0]).checked_sub(layer.pad[0]);
            let column = (x * layer.stride[1] + kx * layer.dilation[1]).checked_sub(layer.pad[1]);
            let (Some(row), Some(column)) = (row, column) else { continue };
            if row >= height || column >= width {
                continue;
            }
            for i in 0..per_tap {
                let byte = self.input[(row * width + column) * layer.channels + first + i];
                let code = if layer.codes.signed { i32::from(byte as i8) } else { i32::from(byte) };
                let weight = self.weights[o * layer.depth(depthwise) + tap * per_tap + i];
                sum += i64::from(code - layer.codes.zero_point) * i64::from(weight);
            }
        }
        sum
    }

    fn code(&self, layer: &Layer, sum: i64, o: usize) -> u8 {
        code(&layer.to, sum, self.multipliers[o], self.shifts.get(o).copied().unwrap_or(0))
    }
}

/// The byte of a sum; an exponent must not be above 0.
pub fn code(to: &Requantize, sum: i64, multiplier: i32, shift: i32) -> u8 {
    let steps = match to.rounding {
        Rounding::Onnx => (sum as f32 * f32::from_bits(multiplier.cast_unsigned())).round_ties_even() as i64,
        Rounding::Tflite => {
            // Halves up, then halves away from zero.
            let high = (i128::from(sum) * i128::from(multiplier) + (1 << 30)) >> 31;
            let divisor = 1_i128 << -shift;
            let half = divisor / 2 * high.signum();
            i64::try_from((high + half) / divisor).unwrap()
        }
    };
    let [lo, hi] = to.range;
    (steps + i64::from(to.codes.zero_point)).clamp(lo.into(), hi.into()) as u8
}

/// Bytes at aligned offsets.
#[derive(Default)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    fn push<const N: usize>(&mut self, values: impl IntoIterator<Item = [u8; N]>) -> usize {
        self.0.resize(self.0.len().next_multiple_of(64), 0xa5);
        let at = self.0.len();
        self.0.extend(values.into_iter().flatten());
        at
    }

    /// Words, padded to whole panels.
    pub fn words(&mut self, values: &[i32]) -> usize {
        let zeros = vec![0; values.len().next_multiple_of(16) - values.len()];
        self.push(values.iter().chain(&zeros).map(|word| word.to_le_bytes()))
    }

    /// One weight a byte, or two bytes.
    fn plain(&mut self, wide: bool, values: impl IntoIterator<Item = i32>) -> usize {
        let values = values.into_iter();
        if wide {
            self.push(values.map(|v| (v as i16).to_le_bytes()))
        } else {
            self.push(values.map(|v| [v as u8]))
        }
    }
}

/// `[n, depth]` in quads and panels.
fn quads(weights: &[i32], n: usize, depth: usize) -> Vec<u8> {
    let (mut table, mut panels) = (Vec::new(), Vec::new());
    let value = |o: usize, k: usize| if o < n && k < depth { weights[o * depth + k] } else { 0 };
    // Whether the weights of those quads are bytes, and their products fit 16 bits together.
    let fits = |o: usize, quads: &[usize]| {
        [0, 2].iter().all(|pair| {
            let pairs =
                quads.iter().flat_map(|quad| [value(o, quad * 4 + pair), value(o, quad * 4 + pair + 1)]);
            let pairs: Vec<i32> = pairs.collect();
            let [above, below] = [1, -1].map(|sign| pairs.iter().map(|v| (v * sign).max(0)).sum::<i32>());
            pairs.iter().all(|v| (-128..128).contains(v)) && above <= 128 && below <= 128
        })
    };
    for first in (0..n).step_by(16) {
        let in_order: Vec<usize> = (0..8).collect();
        let swapped = [vec![0, 1, 2, 3, 8, 9, 10, 11], vec![4, 5, 6, 7, 12, 13, 14, 15]];
        let halves = if n - first > 8 { swapped.to_vec() } else { vec![in_order] };
        let columns: Vec<usize> = halves.concat().into_iter().map(|at| first + at).collect();
        let narrow = |quads: &[usize]| columns.iter().all(|&o| fits(o, quads));
        let count = depth.div_ceil(4);
        let (mut narrow_quads, mut wide): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&quad| narrow(&[quad]));
        // Either is what a kernel takes.
        if narrow_quads.len() < count / 4 {
            (narrow_quads, wide) = (Vec::new(), (0..count).collect());
        }
        let mut bundles: Vec<Vec<usize>> = Vec::new();
        for quad in narrow_quads {
            let last = bundles.last().filter(|last| last.len() < 4).map_or(&[][..], |last| last);
            let longer = [last, &[quad]].concat();
            if longer.len() > 1 && narrow(&longer) {
                bundles.pop();
                bundles.push(longer);
            } else {
                bundles.push(vec![quad]);
            }
        }
        bundles.sort_by_key(|bundle| std::cmp::Reverse(bundle.len()));
        let sizes = [1, 2, 3, 4].map(|size| bundles.iter().filter(|bundle| bundle.len() == size).count());
        let narrow = bundles.concat();
        table.extend([n.div_ceil(16) * 24 + panels.len(), wide.len()]);
        table.extend(sizes);
        for &quad in &wide {
            for k in [quad * 4, quad * 4 + 2] {
                let pairs = columns.iter().flat_map(|&o| [value(o, k), value(o, k + 1)]);
                panels.extend(pairs.flat_map(|v| (v as i16).to_le_bytes()));
            }
        }
        for &quad in &narrow {
            panels.extend(columns.iter().flat_map(|&o| [0, 1, 2, 3].map(|k| value(o, quad * 4 + k) as u8)));
        }
        panels.extend(wide.iter().chain(&narrow).flat_map(|&quad| (quad as u16).to_le_bytes()));
        panels.resize(panels.len().next_multiple_of(4), 0);
    }
    table.iter().flat_map(|&word| (word as u32).to_le_bytes()).chain(panels).collect()
}

/// `[n, depth]` in quads of bytes, which runs begin with; what does not fit a byte is added by as many halves of it as it takes.
fn dots(weights: &[i32], n: usize, depth: usize, run: usize) -> Vec<u8> {
    let (mut table, mut panels) = (Vec::new(), Vec::new());
    // Each run is filled up to whole quads.
    let filled = |o: usize| {
        let runs = weights[o * depth..][..depth].chunks(run);
        let filled = runs.map(|run| [run, &vec![0; run.len().next_multiple_of(4) - run.len()]].concat());
        filled.collect::<Vec<_>>().concat()
    };
    let filters: Vec<Vec<i32>> = (0..n).map(filled).collect();
    let value = |o: usize, k: usize| filters.get(o).map_or(0, |filter| filter[k]);
    let fits = |v: i32| (-128..128).contains(&v);
    for first in (0..n).step_by(16) {
        let columns = first..first + if n - first > 8 { 16 } else { 8 };
        let quad = |quad: usize, part: &dyn Fn(i32) -> i32| -> Vec<u8> {
            let column = |o: usize| [0, 1, 2, 3].map(|k| part(value(o, quad * 4 + k)) as u8);
            columns.clone().flat_map(column).collect()
        };
        let is_wide = |quad: &usize| columns.clone().any(|o| (0..4).any(|k| !fits(value(o, quad * 4 + k))));
        let count = depth / run * run.div_ceil(4);
        let wide: Vec<usize> = (0..count).filter(is_wide).collect();
        table.extend([n.div_ceil(16) * 8 + panels.len(), 2 * wide.len()]);
        panels.extend((0..count).flat_map(|at| quad(at, &|v| if fits(v) { v } else { v % 2 })));
        for &at in &wide {
            let half = quad(at, &|v| if fits(v) { 0 } else { v / 2 });
            panels.extend([half.clone(), half].concat());
        }
        panels.extend(wide.iter().flat_map(|&at| [at, at]).flat_map(|at| (at as u16).to_le_bytes()));
        panels.resize(panels.len().next_multiple_of(4), 0);
    }
    table.iter().flat_map(|&word| (word as u32).to_le_bytes()).chain(panels).collect()
}

/// `[n, taps]` in pairs of rows and at last of columns, 16 channels at a time, the last ones last.
fn pairs_of_taps(weights: &[i32], n: usize, [kh, kw]: [usize; 2]) -> Vec<[u8; 2]> {
    const ORDER: [usize; 16] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];
    let mut out = Vec::new();
    let value = |o: usize, row: usize, kx: usize| {
        if o < n && kx < kw { weights[o * kh * kw + row * kw + kx] as i16 } else { 0 }.to_le_bytes()
    };
    for first in (0..n).step_by(16) {
        let first = first.min(n.saturating_sub(16));
        for row in (0..kh - 1).step_by(2) {
            for kx in 0..kw {
                out.extend(ORDER.iter().flat_map(|at| [row, row + 1].map(|row| value(first + at, row, kx))));
            }
        }
        if kh % 2 == 1 {
            for kx in (0..kw).step_by(2) {
                out.extend(ORDER.iter().flat_map(|at| [kx, kx + 1].map(|kx| value(first + at, kh - 1, kx))));
            }
        }
    }
    out
}

/// The channels of all lanes of blocks of 64.
fn lanes(n: usize) -> Vec<usize> {
    let mut firsts = Vec::new();
    let mut next = 0;
    while next < n {
        let width = match n - next {
            64.. => 64,
            49.. if n >= 64 => 64,
            32.. => 32,
            17.. if n >= 32 => 32,
            _ => 16,
        };
        let first = next.min(n - width);
        firsts.push((first, width));
        next = first + width;
    }
    let lane = |at: usize| at % 16 / 4 * 16 + at / 16 * 4 + at % 4;
    let of_block = |(first, width)| (0..64).map(move |at| first + lane(at) % width);
    firsts.into_iter().flat_map(of_block).collect()
}

/// `[n, k·k]` in quads of taps of a column, in as many parts as the weights of a block take.
fn quads_of_taps(weights: &[i32], n: usize, k: usize) -> Vec<u8> {
    let lanes = lanes(n);
    let blocks = lanes.len() / 64;
    let (mut table, mut bytes) = (Vec::new(), Vec::new());
    for block in lanes.chunks(64) {
        let most = block.iter().flat_map(|&o| &weights[o * k * k..][..k * k]).map(|&w| w.max(-1 - w)).max();
        let parts = 1 + usize::from(most > Some(127)) + usize::from(most > Some(254));
        table.extend([blocks * 8 + bytes.len(), parts]);
        for part in 0..parts as i32 {
            for kx in 0..k {
                for first in (0..k).step_by(4) {
                    for o in block {
                        bytes.extend((first..first + 4).map(|row| {
                            if row < k {
                                // An equal share of each.
                                (weights[o * k * k + row * k + kx] + part).div_euclid(parts as i32) as u8
                            } else {
                                0
                            }
                        }));
                    }
                }
            }
        }
    }
    table.iter().flat_map(|&word| (word as u32).to_le_bytes()).chain(bytes).collect()
}

/// The kernels that read quads of taps, where the CPU has them.
fn sliding(k: usize) -> Vec<Kernel<QuantizedDepthwise>> {
    #[cfg(target_arch = "x86_64")]
    if mobilec_runtime::x86_64::Avx512::detect().is_some() {
        use mobilec_runtime::{kernels::x86_64::avx512, x86_64::Avx512};
        let three: Kernel<QuantizedDepthwise> = ("avx512::dwconv2d_q8_9p64c", |memory, step, rows| {
            if let Some(cpu) = Avx512::detect() {
                avx512::dwconv2d_q8_9p64c(cpu, memory, step, rows);
            }
        });
        let five: Kernel<QuantizedDepthwise> = ("avx512::dwconv2d_q8_25p64c", |memory, step, rows| {
            if let Some(cpu) = Avx512::detect() {
                avx512::dwconv2d_q8_25p64c(cpu, memory, step, rows);
            }
        });
        return vec![if k == 3 { three } else { five }];
    }
    let _ = k;
    Vec::new()
}

/// Runs a kernel band by band; the rings hold what a band needs and some rows more.
fn check<S>(
    layer: &Layer,
    constants: &Constants,
    blob: &Blob,
    (name, kernel): &Kernel<S>,
    step: impl Fn(Map, Map) -> S,
    expected: &[u8],
) {
    let ([height, width], [oh, ow]) = (layer.input(), layer.output);
    let band = layer.band.min(oh);
    let needs = |rows: Range<usize>| {
        let reach = (layer.kernel[0] - 1) * layer.dilation[0] + 1;
        let start = (rows.start * layer.stride[0]).saturating_sub(layer.pad[0]).min(height);
        let end = ((rows.end - 1) * layer.stride[0] + reach).saturating_sub(layer.pad[0]).min(height);
        start..end.max(start)
    };
    let bands = || (0..oh).step_by(band).map(|start| start..oh.min(start + band));
    let held = bands().map(|rows| needs(rows).len()).max().unwrap_or(1);
    let ring = |rows: usize, height: usize| (rows + layer.spare).clamp(1, height);
    let input =
        Map { place: Place::Arena(64), height, width, channels: layer.channels, rows: ring(held, height) };
    let at = (64 + input.rows * width * layer.channels + 64).next_multiple_of(3);
    let output =
        Map { place: Place::Arena(at), height: oh, width: ow, channels: layer.n, rows: ring(band, oh) };
    assert!(at + output.rows * ow * layer.n + 64 <= BYTES);
    let step = step(input, output);
    let mut arena = Box::new(Arena::<BYTES>::new());
    let mut result = Vec::new();
    for rows in bands() {
        let mut before = vec![0x5a; BYTES];
        let row_len = width * layer.channels;
        for y in needs(rows.clone()) {
            let to = 64 + y % input.rows * row_len;
            before[to..to + row_len].copy_from_slice(&constants.input[y * row_len..][..row_len]);
        }
        bytes_mut(&mut arena).copy_from_slice(&before);
        kernel(&mut arena.memory(&blob.0, &[]), &step, rows.clone());
        let mut after = bytes_mut(&mut arena).to_vec();
        let row_len = ow * layer.n;
        for y in rows.clone() {
            let from = at + y % output.rows * row_len;
            result.extend_from_slice(&after[from..from + row_len]);
            after[from..from + row_len].fill(0x5a);
            before[from..from + row_len].fill(0x5a);
        }
        assert!(before == after, "{name} wrote outside its output at rows {rows:?}");
    }
    assert_eq!(result, expected, "{name}");
}

pub fn bytes_mut<const N: usize>(arena: &mut Arena<N>) -> &mut [u8] {
    // SAFETY: an arena is `BYTES` plain bytes from its beginning on.
    unsafe { std::slice::from_raw_parts_mut((&raw mut *arena).cast(), N) }
}

/// Biases as kernels read them: codes count from 0, and the zero point is folded.
fn folded(layer: &Layer, constants: &Constants, depthwise: bool) -> Vec<i32> {
    let zero = layer.codes.zero_point + if layer.codes.signed { 128 } else { 0 };
    let sums = constants.weights.chunks(layer.depth(depthwise)).map(|weights| weights.iter().sum::<i32>());
    constants.bias.iter().zip(sums).map(|(b, sum)| b - zero * sum).collect()
}

fn arena_fits(layer: &Layer) -> bool {
    let [height, width] = layer.input();
    height * width * layer.channels + layer.output[0] * layer.output[1] * layer.n + 512 < BYTES
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::cases()))]

    #[test]
    fn convolutions_of_codes(layer in layers(false)) {
        prop_assume!(arena_fits(&layer));
        let constants = Constants::new(&layer, false);
        let expected = constants.expected(&layer, false);
        let depth = layer.depth(false);
        let mut blob = Blob::default();
        let plain = blob.plain(layer.wide, constants.weights.iter().copied());
        let paired = blob.push(quads(&constants.weights, layer.n, depth).into_iter().map(|byte| [byte]));
        let run = depth / layer.kernel[0] / if layer.dilation[1] == 1 { 1 } else { layer.kernel[1] };
        let dotted = blob.push(dots(&constants.weights, layer.n, depth, run).into_iter().map(|byte| [byte]));
        let bias = blob.words(&folded(&layer, &constants, false));
        let (multipliers, shifts) = (blob.words(&constants.multipliers), blob.words(&constants.shifts));
        let mut kernels: Vec<_> = kernels!(conv2d_q8, conv2d_q8_6x16, conv2d_q8_12x32)
            .into_iter()
            .zip([plain, paired, dotted])
            .collect();
        // AVX-VNNI's, and the same in AVX-512's encoding.
        #[cfg(target_arch = "x86_64")]
        {
            use mobilec_runtime::kernels::x86_64::{avx_vnni, avx512};
            use mobilec_runtime::x86_64::{Avx512, AvxVnni};
            if AvxVnni::detect().is_some() {
                let kernel: Kernel<QuantizedConv2d> = ("avx_vnni::conv2d_q8_6x16", |memory, step, rows| {
                    if let Some(cpu) = AvxVnni::detect() {
                        avx_vnni::conv2d_q8_6x16(cpu, memory, step, rows);
                    }
                });
                kernels.push((kernel, dotted));
            }
            if Avx512::detect().is_some() {
                let kernel: Kernel<QuantizedConv2d> = ("avx512::conv2d_q8_6x16", |memory, step, rows| {
                    if let Some(cpu) = Avx512::detect() {
                        avx512::conv2d_q8_6x16(cpu, memory, step, rows);
                    }
                });
                kernels.push((kernel, dotted));
            }
        }
        for (kernel, weights) in &kernels {
            let weights = *weights;
            if weights != plain && layer.groups != 1 {
                continue;
            }
            let Layer { kernel: size, stride, dilation, pad, groups, codes, to, wide, .. } = layer;
            let step = |input, output| QuantizedConv2d {
                input, output, kernel: size, stride, dilation, pad, groups, wide, bias, multipliers, shifts, codes,
                weights,
                requantize: to,
            };
            check(&layer, &constants, &blob, kernel, step, &expected);
        }
    }

    #[test]
    fn depthwise_convolutions_of_codes(layer in layers(true)) {
        prop_assume!(arena_fits(&layer));
        let constants = Constants::new(&layer, true);
        let expected = constants.expected(&layer, true);
        let (taps, n) = (layer.taps(), layer.n);
        let mut blob = Blob::default();
        let by_tap = (0..taps * n).map(|i| constants.weights[i % n * taps + i / n]);
        let plain = blob.plain(layer.wide, by_tap);
        let paired = blob.push(pairs_of_taps(&constants.weights, n, layer.kernel));
        let bias = blob.words(&folded(&layer, &constants, true));
        let (multipliers, shifts) = (blob.words(&constants.multipliers), blob.words(&constants.shifts));
        let square = |k| layer.kernel == [k, k] && layer.dilation == [1, 1] && layer.groups == 1 && layer.stride[1] < 3;
        let fast = match (square(3), square(5)) {
            (true, _) => kernels!(dwconv2d_q8, dwconv2d_q8_9p16c),
            (_, true) => kernels!(dwconv2d_q8, dwconv2d_q8_25p16c),
            _ => kernels!(dwconv2d_q8, dwconv2d_q8_9p16c).into_iter().take(1).collect(),
        };
        for (at, kernel) in fast.iter().enumerate() {
            let Layer { kernel: size, stride, dilation, pad, groups, codes, to, wide, .. } = layer;
            let step = |input, output| QuantizedDepthwise {
                input, output, kernel: size, stride, dilation, pad, wide, bias, multipliers, shifts, codes,
                multiplier: groups,
                weights: if at == 0 { plain } else { paired },
                requantize: to,
            };
            check(&layer, &constants, &blob, kernel, step, &expected);
        }
    }

    #[test]
    fn depthwise_convolutions_of_codes_in_quads(layer in squares()) {
        prop_assume!(arena_fits(&layer));
        let constants = Constants::new(&layer, true);
        let expected = constants.expected(&layer, true);
        let [k, _] = layer.kernel;
        let mut blob = Blob::default();
        let weights = blob.push(quads_of_taps(&constants.weights, layer.n, k).into_iter().map(|byte| [byte]));
        let lanes = lanes(layer.n);
        let in_lanes = |values: &[i32]| lanes.iter().map(|&o| values[o]).collect::<Vec<_>>();
        let bias = blob.words(&in_lanes(&folded(&layer, &constants, true)));
        let multipliers = blob.words(&in_lanes(&constants.multipliers));
        let shifts = blob.words(&in_lanes(&constants.shifts));
        for kernel in &sliding(k) {
            let Layer { kernel: size, stride, dilation, pad, codes, to, wide, .. } = layer;
            let step = |input, output| QuantizedDepthwise {
                input, output, kernel: size, stride, dilation, pad, wide, bias, multipliers, shifts, codes, weights,
                multiplier: 1,
                requantize: to,
            };
            check(&layer, &constants, &blob, kernel, step, &expected);
        }
    }

    #[test]
    fn functions_of_codes(layer in layers(true)) {
        let layer = Layer { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2], n: layer.channels, ..layer };
        let mut draw = Draw(layer.seed ^ 0x5eed);
        let values: Vec<u8> = (0..256).map(|_| draw.below(256) as u8).collect();
        let constants = Constants::new(&layer, true);
        let expected: Vec<u8> = constants.input.iter().map(|&code| values[usize::from(code)]).collect();
        let mut blob = Blob::default();
        let table = blob.push(values.into_iter().map(|value| [value]));
        for kernel in kernels!(lookup_q8, lookup_q8) {
            check(&layer, &constants, &blob, &kernel, |input, output| Lookup { input, output, table }, &expected);
        }
    }

    #[test]
    fn pools_of_codes(layer in layers(true), max in any::<bool>()) {
        let mut layer = Layer { pad: [0; 2], n: layer.channels, ..layer };
        if max || layer.to.rounding == Rounding::Tflite {
            layer.to.codes = layer.codes;
            layer.to.range = if layer.codes.signed { [-100, 90] } else { [3, 250] };
        }
        let constants = Constants::new(&layer, true);
        let [_, width] = layer.input();
        let ratio = 1.0 / (1 + layer.seed % 7) as f32;
        let mut expected = Vec::new();
        for (y, x, c) in (0..layer.output[0])
            .flat_map(|y| (0..layer.output[1]).map(move |x| (y, x)))
            .flat_map(|(y, x)| (0..layer.n).map(move |c| (y, x, c)))
        {
            let code = |tap: usize| {
                let (ky, kx) = (tap / layer.kernel[1], tap % layer.kernel[1]);
                let row = y * layer.stride[0] + ky * layer.dilation[0];
                let column = x * layer.stride[1] + kx * layer.dilation[1];
                let byte = constants.input[(row * width + column) * layer.channels + c];
                if layer.codes.signed { i64::from(byte as i8) } else { i64::from(byte) }
            };
            let codes: Vec<i64> = (0..layer.taps()).map(code).collect();
            let (sum, count) = (codes.iter().sum::<i64>(), codes.len() as i64);
            let zeros = count * i64::from(layer.codes.zero_point);
            let value = match layer.to.rounding {
                _ if max => codes.into_iter().max().unwrap_or(0),
                Rounding::Onnx => {
                    let steps = (sum - zeros) as f32 * (ratio / count as f32);
                    steps.round_ties_even() as i64 + i64::from(layer.to.codes.zero_point)
                }
                // Halves away from zero.
                Rounding::Tflite => (2 * sum.abs() + count) / (2 * count) * sum.signum(),
            };
            let [lo, hi] = layer.to.range.map(i64::from);
            expected.push(value.clamp(lo, hi) as u8);
        }
        let Layer { kernel: size, stride, dilation, codes, to, .. } = layer;
        let pooling = if max { Pooling::Max } else { Pooling::Average };
        let step = |input, output| QuantizedPool2d {
            input, output, kernel: size, stride, dilation, pad: [0; 4], pooling, ratio, codes, requantize: to,
        };
        let mut blob = Blob::default();
        blob.words(&[0]);
        for kernel in kernels!(pool2d_q8, pool2d_q8) {
            check(&layer, &constants, &blob, &kernel, step, &expected);
        }
    }

    #[test]
    fn sums_and_products_of_codes(layer in layers(true), other in codes(), product in any::<bool>(), each in any::<bool>()) {
        let mut layer = Layer { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2], n: layer.channels, ..layer };
        // The other rule has another test: the fast kernels leave it to the portable one.
        layer.to.rounding = Rounding::Onnx;
        let constants = Constants::new(&layer, true);
        let [height, width] = layer.input();
        let mut draw = Draw(layer.seed ^ 0x5eed);
        let b: Vec<u8> =
            (0..if each { height * width } else { 1 } * layer.n).map(|_| draw.below(256) as u8).collect();
        let factors = [0, 1].map(|_| (1 + draw.below(1 << 20)) as f32 / (if product { 1 << 27 } else { 1 << 19 }) as f32);
        let number = |byte: u8, codes: Codes| {
            (if codes.signed { i32::from(byte as i8) } else { i32::from(byte) }) - codes.zero_point
        };
        let code = |(at, &a): (usize, &u8)| {
            let [x, y] = [number(a, layer.codes), number(b[at % b.len()], other)].map(|x| x as f32);
            let steps = if product { x * y * factors[0] } else { x * factors[0] + y * factors[1] };
            let [lo, hi] = layer.to.range.map(i64::from);
            (steps.round_ties_even() as i64 + i64::from(layer.to.codes.zero_point)).clamp(lo, hi) as u8
        };
        let expected: Vec<u8> = constants.input.iter().enumerate().map(code).collect();
        let mut blob = Blob::default();
        let place = Place::Weights(blob.push(b.iter().map(|&byte| [byte])));
        let [b_height, b_width] = if each { [height, width] } else { [1, 1] };
        let b = Map { place, height: b_height, width: b_width, channels: layer.n, rows: b_height };
        let multipliers = blob.words(&[factors[0], factors[1], 0.0].map(|factor| factor.to_bits().cast_signed()));
        for kernel in kernels!(combine_q8, combine_q8) {
            let step = |a, output| QuantizedCombine {
                a, b, output, product, multipliers, shifts: multipliers, a_codes: layer.codes, b_codes: other,
                requantize: layer.to,
            };
            check(&layer, &constants, &blob, &kernel, step, &expected);
        }
    }
}
