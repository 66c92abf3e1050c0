//! Scales and zero points.

use super::range::Range;
use crate::ops::quantization::Quantization;
use crate::reference::Array;
use crate::tensor::{DType, Tensor};

/// In what activations are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activations {
    /// 0 to 255, which the integer instructions of x86 take beside signed weights.
    #[default]
    U8,
    /// −128 to 127, as TFLite and CMSIS-NN have it.
    I8,
}

impl Activations {
    /// The element type.
    pub fn dtype(self) -> DType {
        match self {
            Self::U8 => DType::U8,
            Self::I8 => DType::I8,
        }
    }
}

/// Which integers weights take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightRange {
    /// No two weights of an output channel that have the same sign add up to more than 128 in magnitude, so
    /// that `a₁·w₁ + a₂·w₂` with 8-bit activations fits 16 bits: x86 CPUs without VNNI add products in pairs
    /// (`vpmaddubsw`), and ONNX Runtime lets larger sums saturate there. Depthwise layers, which it adds in 32
    /// bits, take all integers.
    #[default]
    Paired,
    /// −127 to 127.
    Full,
}

/// Largest magnitude of a weight.
const LARGEST_WEIGHT: f64 = 127.0;

/// Largest sum of two weights before they are rounded; afterwards it is 128 at most, and 255·128 < 2¹⁵.
const LARGEST_PAIR: f64 = 127.0;

/// 256 steps over a range, one of which is exactly 0.
pub fn quantization(range: Range, stored: Activations) -> Quantization {
    let dtype = stored.dtype();
    let none = Quantization { dtype, scale: 1.0, zero_point: 0 };
    let [low, high] = none.codes();
    let scale = ((range.high - range.low) / f64::from(high - low)) as f32;
    if !scale.is_normal() {
        return Quantization { zero_point: low, ..none };
    }
    let zero_point = (-range.low / f64::from(scale)).round_ties_even() as i32 + low;
    Quantization { dtype, scale, zero_point }
}

/// Scale and zero point as constants.
pub fn tensors(quantization: &Quantization) -> [Tensor; 2] {
    let scale = Tensor::from_f32([], &[quantization.scale]);
    [scale, integers(quantization.dtype, vec![], &[quantization.zero_point.into()])]
}

/// Signed weights with a scale for each output channel; their zero point is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Integers in the order of the weights.
    pub stored: Vec<i64>,
    /// One a channel.
    pub scales: Vec<f32>,
}

/// Biases are stored in 32 bits as multiples of the product of two scales; half of them is left for sums.
const LARGEST_BIAS: f64 = (1_u64 << 30) as f64;

/// What decides over the scale of an output channel.
#[derive(Clone, Copy, Debug, Default)]
struct Extremes {
    /// The two largest weights, 0 where fewer are positive.
    above: [f64; 2],
    /// The magnitudes of the two smallest, 0 where fewer are negative.
    below: [f64; 2],
}

impl Extremes {
    fn add(&mut self, weight: f64) {
        let pair = if weight < 0.0 { &mut self.below } else { &mut self.above };
        let magnitude = weight.abs();
        if magnitude > pair[0] {
            *pair = [magnitude, pair[0]];
        } else {
            pair[1] = pair[1].max(magnitude);
        }
    }

    /// The smallest scale with which the weights are in range.
    fn scale(self, range: WeightRange) -> f64 {
        let full = self.above[0].max(self.below[0]) / LARGEST_WEIGHT;
        let pairs = [self.above, self.below].map(|[a, b]| (a + b) / LARGEST_PAIR);
        match range {
            WeightRange::Full => full,
            WeightRange::Paired => full.max(pairs[0]).max(pairs[1]),
        }
    }
}

