//! A convolution, depthwise or not, of codes: `y = requantize(Σ (x − z) · w + bias)` in integers.
//!
//! It is the float operator of the same window, on integers. Operands: input codes `[N,H,W,C]`; weights less
//! their zero points in the layout of the float operator, `i8` where they fit and else `i32`; one scale for
//! each output channel, `f32[O]`; bias `i32[O]` in units of the input's scale times the channel's. A window
//! reads the zero point outside the map. Fully connected layers are 1×1 convolutions of one row.

use super::quantization::{self, Quantization, Requantize, Rounding, centred};
use super::{Operator, expect, shape};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise::Depthwise;
use crate::ops::window::Window;
use crate::plan::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::Family;

/// None of its own: fusions make it.
pub const ONNX: &[Spelling] = &[];

/// The float operator that a quantised layer is on integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Dense or in groups.
    Conv2d(Conv2d),
    /// A channel at a time.
    Depthwise(Depthwise),
}

impl Layer {
    fn operator(&self) -> &dyn Operator {
        match self {
            Self::Conv2d(op) => op,
            Self::Depthwise(op) => op,
        }
    }

    fn window(&self) -> &Window {
        match self {
            Self::Conv2d(op) => &op.window,
            Self::Depthwise(op) => &op.window,
        }
    }

    /// The output channel of a weight by its flat position, of `outputs`.
    pub fn channel(&self, at: usize, weight: &[usize]) -> usize {
        match self {
            Self::Conv2d(_) => at / weight[1..].iter().product::<usize>().max(1),
            Self::Depthwise(_) => at % weight[2].max(1),
        }
    }

    /// The axis of the weight that counts output channels.
    pub fn axis(&self) -> usize {
        match self {
            Self::Conv2d(_) => 0,
            Self::Depthwise(_) => 2,
        }
    }
}

/// See the [module documentation](self).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedLayer {
    /// Window, groups or multiplier; its epilogue is empty.
    pub layer: Layer,
    /// What the input's codes stand for.
    pub input: Quantization,
    /// The end.
    pub output: Requantize,
    /// The product of the scales of input and weight is rounded to single precision before it is divided,
    /// as TensorFlow Lite does in fully connected layers and in those of `u8`.
    pub coarse: bool,
}

impl QuantizedLayer {
    /// What a unit of the sum is, in steps of the output. By ONNX's rule product and quotient are each rounded to
    /// single precision, as ONNX Runtime's integer kernels do.
    pub fn multiplier(&self, scale: f64) -> f64 {
        let product = self.input.scale * scale as f32;
        match (self.output.rounding, self.coarse) {
            (Rounding::Onnx, _) => f64::from(product / self.output.to.scale),
            (Rounding::Tflite, true) => f64::from(product) / f64::from(self.output.to.scale),
            (Rounding::Tflite, false) => {
                f64::from(self.input.scale) * scale / f64::from(self.output.to.scale)
            }
        }
    }

    /// The largest magnitude of a sum, for weights less their zero points in the operator's layout.
    pub fn largest_sum(&self, weights: &[i64], shape: &[usize], bias: &[i64]) -> i64 {
        let [lo, hi] = self.input.codes().map(|code| i64::from(code - self.input.zero_point));
        let mut bounds: Vec<[i64; 2]> = bias.iter().map(|&b| [b, b]).collect();
        for (at, &weight) in weights.iter().enumerate() {
            let Some([least, most]) = bounds.get_mut(self.layer.channel(at, shape)) else { continue };
            let (a, b) = (weight * lo, weight * hi);
            *least = least.saturating_add(a.min(b).min(0));
            *most = most.saturating_add(a.max(b).max(0));
        }
        bounds.iter().flatten().map(|bound| bound.saturating_abs()).max().unwrap_or(0)
    }
}

