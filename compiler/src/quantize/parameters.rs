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

/// In how many bits weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightBits {
    /// −127 to 127.
    #[default]
    Eight,
    /// −63 to 63, whose products with activations can be added in pairs in 16 bits. ONNX Runtime does so on
    /// x86 without VNNI, and cuts off what is larger.
    Seven,
}

impl WeightBits {
    fn largest(self) -> f64 {
        match self {
            Self::Eight => 127.0,
            Self::Seven => 63.0,
        }
    }
}

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

impl Weights {
    /// Weights of which number `i` belongs to output channel `channel(i)`. A channel's scale is what its
    /// largest weight needs, or its bias behind an input of scale `input`.
    pub fn of(
        values: &[f64],
        channel: impl Fn(usize) -> usize,
        biases: &[f64],
        input: f32,
        bits: WeightBits,
    ) -> Self {
        let limit = bits.largest();
        let mut largest = vec![0.0_f64; biases.len()];
        for (i, value) in values.iter().enumerate() {
            largest[channel(i)] = largest[channel(i)].max(value.abs());
        }
        let scale = |(largest, bias): (&f64, &f64)| {
            let least = bias.abs() / (f64::from(input) * LARGEST_BIAS);
            let scale = (largest / limit).max(least) as f32;
            if scale.is_normal() { scale } else { 1.0 }
        };
        let scales: Vec<f32> = largest.iter().zip(biases).map(scale).collect();
        let store = |(i, value): (usize, &f64)| {
            let steps = (value / f64::from(scales[channel(i)])).round_ties_even();
            steps.clamp(-limit, limit) as i64
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
        let weights = Weights::of(&[0.5, -2.0, 0.25, 1.0], |i| i % 2, &[0.0, 0.0], 1.0, WeightBits::Eight);
        assert_eq!(weights.stored, [127, -127, 64, 64]);
        assert_eq!(weights.scales, [0.5_f32 / 127.0, 2.0 / 127.0]);
        let weights = Weights::of(&[0.5, -2.0, 0.25, 1.0], |i| i % 2, &[0.0, 0.0], 1.0, WeightBits::Seven);
        assert_eq!(weights.stored, [63, -63, 32, 32]);
    }

    #[test]
    fn a_large_bias_makes_its_channel_coarse_instead_of_overflowing() {
        let weights = Weights::of(&[1e-9, 1.0], |i| i, &[100.0, 100.0], 1e-3, WeightBits::Eight);
        let bias = 100.0 / f64::from(weights.sums(1e-3)[0]);
        assert!(bias <= LARGEST_BIAS * 1.001, "{bias}");
        assert_eq!(weights.stored[1], 127);
    }
}
