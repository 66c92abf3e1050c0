//! A layer of codes.
//!
//! `Q(f(layer(DQ(x), DQ(w), b))) → int8 layer(x, w − z, scales, b)`: `f` is a clamp or nothing, `b` real
//! numbers or a dequantised constant. Dense layers become 1×1 convolutions of one row.

use super::{Codes, Stop};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::conv2d::Conv2d;
use crate::ops::epilogue::Epilogue;
use crate::ops::quantization::{Quantization, Requantize};
use crate::ops::quantized_layer::{Layer, QuantizedLayer};
use crate::ops::reshape::Reshape;
use crate::ops::window::Window;
use crate::reference::Array;
use crate::tensor::{DType, Tensor};

/// A bias counts in units of the scales of input and weight; exporters round their product.
const SAME_SCALE: f64 = 1e-4;

impl Codes<'_> {
    pub(super) fn layer(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        self.only(value)?;
        let operands = self.graph.operands(value);
        let (Some(&input), Some(&weight)) = (operands.first(), operands.get(1)) else {
            return Err(Stop::NoPattern);
        };
        let (layer, is_dense) = match self.graph.op(value) {
            Op::Conv2d(op) if op.epilogue.is_empty() => (Layer::Conv2d(op.clone()), false),
            Op::Depthwise(op) if op.epilogue.is_empty() => (Layer::Depthwise(op.clone()), false),
            Op::Dense(op) if op.epilogue.is_empty() => (point(), true),
            _ => return Err(Stop::NoPattern),
        };
        let (codes, quantization) = self.given(input)?;
        let axis = if is_dense { 1 } else { layer.axis() };
        let Some(weights) = Weights::of(self.graph, weight, axis) else {
            return Err(self.refused(value, "its weights are not quantised along output channels"));
        };
        let weights = if is_dense { weights.transposed() } else { weights };
        let coarse = is_dense || quantization.dtype == DType::U8;
        let op = QuantizedLayer { layer, input: quantization, output: to, coarse };
        let bias = match operands.get(2) {
            None => vec![0; weights.scales.len()],
            Some(&bias) => match biases(self.graph, bias, &weights.scales, &quantization) {
                Some(bias) => bias,
                None => return Err(self.refused(value, "its bias is no constant of 32 bits")),
            },
        };
        let multipliers: Vec<f64> = weights.scales.iter().map(|&scale| op.multiplier(scale)).collect();
        let largest = op.largest_sum(&weights.values, &weights.shape, &bias);
        if !to.takes(&multipliers, largest) {
            return Err(self.refused(value, format!("its sums, up to {largest}, could leave 32 bits")));
        }
        let codes = if is_dense { self.one_row(input, codes)? } else { codes };
        let node = self.emit(value, op, codes, weights, bias)?;
        Ok(if is_dense { self.reshaped(value, node)? } else { node })
    }

    /// `[.., K]` → `[1, 1, rows, K]`
    fn one_row(&mut self, like: NodeId, codes: NodeId) -> Result<NodeId, Fault> {
        let shape = &self.graph.ty(codes).shape;
        let depth = shape.last().copied().unwrap_or(1);
        let rows = self.graph.ty(codes).elements() / depth.max(1);
        self.graph.add_like(like, Reshape { shape: vec![1, 1, rows, depth] }, &[codes])
    }

    fn reshaped(&mut self, value: NodeId, node: NodeId) -> Result<NodeId, Fault> {
        let shape = self.graph.ty(value).shape.clone();
        self.graph.add_like(value, Reshape { shape }, &[node])
    }

    fn emit(
        &mut self,
        value: NodeId,
        op: QuantizedLayer,
        codes: NodeId,
        weights: Weights,
        bias: Vec<i64>,
    ) -> Result<NodeId, Fault> {
        let fits = weights.values.iter().all(|&w| i8::try_from(w).is_ok());
        let dtype = if fits { DType::I8 } else { DType::I32 };
        let channels = [weights.scales.len()];
        let scales: Vec<f32> = weights.scales.iter().map(|&scale| scale as f32).collect();
        let constants = [
            Tensor::from(&Array::int(dtype, weights.shape, weights.values)),
            Tensor::from_f32(channels, &scales),
            Tensor::from(&Array::int(DType::I32, channels, bias)),
        ];
        let constants = constants.map(|tensor| self.graph.add_constant_like(value, tensor));
        let operands = [&[codes], &constants[..]].concat();
        self.graph.add_like(value, op, &operands)
    }
}