impl Operator for QuantizedLayer {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input, weight, scale, bias] = shape::operands("a quantised layer", operands)?;
        quantization::check("a quantised layer", input, &self.input)?;
        let floats = [input, weight].map(|ty| TensorType::f32(ty.shape.clone()));
        let ty = self.layer.operator().infer(&floats)?;
        let channels = [ty.shape[3]];
        expect::shape("a quantised layer", "the scale", scale, &channels)?;
        expect::shape("a quantised layer", "the bias", bias, &channels)?;
        let types = [(weight.dtype, DType::I8), (scale.dtype, DType::F32), (bias.dtype, DType::I32)];
        if types.iter().any(|(a, b)| a != b) && weight.dtype != DType::I32 {
            return Err(Fault::bug(format!("a quantised layer of {weight}, {scale} and {bias}")));
        }
        Ok(TensorType::new(self.output.to.dtype, ty.shape))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let input = centred(operands[0], self.input.zero_point);
        let weight = centred(operands[1], 0);
        let (scales, bias) = (operands[2].floats(), operands[3].ints());
        let sums = self.layer.operator().eval(&[&input, &weight], &TensorType::f32(ty.shape.clone()));
        let channels = bias.len().max(1);
        let code = |(i, &sum): (usize, &f64)| {
            let channel = i % channels;
            self.output.code(sum as i64 + bias[channel], self.multiplier(scales[channel]))
        };
        let codes = sums.floats().iter().enumerate().map(code).collect();
        Array { ty: ty.clone(), data: Data::Int(codes) }
    }

    fn macs(&self, operands: &[TensorType], ty: &TensorType) -> u64 {
        self.layer.operator().macs(operands, ty)
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("int8 {}{}", self.layer.operator().describe(), self.output.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let constants = Constants::of(self, site)?;
        if let Layer::Conv2d(op) = &self.layer
            && op.window.is_point()
            && op.groups == 1
        {
            let maps = [&site.operands[0], site.output].map(|ty| MapShape::flat(&ty.shape));
            return Ok(vec![self.request(maps, &constants)]);
        }
        let images = 0..site.output.shape[0];
        let maps = |image| [&site.operands[0], site.output].map(|ty| MapShape::nhwc(&ty.shape).image(image));
        Ok(images.map(|image| self.request(maps(image), &constants)).collect())
    }
}

/// What a kernel reads beside the maps.
struct Constants {
    weights: Packed,
    bias: Vec<i32>,
    multipliers: Vec<f64>,
    wide: bool,
}

impl Constants {
    /// The zero point of the input goes into the bias: `Σ (x − z)·w + b = Σ x·w + (b − z·Σ w)`.
    fn of(op: &QuantizedLayer, site: &Site<'_>) -> Result<Self, Fault> {
        let weight = site.constant(1, "the weight of a quantised layer")?;
        let scales = site.constant(2, "the scale of a quantised layer")?.to_f64();
        let bias = site.constant(3, "the bias of a quantised layer")?.to_i64();
        let values = weight.to_i64();
        let mut folded = bias;
        // Kernels see signed codes as unsigned ones, 128 higher.
        let zero_point = i64::from(op.input.zero_point - op.input.codes()[0]);
        for (at, &value) in values.iter().enumerate() {
            if let Some(bias) = folded.get_mut(op.layer.channel(at, &weight.ty.shape)) {
                *bias -= zero_point * value;
            }
        }
        Ok(Self {
            weights: packed(&op.layer, weight, &values),
            // Sums wrap around, and so may this: only the whole must fit.
            bias: folded.iter().map(|&b| b as i32).collect(),
            multipliers: scales.iter().map(|&scale| op.multiplier(scale)).collect(),
            wide: weight.ty.dtype != DType::I8,
        })
    }
}

/// Conv: `[O, kh·kw·c]`; depthwise: `[kh·kw, O]`.
fn packed(layer: &Layer, weight: &Tensor, values: &[i64]) -> Packed {
    let values: Vec<i16> = values.iter().map(|&v| v as i16).collect();
    let wide = weight.ty.dtype != DType::I8;
    match layer {
        Layer::Conv2d(op) => {
            let n = weight.ty.shape[0];
            let k = values.len() / n.max(1);
            let channels = k / op.window.taps().max(1);
            let run = channels * if op.window.dilation[1] == 1 { op.window.kernel[1] } else { 1 };
            Packed::Filters { values, k, run, n, wide }
        }
        Layer::Depthwise(op) => {
            Packed::Taps { values, kernel: op.window.kernel, n: weight.ty.shape[2], wide }
        }
    }
}

impl QuantizedLayer {
    fn request(&self, [input, output]: [MapShape; 2], constants: &Constants) -> Request {
        let (family, groups, k) = match &self.layer {
            Layer::Conv2d(op) => {
                let depth = self.layer.window().taps() * (input.channels / op.groups);
                (Family::QuantizedConv2d, ("groups", op.groups), depth)
            }
            Layer::Depthwise(op) => {
                (Family::QuantizedDepthwise, ("multiplier", op.multiplier), op.window.taps())
            }
        };
        let [multipliers, shifts] = self.output.multipliers(&constants.multipliers);
        Request {
            family,
            dtype: DType::I8,
            shape: self.layer.window().shape(output, groups.1, k),
            fields: [
                ("input", Arg::Map(Operand::Input(0), input)),
                ("output", Arg::Map(Operand::Output, output)),
            ]
            .into_iter()
            .chain(self.layer.window().arguments())
            .chain([
                (groups.0, Arg::Usize(groups.1)),
                ("wide", Arg::Bool(constants.wide)),
                ("weights", Arg::Weights(constants.weights.clone())),
                ("bias", Arg::Weights(Packed::Words(constants.bias.clone()))),
                ("multipliers", multipliers),
                ("shifts", shifts),
                ("codes", self.input.argument()),
                ("requantize", self.output.argument()),
            ])
            .collect(),
            rows: Rows::of(self.layer.window()),
            in_place: false,
        }
    }
}
