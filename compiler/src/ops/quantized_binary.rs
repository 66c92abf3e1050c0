//! Sums and products of codes.
//!
//! `add`: `requantize(s_a·(a − z_a) + s_b·(b − z_b))`; `mul`: `requantize(s_a·s_b · (a − z_a)·(b − z_b))`.
//! Operands: `a`, and `b` of the same shape or one value a channel of each image, `[N,1,1,C]` beside
//! `[N,H,W,C]`.

use super::quantization::{self, FixedPoint, Quantization, Requantize, Rounding, high_product, round_shift};
use super::{Operator, shape};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// None of its own: fusions make it.
pub const ONNX: &[Spelling] = &[];

/// See the [module documentation](self).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedBinary {
    /// The product instead of the sum.
    pub product: bool,
    /// What the codes of each operand stand for.
    pub inputs: [Quantization; 2],
    /// The end.
    pub output: Requantize,
}

/// Bits by which TensorFlow Lite shifts the terms of a sum to the left before it scales them.
const HEADROOM: u32 = 20;

impl QuantizedBinary {
    /// By the ONNX rule a sum's terms, and a product, are in steps of the output: the factors of both. By
    /// the other rule a sum's terms are in units of twice the larger scale, the third factor is the way
    /// back.
    fn factors(&self) -> [f64; 3] {
        let [a, b] = self.inputs.map(|input| f64::from(input.scale));
        let to = f64::from(self.output.to.scale);
        match (self.product, self.output.rounding) {
            (true, _) => [a * b / to, 0.0, 0.0],
            (false, Rounding::Onnx) => [a / to, b / to, 0.0],
            (false, Rounding::Tflite) => {
                let twice = 2.0 * a.max(b);
                [a / twice, b / twice, twice / (f64::from(1 << HEADROOM) * to)]
            }
        }
    }

    /// Whether the factors are numbers that the rule can scale by.
    pub fn is_supported(&self) -> bool {
        let used = match (self.product, self.output.rounding) {
            (true, _) => 1,
            (false, Rounding::Onnx) => 2,
            (false, Rounding::Tflite) => 3,
        };
        // The largest product of codes, or code; the terms of a fixed-point sum are below 2^29, their factors
        // below 1.
        let largest = match (self.product, self.output.rounding) {
            (true, _) => 255 * 255,
            (false, Rounding::Onnx) => 255,
            (false, Rounding::Tflite) => 1 << 29,
        };
        let below_one = self.product || self.output.rounding == Rounding::Onnx || self.factors()[2] < 1.0;
        below_one && self.output.takes(&self.factors()[..used], largest)
    }

    fn code(&self, a: i64, b: i64) -> i64 {
        let [fa, fb, back] = self.factors();
        let x = a - i64::from(self.inputs[0].zero_point);
        let y = b - i64::from(self.inputs[1].zero_point);
        match (self.product, self.output.rounding) {
            (true, _) => self.output.code(x * y, fa),
            (false, Rounding::Onnx) => self.output.nearest(x as f32 * fa as f32 + y as f32 * fb as f32),
            (false, Rounding::Tflite) => {
                let term = |x: i64, factor: f64| {
                    let FixedPoint { factor, shift } = FixedPoint::new(factor);
                    let high = high_product((x as i32) << HEADROOM, factor);
                    round_shift(high, (-shift).max(0).unsigned_abs())
                };
                self.output.code(i64::from(term(x, fa)) + i64::from(term(y, fb)), back)
            }
        }
    }
}

impl Operator for QuantizedBinary {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [a, b] = shape::operands("a quantised sum or product", operands)?;
        quantization::check("a quantised sum or product", a, &self.inputs[0])?;
        quantization::check("a quantised sum or product", b, &self.inputs[1])?;
        let fits = match (&a.shape[..], &b.shape[..]) {
            (&[n, _, _, c], &[m, 1, 1, d]) if a.shape != b.shape => (n, c) == (m, d),
            (a, b) => a == b,
        };
        if fits {
            Ok(TensorType::new(self.output.to.dtype, a.shape.clone()))
        } else {
            Err(Fault::bug(format!("a quantised sum or product of {a} and {b}")))
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (a, b) = (operands[0].ints(), operands[1].ints());
        let channels = ty.shape.last().copied().unwrap_or(1).max(1);
        let image = ty.elements() / ty.shape.first().copied().unwrap_or(1).max(1);
        let other = |i: usize| if a.len() == b.len() { i } else { i / image * channels + i % channels };
        let codes = a.iter().enumerate().map(|(i, &x)| self.code(x, b[other(i)])).collect();
        Array { ty: ty.clone(), data: Data::Int(codes) }
    }

    fn describe(&self) -> String {
        format!("int8 {}{}", if self.product { "mul" } else { "add" }, self.output.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        if site.operands[0].shape == site.operands[1].shape {
            let map = MapShape::flat(&site.output.shape);
            return Ok(vec![self.request([map; 2])]);
        }
        let images = 0..site.output.shape[0];
        Ok(images
            .map(|image| {
                let maps = [0, 1].map(|i| MapShape::nhwc(&site.operands[i].shape).image(image));
                self.request(maps)
            })
            .collect())
    }
}

impl QuantizedBinary {
    fn request(&self, [a, b]: [MapShape; 2]) -> Request {
        let [multipliers, shifts] = self.output.multipliers(&self.factors());
        Request {
            family: Family::QuantizedCombine,
            dtype: DType::I8,
            shape: Shape::new(a.height * a.width, a.channels, 1),
            fields: vec![
                ("a", Arg::Map(Operand::Input(0), a)),
                ("b", Arg::Map(Operand::Input(1), b)),
                ("output", Arg::Map(Operand::Output, a)),
                ("product", Arg::Bool(self.product)),
                ("multipliers", multipliers),
                ("shifts", shifts),
                ("a_codes", self.inputs[0].argument()),
                ("b_codes", self.inputs[1].argument()),
                ("requantize", self.output.argument()),
            ],
            rows: Rows::SAME,
            in_place: true,
        }
    }
}