impl Weights {
    /// Weights of which number `i` belongs to output channel `channel(i)`. A channel's scale is what its
    /// largest weights need, or its bias behind an input of scale `input`.
    pub fn of(
        values: &[f64],
        channel: impl Fn(usize) -> usize,
        biases: &[f64],
        input: f32,
        range: WeightRange,
    ) -> Self {
        let mut extremes = vec![Extremes::default(); biases.len()];
        for (i, &value) in values.iter().enumerate() {
            extremes[channel(i)].add(value);
        }
        let scale = |(extremes, bias): (&Extremes, &f64)| {
            let least = bias.abs() / (f64::from(input) * LARGEST_BIAS);
            let scale = extremes.scale(range).max(least) as f32;
            if scale.is_normal() { scale } else { 1.0 }
        };
        let scales: Vec<f32> = extremes.iter().zip(biases).map(scale).collect();
        let store = |(i, value): (usize, &f64)| {
            let steps = (value / f64::from(scales[channel(i)])).round_ties_even();
            steps.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT) as i64
        };
        let stored = values.iter().enumerate().map(store).collect();
        Self { stored, scales }
    }

    /// What the stored weights stand for.
    pub fn real(&self, channel: impl Fn(usize) -> usize) -> Vec<f64> {
        let real = |(i, &stored): (usize, &i64)| stored as f64 * f64::from(self.scales[channel(i)]);
        self.stored.iter().enumerate().map(real).collect()
    }

    /// Scales of sums over an input of scale `input`.
    pub fn sums(&self, input: f32) -> Vec<f32> {
        self.scales.iter().map(|&scale| scale * input).collect()
    }
}

/// An integer constant.
pub fn integers(dtype: DType, shape: Vec<usize>, values: &[i64]) -> Tensor {
    Tensor::from(&Array::int(dtype, shape, values.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_both_ends_are_within_half_a_step() {
        for stored in [Activations::U8, Activations::I8] {
            for (low, high) in [(0.0, 6.0), (-3.0, 5.0), (-1e-3, 7.25), (-4.0, 0.0)] {
                let found = quantization(Range::new(low, high), stored);
                let step = f64::from(found.scale);
                for value in [low, 0.0, high] {
                    let back = f64::from(found.code(value) - found.zero_point) * step;
                    assert!((back - value).abs() <= step * 0.501, "{value} of {low}..{high}: {back}");
                    assert!(value != 0.0 || back == 0.0);
                }
                assert_eq!(found.code(1e9) - found.code(-1e9), 255);
            }
        }
    }

    #[test]
    fn an_empty_range_is_stored_as_zeros() {
        let found = quantization(Range::new(0.0, 0.0), Activations::I8);
        assert_eq!((found.scale, found.zero_point), (1.0, -128));
    }

    #[test]
    fn each_channel_uses_all_steps() {
        let weights = Weights::of(&[0.5, -2.0, 0.25, 1.0], |i| i % 2, &[0.0, 0.0], 1.0, WeightRange::Full);
        assert_eq!(weights.stored, [127, -127, 64, 64]);
        assert_eq!(weights.scales, [0.5_f32 / 127.0, 2.0 / 127.0]);
    }

    #[test]
    fn pairs_of_products_fit_16_bits() {
        let stored = |values: &[f64]| Weights::of(values, |_| 0, &[0.0], 1.0, WeightRange::Paired).stored;
        assert_eq!(stored(&[1.0, -1.0, 0.0]), [127, -127, 0], "signs differ");
        assert_eq!(stored(&[1.0, 1.0, 1.0]), [64, 64, 64]);
        assert_eq!(stored(&[-3.0, -1.0, 2.0]), [-95, -32, 64]);
        let values: Vec<f64> = (0..500).map(|i| (f64::from(i * i) * 0.37).sin()).collect();
        for chunk in values.chunks_exact(7) {
            let mut stored = stored(chunk);
            stored.sort_unstable();
            assert!(stored[0] + stored[1] >= -128 && stored[5] + stored[6] <= 128, "{stored:?}");
        }
    }

    #[test]
    fn a_large_bias_makes_its_channel_coarse_instead_of_overflowing() {
        let weights = Weights::of(&[1e-9, 1.0], |i| i, &[100.0, 100.0], 1e-3, WeightRange::Full);
        let bias = 100.0 / f64::from(weights.sums(1e-3)[0]);
        assert!(bias <= LARGEST_BIAS * 1.001, "{bias}");
        assert_eq!(weights.stored[1], 127);
    }
}
