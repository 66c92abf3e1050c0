//! Pooling of codes over a window: the maximum, which needs no arithmetic, or the mean.
//!
//! By the ONNX rule the mean of `n` positions is `requantize(Σ (x − z))` with the factor
//! `(s_x / s_y) / n` in single precision. By TensorFlow Lite's it is the integer quotient of the codes' sum,
//! halves away from zero, for equal quantisations.

use super::quantization::{self, Quantization, Requantize, Rounding};
use super::{Operator, shape};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::pool::{Pool2d, Pooling};
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// None of its own: fusions make it.
pub const ONNX: &[Spelling] = &[];

/// Pooling of codes. Operand: `[N,H,W,C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedPool {
    /// The window and how it is pooled.
    pub pool: Pool2d,
    /// What the input's codes stand for.
    pub input: Quantization,
    /// The end of a mean; of a maximum the range alone counts.
    pub output: Requantize,
}

impl QuantizedPool {
    /// Whether the rule can take the mean.
    pub fn is_supported(&self) -> bool {
        // A sum of codes must be exact in single precision.
        let exact = self.pool.window.taps() <= (1 << 24) / 255;
        let equal = self.input == self.output.to;
        match (self.pool.pooling, self.output.rounding) {
            (Pooling::Max, _) | (_, Rounding::Tflite) => equal && exact,
            (Pooling::Average | Pooling::AveragePadded, Rounding::Onnx) => exact && self.ratio().is_finite(),
        }
    }

    fn ratio(&self) -> f32 {
        (f64::from(self.input.scale) / f64::from(self.output.to.scale)) as f32
    }

    /// The code of a window from the codes of its `count` positions, those in the padding not among `codes`.
    fn code(&self, codes: impl Iterator<Item = i64> + Clone, count: i64) -> i64 {
        let zero_point = i64::from(self.input.zero_point);
        let [lo, hi] = self.output.range.map(i64::from);
        match (self.pool.pooling, self.output.rounding) {
            (Pooling::Max, _) => codes.max().unwrap_or(lo).clamp(lo, hi),
            (_, Rounding::Onnx) => {
                let sum: i64 = codes.map(|code| code - zero_point).sum();
                self.output.nearest(sum as f32 * (self.ratio() / count as f32))
            }
            (_, Rounding::Tflite) => {
                let padding = count - codes.clone().count() as i64;
                let sum = codes.sum::<i64>() + padding * zero_point;
                let half = if sum > 0 { count / 2 } else { -count / 2 };
                ((sum + half) / count).clamp(lo, hi)
            }
        }
    }
}

impl Operator for QuantizedPool {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("a quantised pool", operands)?;
        quantization::check("a quantised pool", input, &self.input)?;
        let ty = self.pool.infer(&[TensorType::f32(input.shape.clone())])?;
        Ok(TensorType::new(self.output.to.dtype, ty.shape))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (&[_, height, width, channels], &[_, oh, ow, _]) = (&operands[0].ty.shape[..], &ty.shape[..])
        else {
            return Array::zeros(ty);
        };
        let codes = operands[0].ints();
        let value = |i: usize| {
            let (position, channel) = (i / channels, i % channels);
            let (image, oy, ox) = (position / (oh * ow), position / ow % oh, position % ow);
            let pixels: Vec<i64> = self
                .pool
                .pixels([oy, ox], [height, width])
                .map(|[y, x]| codes[((image * height + y) * width + x) * channels + channel])
                .collect();
            let padded = self.pool.pooling == Pooling::AveragePadded;
            let count = if padded { self.pool.window.taps() } else { pixels.len() };
            self.code(pixels.iter().copied(), count as i64)
        };
        Array { ty: ty.clone(), data: Data::Int((0..ty.elements()).map(value).collect()) }
    }

    fn describe(&self) -> String {
        format!("int8 {}{}", self.pool.describe(), self.output.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok((0..site.output.shape[0]).map(|image| self.image(site, image)).collect())
    }
}

impl QuantizedPool {
    fn image(&self, site: &Site<'_>, image: usize) -> Request {
        let [input, output] =
            [&site.operands[0], site.output].map(|ty| MapShape::nhwc(&ty.shape).image(image));
        let window = self.pool.window;
        Request {
            family: Family::QuantizedPool2d,
            dtype: DType::I8,
            shape: Shape {
                kernel: window.kernel,
                stride: window.stride,
                dilation: window.dilation,
                width: output.width,
                ..Shape::new(output.height * output.width, output.channels, window.taps())
            },
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), input)),
                ("output", Arg::Map(Operand::Output, output)),
                ("kernel", Arg::Usizes(window.kernel.to_vec())),
                ("stride", Arg::Usizes(window.stride.to_vec())),
                ("dilation", Arg::Usizes(window.dilation.to_vec())),
                ("pad", Arg::Usizes(window.pad.to_vec())),
                ("pooling", Arg::Path(self.pool.pooling.path())),
                ("ratio", Arg::F32(self.ratio())),
                ("codes", self.input.argument()),
                ("requantize", self.output.argument()),
            ],
            rows: Rows::of(&window),
            in_place: false,
        }
    }
}
