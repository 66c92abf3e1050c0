//! Batched matrix product of codes that are both computed: `requantize(Σ_k (a − z_a) · (b − z_b))` in integers, with
//! ONNX broadcasting of the batch dimensions.
//!
//! It is the float operator on integers. Operands: codes `[.., M, K]` and `[.., K, N]`.

use super::matmul::{self, MatMul};
use super::quantization::{self, Quantization, Requantize, Rounding, centred};
use super::{Operator, shape};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::Family;

/// None of its own: fusions make it.
pub const ONNX: &[Spelling] = &[];

/// See the [module documentation](self).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedMatMul {
    /// What the codes of each operand stand for.
    pub inputs: [Quantization; 2],
    /// What the product is multiplied by, such as 1/√d of attention.
    pub factor: f32,
    /// The end.
    pub output: Requantize,
}

impl QuantizedMatMul {
    /// What a unit of the sum is, in steps of the output. The product of the scales is rounded to single precision: by
    /// ONNX's rule so is the quotient, as in ONNX Runtime's `QLinearMatMul`; by the other it is not, as in TensorFlow
    /// Lite's `BATCH_MATMUL`.
    fn multiplier(&self) -> f64 {
        let [a, b] = self.inputs.map(|input| input.scale);
        let product = a * b * self.factor;
        match self.output.rounding {
            Rounding::Onnx => f64::from(product / self.output.to.scale),
            Rounding::Tflite => f64::from(product) / f64::from(self.output.to.scale),
        }
    }

    /// The largest magnitude of a sum of `depth` products.
    pub fn largest_sum(&self, depth: usize) -> i64 {
        let [a, b] = self.inputs.map(|input| {
            input.codes().into_iter().map(|code| i64::from((code - input.zero_point).abs())).max().unwrap_or(0)
        });
        i64::try_from(depth).unwrap_or(i64::MAX).saturating_mul(a * b)
    }

    /// Whether sums of `depth` products, and what they are scaled to, stay within 32 bits.
    pub fn is_supported(&self, depth: usize) -> bool {
        self.output.takes(&[self.multiplier()], self.largest_sum(depth))
    }
}

impl Operator for QuantizedMatMul {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [a, b] = shape::operands("a quantised matrix product", operands)?;
        quantization::check("a quantised matrix product", a, &self.inputs[0])?;
        quantization::check("a quantised matrix product", b, &self.inputs[1])?;
        matmul::result([a, b], self.output.to.dtype)
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let [a, b] = [0, 1].map(|at| centred(operands[at], self.inputs[at].zero_point));
        let sums = MatMul {}.eval(&[&a, &b], &TensorType::f32(ty.shape.clone()));
        let multiplier = self.multiplier();
        let codes = sums.floats().iter().map(|&sum| self.output.code(sum as i64, multiplier)).collect();
        Array { ty: ty.clone(), data: Data::Int(codes) }
    }

    fn macs(&self, operands: &[TensorType], ty: &TensorType) -> u64 {
        MatMul {}.macs(operands, ty)
    }

    fn describe(&self) -> String {
        let factor = if self.factor == 1.0 { String::new() } else { format!(" · {}", self.factor) };
        format!("int8 matmul{factor}{}", self.output.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let mut request = matmul::request(site)?;
        let [multipliers, shifts] = self.output.multipliers(&[self.multiplier()]);
        let [a_codes, b_codes] = self.inputs.map(|input| input.argument());
        request.fields.extend([
            ("multipliers", multipliers),
            ("shifts", shifts),
            ("a_codes", a_codes),
            ("b_codes", b_codes),
            ("requantize", self.output.argument()),
        ]);
        Ok(vec![Request { family: Family::QuantizedMatMul, dtype: DType::I8, ..request }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_points_are_subtracted_before_products_are_summed() {
        let a = Quantization { dtype: DType::U8, scale: 0.5, zero_point: 10 };
        let b = Quantization { dtype: DType::I8, scale: 2.0, zero_point: -1 };
        let to = Quantization { dtype: DType::I8, scale: 2.0, zero_point: 3 };
        let output = Requantize { rounding: Rounding::Onnx, to, range: to.codes() };
        let op = QuantizedMatMul { inputs: [a, b], factor: 1.0, output };
        let a = Array::int(DType::U8, [1, 2], vec![13, 9]);
        let b = Array::int(DType::I8, [2, 2], vec![0, -2, 1, 100]);
        let ty = op.infer(&[a.ty.clone(), b.ty.clone()]).unwrap();
        // 3·1 − 1·2 = 1 and 3·(−1) − 101 = −104, halved: halves go to even.
        assert_eq!(op.eval(&[&a, &b], &ty).ints(), [3, -49]);
        assert_eq!(op.largest_sum(2), 2 * 245 * 128);
    }
}
