//! Eight-bit codes and how an integer sum becomes one: the arithmetic that the quantised operators share.
//!
//! A code `q` stands for the real number `scale · (q − zero_point)`. An operator computes with codes less
//! their zero points, in integers and therefore exactly, and ends in a [`Requantize`]: the sum is scaled,
//! rounded, moved by the zero point and clamped. Two rules say how it is rounded; the runtime's
//! documentation (`mobilec_runtime::steps::Rounding`) has their proofs of exactness.

use crate::error::Fault;
use crate::plan::request::{Arg, Packed};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use std::fmt;
use std::str::FromStr;

/// How a sum is scaled and rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// As ONNX's `QuantizeLinear`: in single precision, halves to even.
    #[default]
    Onnx,
    /// As the reference kernels of TensorFlow Lite and CMSIS-NN: by a 32-bit factor and a shift, rounded
    /// twice.
    Tflite,
}

impl FromStr for Rounding {
    type Err = String;

    /// `onnx` or `tflite`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "onnx" => Ok(Self::Onnx),
            "tflite" => Ok(Self::Tflite),
            _ => Err("it takes onnx or tflite".into()),
        }
    }
}

/// Which real number a code stands for: `scale · (code − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// `u8` or `i8`.
    pub dtype: DType,
    /// From one code to the next.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i32,
}

impl Quantization {
    /// Least and greatest code.
    pub fn codes(&self) -> [i32; 2] {
        if self.dtype == DType::I8 { [-128, 127] } else { [0, 255] }
    }

    /// The code of a real number, as `QuantizeLinear` has it.
    pub fn code(&self, real: f64) -> i32 {
        let [lo, hi] = self.codes().map(f64::from);
        let steps = (real as f32 / self.scale).round_ties_even();
        (f64::from(steps) + f64::from(self.zero_point)).clamp(lo, hi) as i32
    }

    /// The step's field that says so.
    pub(super) fn argument(&self) -> Arg {
        Arg::Codes { signed: self.dtype == DType::I8, zero_point: self.zero_point }
    }
}

impl fmt::Display for Quantization {
    /// `0.0235u8@128`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}@{}", self.scale, self.dtype, self.zero_point)
    }
}

/// The end of a quantised operator: from its integer sum to a code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requantize {
    /// The rule.
    pub rounding: Rounding,
    /// What the codes stand for.
    pub to: Quantization,
    /// Least and greatest code that is stored: the type's, or what an activation leaves of them.
    pub range: [i32; 2],
}

impl Requantize {
    /// Zero point and clamp behind a rounded number.
    pub(super) fn place(&self, steps: i64) -> i64 {
        let [lo, hi] = self.range.map(i64::from);
        steps.saturating_add(i64::from(self.to.zero_point)).clamp(lo, hi)
    }

    /// The code of a sum that counts in units of `multiplier` steps.
    pub fn code(&self, sum: i64, multiplier: f64) -> i64 {
        match self.rounding {
            Rounding::Onnx => self.nearest(sum as f32 * multiplier as f32),
            Rounding::Tflite => self.place(i64::from(FixedPoint::new(multiplier).times(sum as i32))),
        }
    }

    /// The code of a number of steps in single precision, halves to even.
    pub(super) fn nearest(&self, steps: f32) -> i64 {
        self.place(steps.round_ties_even() as i64)
    }

    /// The step's field `requantize`.
    pub(super) fn argument(&self) -> Arg {
        Arg::Requantize(*self)
    }

    /// `" → 0.0235u8@0"`, with the range where it is not the type's, and the rule where it is not ONNX's.
    pub fn describe(&self) -> String {
        let mut text = format!(" → {}", self.to);
        if self.range != self.to.codes() {
            text += &format!(" in {}..={}", self.range[0], self.range[1]);
        }
        if self.rounding == Rounding::Tflite {
            text += " tflite";
        }
        text
    }

    /// The step's fields `multipliers` and `shifts`: of the ONNX rule a factor in single precision and
    /// nothing, of the other a 32-bit factor and a shift.
    pub(super) fn multipliers(&self, multipliers: &[f64]) -> [Arg; 2] {
        let fixed = || multipliers.iter().map(|&m| FixedPoint::new(m));
        let [factors, shifts]: [Vec<i32>; 2] = match self.rounding {
            Rounding::Onnx => {
                [multipliers.iter().map(|&m| (m as f32).to_bits().cast_signed()).collect(), Vec::new()]
            }
            Rounding::Tflite => [fixed().map(|f| f.factor).collect(), fixed().map(|f| f.shift).collect()],
        };
        [factors, shifts].map(|words| Arg::Weights(Packed::Words(words)))
    }

