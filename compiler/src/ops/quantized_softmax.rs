//! Softmax of codes along the last axis by TensorFlow Lite's fixed-point arithmetic; by the ONNX rule a
//! softmax stays in real numbers. Operand: codes; the result has the scale 1/256 and its least code as zero
//! point.
//!
//! Differences to the largest code are scaled to fixed point with 5 integer bits, exponentiated by a
//! polynomial and a table of `e^(−2^n)`, summed with 12 integer bits, and divided through the reciprocal by
//! Newton's iteration (gemmlowp `fixedpoint.h`; TensorFlow Lite `reference/softmax.h`).

use super::quantization::{self, FixedPoint, Quantization, high_product, round_shift};
use super::{Operator, shape};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// None of its own: fusions make it.
pub const ONNX: &[Spelling] = &[];

/// Integer bits of scaled differences.
const DIFFERENCE_BITS: i32 = 5;
/// Integer bits of the sum.
const SUM_BITS: u32 = 12;

/// See the [module documentation](self).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedSoftmax {
    /// What the input's codes stand for.
    pub input: Quantization,
}

impl QuantizedSoftmax {
    /// What the result's codes stand for.
    pub fn output(&self) -> Quantization {
        let zero_point = self.input.codes()[0];
        Quantization { scale: 1.0 / 256.0, zero_point, ..self.input }
    }

    /// The factor of a difference, and the least difference whose exponential counts.
    fn scaling(&self) -> (FixedPoint, i32) {
        let real = (f64::from(self.input.scale) * f64::from(1 << (31 - DIFFERENCE_BITS)))
            .min(f64::from(i32::MAX));
        let factor = FixedPoint::new(real);
        let range = f64::from((1 << DIFFERENCE_BITS) - 1) * f64::from(1 << (31 - DIFFERENCE_BITS));
        (factor, -((range / 2.0_f64.powi(factor.shift)).floor() as i32))
    }

    /// Whether differences are scaled up, as the fixed-point arithmetic wants them.
    pub fn is_supported(&self) -> bool {
        (0..=30).contains(&self.scaling().0.shift)
    }

    fn row(&self, codes: &[i64]) -> Vec<i64> {
        let (FixedPoint { factor, shift }, least) = self.scaling();
        let largest = codes.iter().copied().max().unwrap_or(0);
        let exponential = |&code: &i64| {
            let difference = (code - largest) as i32;
            (difference >= least).then(|| exp(high_product(difference << shift, factor)))
        };
        let sum: i32 = codes.iter().filter_map(exponential).map(|e| round_shift(e, SUM_BITS)).sum();
        let headroom = sum.leading_zeros();
        let shifted = ((sum.cast_unsigned() << headroom).wrapping_sub(1 << 31)).cast_signed();
        let scale = reciprocal(shifted);
        let bits = SUM_BITS + 31 - 8 - headroom;
        let [lo, hi] = self.input.codes().map(i64::from);
        let code = |e: i32| (i64::from(round_shift(high_product(scale, e), bits)) + lo).clamp(lo, hi);
        codes.iter().map(|q| exponential(q).map_or(lo, code)).collect()
    }
}

/// e^x of a number of 5 integer bits that is not positive, with 31 fractional bits.
fn exp(x: i32) -> i32 {
    const FACTORS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if x == 0 {
        return i32::MAX;
    }
    let quarter = (x & ((1 << 24) - 1)) - (1 << 24);
    let mut result = exp_of_quarter(quarter << DIFFERENCE_BITS);
    let rest = quarter.wrapping_sub(x);
    for (bit, factor) in FACTORS.iter().enumerate() {
        if rest & (1 << (24 + bit)) != 0 {
            result = high_product(result, *factor);
        }
    }
    result
}

/// e^x for −1/4 ≤ x < 0, by the polynomial of fourth degree about −1/8.
fn exp_of_quarter(x: i32) -> i32 {
    const E_EIGHTH: i32 = 1_895_147_668; // e^(−1/8)
    const THIRD: i32 = 715_827_883;
    let x = x.wrapping_add(1 << 28);
    let x2 = high_product(x, x);
    let (x3, x4) = (high_product(x2, x), high_product(x2, x2));
    let tail = round_shift(high_product(round_shift(x4, 2) + x3, THIRD) + x2, 1);
    E_EIGHTH.wrapping_add(high_product(E_EIGHTH, x.wrapping_add(tail)))
}

/// 1 / (1 + x) for 0 ≤ x < 1, with 31 fractional bits: three steps of Newton's iteration.
fn reciprocal(x: i32) -> i32 {
    let sum = i64::from(x) + i64::from(i32::MAX);
    let half = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut result = 1_515_870_810_i32.wrapping_add(high_product(half, -1_010_580_540));
    for _ in 0..3 {
        let error = (1 << 29) - high_product(half, result);
        result = result.wrapping_add(double(high_product(result, error), 2));
    }
    double(result, 1)
}

/// x · 2^n, saturated.
fn double(x: i32, n: u32) -> i32 {
    (i64::from(x) << n).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

impl Operator for QuantizedSoftmax {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("a quantised softmax", operands)?;
        quantization::check("a quantised softmax", input, &self.input)?;
        if input.rank() == 0 || input.shape.contains(&0) {
            return Err(Fault::bug(format!("a quantised softmax of {input}")));
        }
        Ok(input.clone())
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let len = ty.shape.last().copied().unwrap_or(1).max(1);
        let codes = operands[0].ints().chunks(len).flat_map(|row| self.row(row)).collect();
        Array { ty: ty.clone(), data: Data::Int(codes) }
    }

    fn describe(&self) -> String {
        "int8 softmax tflite".into()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let len = site.output.shape.last().copied().unwrap_or(1);
        let (FixedPoint { factor, shift }, least) = self.scaling();
        Ok(vec![Request {
            family: Family::QuantizedSoftmax,
            dtype: DType::I8,
            shape: Shape::new(site.output.elements() / len.max(1), 1, len),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("rows", Arg::Usize(site.output.elements() / len.max(1))),
                ("len", Arg::Usize(len)),
                ("factor", Arg::Int(factor.into())),
                ("shift", Arg::Int(shift.into())),
                ("least", Arg::Int(least.into())),
                ("signed", Arg::Bool(self.input.dtype == DType::I8)),
            ],
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_close_and_probabilities_add_up() {
        for x in [-1.0_f64, -0.25, -0.1, -5.0, -20.0] {
            let fixed = exp((x * f64::from(1 << 26)) as i32);
            let error = (f64::from(fixed) / 2.0_f64.powi(31) - x.exp()).abs();
            // The polynomial leaves out x^5/120 for |x| ≤ 1/8.
            assert!(error < 3e-7, "{x}: {error}");
        }
        let input = Quantization { dtype: DType::I8, scale: 0.1, zero_point: 0 };
        let op = QuantizedSoftmax { input };
        let codes = op.row(&[10, 0, -20]);
        let expected = [1.0_f64, (-1.0_f64).exp(), (-3.0_f64).exp()];
        let sum: f64 = expected.iter().sum();
        for (code, e) in codes.iter().zip(expected) {
            assert!(((*code + 128) as f64 / 256.0 - e / sum).abs() < 1.0 / 256.0);
        }
    }
}
