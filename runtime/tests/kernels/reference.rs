//! Plain sums in double precision.

use mobilec_runtime::steps::{Activation, Pooling};
use proptest::prelude::*;

/// Distance from 1 to the next larger `f32`.
pub const EPSILON: f64 = f32::EPSILON as f64;

/// A window over a map.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub input: [usize; 3],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pad: [usize; 4],
}

impl Window {
    /// The position that a tap reads along an axis, if it is in the map.
    pub fn tap(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let position =
            (at * self.stride[axis] + tap * self.dilation[axis]) as isize - self.pad[axis] as isize;
        usize::try_from(position).ok().filter(|&position| position < self.input[axis])
    }

    /// Input rows that a range of output rows reads.
    pub fn rows(&self, rows: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let taps = rows.flat_map(|y| (0..self.kernel[0]).filter_map(move |tap| self.tap(0, y, tap)));
        let (mut start, mut end) = (usize::MAX, 0);
        for y in taps {
            (start, end) = (start.min(y), end.max(y + 1));
        }
        start.min(end)..end
    }

    /// Taps of an output inside the map: number of the tap and index of the input position.
    pub fn taps(&self, y: usize, x: usize) -> Vec<(usize, usize)> {
        let mut taps = Vec::new();
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                if let (Some(iy), Some(ix)) = (self.tap(0, y, ky), self.tap(1, x, kx)) {
                    taps.push((ky * self.kernel[1] + kx, iy * self.input[1] + ix));
                }
            }
        }
        taps
    }

    /// Taps of an output inside the padded map.
    pub fn padded_taps(&self, y: usize, x: usize) -> usize {
        let along = |axis: usize, at: usize| {
            let end = self.pad[axis] + self.input[axis] + self.pad[axis + 2];
            let tap = |tap: usize| at * self.stride[axis] + tap * self.dilation[axis];
            (0..self.kernel[axis]).filter(|&k| tap(k) < end).count()
        };
        along(0, y) * along(1, x)
    }
}

/// Windows of any kind over small maps, at least one output in size. The last row and column of outputs may
/// reach over the padding.
pub fn windows(channels: impl Strategy<Value = usize>) -> impl Strategy<Value = Window> {
    let pair = |max: usize| [1..=max, 1..=max];
    let input = ([1..=11usize, 1..=14], channels);
    (input, pair(5), pair(3), pair(2), [0..=3usize, 0..=3, 0..=2, 0..=2], [any::<bool>(), any::<bool>()])
        .prop_filter_map(
            "the window is larger than the map",
            |((map, c), kernel, stride, dilation, pad, ceil)| {
                let size = |axis: usize| {
                    let padded = map[axis] + pad[axis] + pad[axis + 2];
                    let rest = padded.checked_sub((kernel[axis] - 1) * dilation[axis] + 1)?;
                    let more = ceil[axis] && rest % stride[axis] != 0;
                    Some(rest / stride[axis] + 1 + usize::from(more))
                };
                let output = [size(0)?, size(1)?];
                Some(Window { input: [map[0], map[1], c], output, kernel, stride, dilation, pad })
            },
        )
}

/// Square kernels, columns with a dilation only at a stride of 1: what the fast depthwise kernels take. Half of the
/// dilations divide the padding in front, as those of networks do.
pub fn squares(size: usize, channels: impl Strategy<Value = usize>) -> impl Strategy<Value = Window> {
    let column = prop_oneof![2 => Just((2, 1)), 2 => Just((1, 1)), 3 => (Just(1), 2..=3usize)];
    (windows(channels), column, 0..=3usize, any::<bool>(), 1..=40usize).prop_filter_map(
        "the window is larger than the map",
        move |(mut window, (stride, dilation), pad, divides, width)| {
            window.kernel = [size; 2];
            window.dilation[1] = dilation;
            window.stride[1] = stride;
            // Maps of many channels are narrower, so that a scene holds them.
            window.input[1] = width.min(8192 / window.input[2].max(1));
            if divides {
                window.pad[1] = pad * dilation;
                window.pad[3] = pad * dilation;
            }
            for axis in 0..2 {
                let padded = window.input[axis] + window.pad[axis] + window.pad[axis + 2];
                let extent = (size - 1) * window.dilation[axis] + 1;
                window.output[axis] = padded.checked_sub(extent)? / window.stride[axis] + 1;
            }
            Some(window)
        },
    )
}