/// A 1×1 convolution.
fn point() -> Layer {
    Layer::Conv2d(Conv2d { window: Window::POINT, groups: 1, epilogue: Epilogue::default() })
}

/// Constant weights less their zero points.
struct Weights {
    values: Vec<i64>,
    shape: Vec<usize>,
    /// One a channel.
    scales: Vec<f64>,
}

impl Weights {
    /// Dequantised constants with one scale, or one a position of `axis`.
    fn of(graph: &Graph, id: NodeId, axis: usize) -> Option<Self> {
        let Op::Dequantize(op) = graph.op(id) else { return None };
        let [codes, scale, zero_point] = graph.operands(id)[..] else { return None };
        let tensor = graph.tensor(codes).filter(|tensor| tensor.ty.dtype.bytes() == 1)?;
        let (scales, zeros) = (graph.floats(scale)?, graph.tensor(zero_point)?.to_i64());
        let shape = tensor.ty.shape.clone();
        let channels = *shape.get(axis)?;
        let spread = scales.len() == 1;
        if !spread && op.axis != axis {
            return None;
        }
        let inner: usize = shape[axis + 1..].iter().product();
        let zero = |at: usize| zeros[if spread { 0 } else { at / inner % channels }];
        let values = tensor.to_i64().iter().enumerate().map(|(at, code)| code - zero(at)).collect();
        let scales = if spread { vec![scales[0]; channels] } else { scales };
        let positive = scales.iter().all(|&scale| scale.is_finite() && scale > 0.0);
        positive.then_some(Self { values, shape, scales })
    }

    /// `[K, N]` → `[N, 1, 1, K]`
    fn transposed(self) -> Self {
        let (k, n) = (self.shape[0], self.shape[1]);
        let values = (0..k * n).map(|at| self.values[at % k * n + at / k]).collect();
        Self { values, shape: vec![n, 1, 1, k], scales: self.scales }
    }
}

/// A bias in units of the sum: a dequantised constant of those units as it is, anything else rounded.
fn biases(graph: &Graph, id: NodeId, scales: &[f64], input: &Quantization) -> Option<Vec<i64>> {
    let units: Vec<f64> = scales.iter().map(|scale| scale * f64::from(input.scale)).collect();
    let counted = counted(graph, id, &units).or_else(|| {
        let reals = reals(graph, id)?;
        (reals.len() == units.len())
            .then(|| reals.iter().zip(&units).map(|(real, unit)| (real / unit).round() as i64).collect())
    })?;
    counted.iter().all(|&b| i32::try_from(b).is_ok()).then_some(counted)
}

fn counted(graph: &Graph, id: NodeId, units: &[f64]) -> Option<Vec<i64>> {
    let Op::Dequantize(_) = graph.op(id) else { return None };
    let [codes, scale, zero_point] = graph.operands(id)[..] else { return None };
    let (codes, scales) = (graph.tensor(codes)?.to_i64(), graph.floats(scale)?);
    let zeros = graph.tensor(zero_point)?.to_i64();
    let at = |i: usize| if scales.len() == 1 { 0 } else { i };
    let same = |(i, unit): (usize, &f64)| {
        scales.get(at(i)).is_some_and(|scale| (scale / unit - 1.0).abs() < SAME_SCALE)
    };
    let fits = codes.len() == units.len() && units.iter().enumerate().all(same);
    fits.then(|| codes.iter().enumerate().map(|(i, code)| code - zeros[at(i)]).collect())
}

fn reals(graph: &Graph, id: NodeId) -> Option<Vec<f64>> {
    if let Some(reals) = graph.floats(id) {
        return Some(reals);
    }
    let Op::Dequantize(op) = graph.op(id) else { return None };
    let operands = graph.operands(id);
    let tensors = operands.iter().map(|&n| graph.tensor(n).map(Array::from));
    let tensors: Vec<Array> = tensors.collect::<Option<_>>()?;
    let op: &dyn crate::ops::Operator = op;
    Some(op.eval(&tensors.iter().collect::<Vec<_>>(), graph.ty(id)).floats().to_vec())
}