    /// Whether sums up to a magnitude can be scaled by these multipliers without leaving 32 bits, on the way
    /// or as a number of steps.
    pub fn takes(&self, multipliers: &[f64], largest: i64) -> bool {
        let finite = multipliers.iter().all(|&m| (m as f32).is_finite() && m > 0.0);
        let fits = |&m: &f64| match self.rounding {
            Rounding::Onnx => largest as f64 * m < f64::from(1 << 30),
            Rounding::Tflite => {
                let shift = FixedPoint::new(m).shift;
                shift <= 30 && largest.checked_mul(1 << shift.max(0)).is_some_and(|x| x <= i32::MAX.into())
            }
        };
        finite && largest <= i32::MAX.into() && multipliers.iter().all(fits)
    }
}

/// A positive real number as `factor · 2^(shift − 31)`, `factor` from 2^30 to 2^31 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedPoint {
    /// The mantissa.
    pub factor: i32,
    /// The exponent.
    pub shift: i32,
}

impl FixedPoint {
    /// The nearest one, halves away from zero; 0 below 2^−32.
    pub fn new(real: f64) -> Self {
        if real <= 0.0 || !real.is_finite() {
            return Self { factor: 0, shift: 0 };
        }
        let exponent = (real.to_bits() >> 52) as i32 - 1022;
        let mantissa = real / 2.0_f64.powi(exponent);
        let factor = (mantissa * 2.0_f64.powi(31)).round() as i64;
        let (factor, shift) =
            if factor == 1 << 31 { (1 << 30, exponent + 1) } else { (factor as i32, exponent) };
        if shift < -31 { Self { factor: 0, shift: 0 } } else { Self { factor, shift } }
    }

    /// `x` times it, rounded to 31 bits behind the factor and once more behind the shift.
    pub fn times(self, x: i32) -> i32 {
        let shifted = x.wrapping_shl(self.shift.max(0).unsigned_abs());
        round_shift(high_product(shifted, self.factor), (-self.shift).max(0).unsigned_abs())
    }
}

/// `a · b / 2^31` rounded to nearest, halves up, as gemmlowp's `SaturatingRoundingDoublingHighMul`.
pub fn high_product(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1 << 31)) as i32
}

/// `x / 2^exponent` rounded to nearest, halves away from zero, as gemmlowp's `RoundingDivideByPOT`.
pub fn round_shift(x: i32, exponent: u32) -> i32 {
    let mask = ((1_i64 << exponent) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> exponent.min(31)) + i32::from(x & mask > threshold)
}

/// Codes of an operand less its zero point, as an array of real numbers: integers that are exact in double
/// precision.
pub(super) fn centred(codes: &Array, zero_point: i32) -> Array {
    let values = codes.ints().iter().map(|&q| (q - i64::from(zero_point)) as f64).collect();
    Array::float(codes.ty.shape.clone(), values)
}

/// Refuses an operand that does not have the type which a quantisation says.
pub(super) fn check(operator: &str, ty: &TensorType, quantization: &Quantization) -> Result<(), Fault> {
    let [lo, hi] = quantization.codes();
    let fits = matches!(ty.dtype, DType::U8 | DType::I8)
        && ty.dtype == quantization.dtype
        && (lo..=hi).contains(&quantization.zero_point)
        && quantization.scale.is_finite()
        && quantization.scale > 0.0;
    if fits {
        Ok(())
    } else {
        Err(Fault::bug(format!("{operator} of {ty}, which is quantised as {quantization}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiplier_is_the_nearest_fixed_point_number() {
        assert_eq!(FixedPoint::new(0.5), FixedPoint { factor: 1 << 30, shift: 0 });
        assert_eq!(FixedPoint::new(3.0), FixedPoint { factor: 3 << 29, shift: 2 });
        assert_eq!(FixedPoint::new(1.0 - 1e-12), FixedPoint { factor: 1 << 30, shift: 1 });
        assert_eq!(FixedPoint::new(1e-12), FixedPoint { factor: 0, shift: 0 });
    }

    #[test]
    fn two_roundings_differ_from_one() {
        // 0.4999… rounds up twice: first to a half, then away from zero.
        let multiplier = FixedPoint { factor: (1 << 30) + 1, shift: -1 };
        assert_eq!(multiplier.times(1 << 1), 1);
        assert_eq!(round_shift(-3, 1), -2);
        assert_eq!(round_shift(3, 1), 2);
        assert_eq!(high_product(i32::MIN, i32::MIN), i32::MAX);
    }

    #[test]
    fn halves_go_to_even_by_the_onnx_rule() {
        let to = Quantization { dtype: DType::U8, scale: 1.0, zero_point: 3 };
        let end = Requantize { rounding: Rounding::Onnx, to, range: [0, 255] };
        assert_eq!([1, 3, 5, -7, 1000].map(|sum| end.code(sum, 0.5)), [3, 5, 5, 0, 255]);
        let end = Requantize { rounding: Rounding::Tflite, ..end };
        assert_eq!([1, 3, 5, -5].map(|sum| end.code(sum, 0.5)), [4, 5, 6, 1]);
    }
}