/// 3×3 without stride and dilation, what Winograd's method takes.
pub fn threes(channels: impl Strategy<Value = usize>) -> impl Strategy<Value = Window> {
    let input = ([1..=13usize, 1..=17], channels);
    (input, [0..=3usize, 0..=3, 0..=3, 0..=3]).prop_filter_map(
        "the window is larger than the map",
        |((map, c), pad)| {
            let size =
                |axis: usize| (map[axis] + pad[axis] + pad[axis + 2]).checked_sub(2).filter(|&size| size > 0);
            let output = [size(0)?, size(1)?];
            let input = [map[0], map[1], c];
            Some(Window { input, output, kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pad })
        },
    )
}

/// All activations, with numbers as they occur.
pub fn activations() -> impl Strategy<Value = Activation> {
    prop::sample::select(vec![
        Activation::Identity,
        Activation::Clamp { lo: 0.0, hi: f32::INFINITY },
        Activation::Clamp { lo: 0.0, hi: 6.0 },
        Activation::Clamp { lo: -0.5, hi: 0.25 },
        Activation::HardSwish,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Tanh,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Elu { alpha: 1.0 },
        Activation::Softplus,
    ])
}

/// Its value.
pub fn activate(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => x,
        Activation::Clamp { lo, hi } => x.max(f64::from(lo)).min(f64::from(hi)),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
        Activation::Sigmoid => sigmoid(x),
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => x / 2.0 * (1.0 + erf(x / 2f64.sqrt())),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            x / 2.0 * (1.0 + inner.tanh())
        }
        Activation::Tanh => x.tanh(),
        Activation::LeakyRelu { alpha } => {
            if x >= 0.0 {
                x
            } else {
                f64::from(alpha) * x
            }
        }
        Activation::Elu { alpha } => {
            if x >= 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
    }
}

/// The series of the error function; beyond 5 it is 1 to 12 digits.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// Value and tolerance of an activation, of a value known within `tolerance`: no activation here is steeper
/// than 3/2 (hard-swish at 3), and each is computed with an error of a few units in the last place of its
/// operand or of 1.
pub fn activated(activation: Activation, (x, tolerance): (f64, f64)) -> (f64, f64) {
    (activate(activation, x), 1.5 * tolerance + 4.0 * EPSILON * (x.abs() + 1.0))
}

/// Value and tolerance of a sum of `k` products and a bias: each of the k additions and multiplications
/// adds half a unit in the last place of what is summed.
#[derive(Clone, Copy)]
pub struct Sum {
    value: f64,
    magnitude: f64,
    k: usize,
}

impl Sum {
    pub fn new(bias: f32) -> Self {
        Self { value: f64::from(bias), magnitude: f64::from(bias).abs(), k: 0 }
    }

    pub fn add(&mut self, a: f32, b: f32) {
        let product = f64::from(a) * f64::from(b);
        self.value += product;
        self.magnitude += product.abs();
        self.k += 1;
    }

    pub fn finish(self) -> (f64, f64) {
        (self.value, (self.k + 1) as f64 * EPSILON * self.magnitude)
    }
}

/// The pooled value of one output channel.
pub fn pool(pooling: Pooling, values: &[f32], positions: usize) -> (f64, f64) {
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    let magnitude: f64 = values.iter().map(|&value| f64::from(value).abs()).sum();
    match pooling {
        Pooling::Max => (values.iter().copied().fold(f32::NEG_INFINITY, f32::max).into(), 0.0),
        Pooling::Average | Pooling::AveragePadded => {
            let count = positions.max(1) as f64;
            (sum / count, (values.len() + 1) as f64 * EPSILON * magnitude / count)
        }
    }
}
