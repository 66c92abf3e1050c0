//! Single layers inside blocks: the operators, their constants, and the parameters that are remembered.

use super::{Builder, Refusal};
use crate::dsl::layers::{Conv, Depthwise, Padding};
use crate::dsl::network::{Kind, Parameter, Part};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::activation::{Activate, Activation};
use crate::ops::affine::Affine;
use crate::ops::conv2d::Conv2d;
use crate::ops::dense::Dense;
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::ops::{self, Op};
use crate::tensor::{DType, Tensor, TensorType};

/// Weights of the largest network, in elements: 2 GiB. A text of one line may ask for any number.
const MAX_WEIGHTS: usize = 1 << 29;

/// Which blocks dilate where output stride takes strides away.
///
/// The three rules are those of TensorFlow's networks: see [`Builder::place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dilate {
    /// Plain and fused convolutions.
    Never,
    /// V1's blocks: the dilation from before.
    Separable,
    /// Bottlenecks and depthwise convolutions: where the stride was taken away, the dilation from before
    /// unless it is 1, otherwise the new one.
    Bottleneck,
}

impl Builder {
    /// Stride and dilation of a layer that asks for a stride.
    pub(super) fn place(&mut self, stride: usize, dilate: Dilate) -> (usize, usize) {
        let before = self.rate;
        let removed = stride > 1 && self.settings.output_stride == Some(self.stride);
        if removed {
            self.rate = self.rate.saturating_mul(stride);
        } else {
            self.stride = self.stride.saturating_mul(stride);
        }
        let dilation = match dilate {
            Dilate::Never => 1,
            Dilate::Separable => before,
            Dilate::Bottleneck if removed && before > 1 => before,
            Dilate::Bottleneck => self.rate,
        };
        (if removed { 1 } else { stride }, dilation)
    }

    /// Adds an operator.
    pub(super) fn op(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        operands: &[NodeId],
    ) -> Result<NodeId, Refusal> {
        self.graph.add(name, op, operands).map_err(|fault| ("", fault))
    }

    /// Adds a constant of zeros, for weights to come.
    fn zeros(&mut self, name: String, shape: &[usize]) -> Result<NodeId, Refusal> {
        let ty = TensorType::checked(DType::F32, shape).map_err(|fault| ("", fault))?;
        self.weights = self.weights.saturating_add(ty.elements());
        if self.weights > MAX_WEIGHTS {
            return Err((
                "",
                Fault::unsupported(format!("more than {MAX_WEIGHTS} weights, with {ty} of this layer")),
            ));
        }
        let tensor = Tensor::new(ty.clone(), vec![0; ty.bytes()].into());
        let tensor = tensor.ok_or_else(|| ("", Fault::bug(format!("zeros of {ty}"))))?;
        Ok(self.graph.add_constant(name, tensor))
    }

    pub(super) fn remember(&mut self, part: Part, kind: Kind, spread: f64) {
        let block = self.blocks.len().saturating_sub(1);
        self.parameters.push(Parameter { block, part, kind, spread });
    }

    /// Convolution, bias, batch-norm, activation. `stride` and `dilation` are those that
    /// [`Builder::place`] gave.
    pub(super) fn convolve(
        &mut self,
        part: Part,
        x: NodeId,
        conv: &Conv,
        (stride, dilation): (usize, usize),
    ) -> Result<NodeId, Refusal> {
        let inputs = self.depth(x)?;
        let outputs = self.settings.scaling.channels(conv.width, inputs).map_err(|fault| ("c", fault))?;
        let groups = self.groups(conv.groups, inputs, outputs);
        let window = self.window(x, conv.kernel, stride, dilation, conv.padding)?;
        let name = self.layer(part);
        let depth = inputs / groups;
        let weight =
            self.zeros(format!("{name}.weight"), &[outputs, conv.kernel[0], conv.kernel[1], depth])?;
        let spread = self.spread(x, depth * window.taps());
        self.remember(part, Kind::Conv(weight), spread);
        let mut operands = vec![x, weight];
        if conv.bias {
            operands.push(self.bias(part, outputs)?);
        }
        let y = self.op(&name, Conv2d { window, groups, epilogue: Epilogue::default() }, &operands)?;
        self.finish_layer(part, y, conv.norm, conv.activation)
    }

    /// Depthwise convolution, bias, batch-norm, activation.
    pub(super) fn depthwise_layer(
        &mut self,
        part: Part,
        x: NodeId,
        layer: &Depthwise,
        (stride, dilation): (usize, usize),
    ) -> Result<NodeId, Refusal> {
        let outputs = self.depth(x)?.saturating_mul(layer.multiplier);
        let window = self.window(x, layer.kernel, stride, dilation, layer.padding)?;
        let name = self.layer(part);
        let weight = self.zeros(format!("{name}.weight"), &[layer.kernel[0], layer.kernel[1], outputs])?;
        let spread = self.spread(x, window.taps());
        self.remember(part, Kind::Depthwise(weight), spread);
        let mut operands = vec![x, weight];
        if layer.bias {
            operands.push(self.bias(part, outputs)?);
        }
        let (multiplier, epilogue) = (layer.multiplier, Epilogue::default());
        let y = self.op(&name, ops::depthwise::Depthwise { window, multiplier, epilogue }, &operands)?;
        self.finish_layer(part, y, layer.norm, layer.activation)
    }

    /// Fully connected, with an activation.
    pub(super) fn connect(
        &mut self,
        x: NodeId,
        outputs: usize,
        bias: bool,
        activation: Activation,
    ) -> Result<NodeId, Refusal> {
        let (part, name) = (Part::Whole, self.layer(Part::Whole));
        let inputs = self.graph.ty(x).shape.last().copied().unwrap_or(1);
        let weight = self.zeros(format!("{name}.weight"), &[inputs, outputs])?;
        let spread = self.spread(x, inputs);
        self.remember(part, Kind::Dense(weight), spread);
        let mut operands = vec![x, weight];
        if bias {
            operands.push(self.bias(part, outputs)?);
        }
        let y = self.op(&name, Dense { epilogue: Epilogue::default() }, &operands)?;
        self.finish_layer(part, y, false, activation)
    }

    fn bias(&mut self, part: Part, channels: usize) -> Result<NodeId, Refusal> {
        let bias = self.zeros(format!("{}.bias", self.layer(part)), &[channels])?;
        self.remember(part, Kind::Bias(bias), 1.0);
        Ok(bias)
    }

    fn finish_layer(
        &mut self,
        part: Part,
        y: NodeId,
        norm: bool,
        activation: Activation,
    ) -> Result<NodeId, Refusal> {
        let y = if norm { self.normalise(part, y, ".bn")? } else { y };
        self.activation(part, y, activation)
    }

    /// Batch-norm; its name is the part's and `suffix`.
    pub(super) fn normalise(&mut self, part: Part, x: NodeId, suffix: &str) -> Result<NodeId, Refusal> {
        let name = self.layer(part) + suffix;
        let channels = self.depth(x)?;
        let scale = self.zeros(format!("{name}.scale"), &[channels])?;
        let shift = self.zeros(format!("{name}.shift"), &[channels])?;
        let node = self.op(&name, Affine { activation: Activation::Identity }, &[x, scale, shift])?;
        self.remember(part, Kind::Norm { node, scale, shift }, 1.0);
        Ok(node)
    }

    pub(super) fn activation(
        &mut self,
        part: Part,
        x: NodeId,
        activation: Activation,
    ) -> Result<NodeId, Refusal> {
        if activation == Activation::Identity {
            return Ok(x);
        }
        self.op(&format!("{}.act", self.layer(part)), Activate { activation }, &[x])
    }

    /// Adds a trained factor a channel.
    pub(super) fn scale_layer(&mut self, x: NodeId) -> Result<NodeId, Refusal> {
        let name = match self.blocks.last() {
            Some(block) if block.word == "layer_scale" => block.path.clone(),
            _ => self.layer(Part::Whole) + ".layer_scale",
        };
        let channels = self.depth(x)?;
        let factors = self.zeros(format!("{name}.weight"), &[channels])?;
        self.remember(Part::Whole, Kind::LayerScale(factors), 1.0);
        self.op(&name, ops::binary::Binary::new(ops::binary::BinaryOp::Mul), &[x, factors])
    }

    /// Channels of a map.
    pub(super) fn depth(&self, x: NodeId) -> Result<usize, Refusal> {
        let ty = self.graph.ty(x);
        match ty.shape[..] {
            [_, _, _, channels] => Ok(channels),
            _ => Err(("", Fault::model(format!("it takes a map [N,H,W,C], not {ty}")))),
        }
    }

    fn groups(&mut self, groups: usize, inputs: usize, outputs: usize) -> usize {
        if groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups) {
            return groups;
        }
        let fault =
            format!("{inputs} input and {outputs} output channels cannot be divided into {groups} groups");
        self.refuse(("g", Fault::model(fault)));
        1
    }

    /// The window of a kernel over a map, padded as the network or the layer says.
    pub(super) fn window(
        &self,
        x: NodeId,
        kernel: [usize; 2],
        stride: usize,
        dilation: usize,
        padding: Option<Padding>,
    ) -> Result<Window, Refusal> {
        let [_, height, width, _] = self.graph.ty(x).shape[..] else {
            return Err(("", Fault::model(format!("it takes a map [N,H,W,C], not {}", self.graph.ty(x)))));
        };
        let mut window = Window { kernel, stride: [stride; 2], dilation: [dilation; 2], pad: [0; 4] };
        window.check().map_err(|fault| ("kernel", fault))?;
        for (axis, input) in [height, width].into_iter().enumerate() {
            let (before, after) = match padding.unwrap_or(self.settings.padding) {
                Padding::Same => same(input, window.extent(axis), stride),
                Padding::Symmetric => ((window.extent(axis) - 1) / 2, (window.extent(axis) - 1) / 2),
                Padding::Valid => (0, 0),
            };
            window.pad[axis] = before;
            window.pad[axis + 2] = after;
        }
        window.output([height, width]).map_err(|fault| ("kernel", fault))?;
        Ok(window)
    }

    /// The standard deviation of weights that keeps the variance: of a value whose variance was 1 before
    /// its activation, summed `terms` times.
    fn spread(&self, x: NodeId, terms: usize) -> f64 {
        let moment = match self.graph.op(x) {
            Op::Activate(op) => second_moment(op.activation),
            Op::GlobalPool(_) | Op::Reshape(_) => 0.25,
            _ => 1.0,
        };
        1.0 / (terms.max(1) as f64 * moment).sqrt()
    }
}

/// Rows of zeros before and behind, so that there are `⌈input / stride⌉` outputs.
fn same(input: usize, extent: usize, stride: usize) -> (usize, usize) {
    let covered = (input.div_ceil(stride) - 1) * stride + extent;
    let total = covered.saturating_sub(input);
    (total / 2, total - total / 2)
}

/// The mean of `activation(x)²` over normally distributed x of variance 1.
fn second_moment(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::LeakyRelu { .. } | Activation::Elu { .. } => 1.0,
        Activation::Clamp { .. } => 0.5,
        Activation::HardSwish | Activation::Silu => 0.36,
        Activation::Gelu | Activation::GeluTanh => 0.43,
        Activation::HardSigmoid { .. } | Activation::Sigmoid => 0.3,
        Activation::Tanh => 0.39,
        Activation::Softplus => 0.92,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_row_at_the_end() {
        assert_eq!(same(224, 3, 2), (0, 1));
        assert_eq!(same(225, 3, 2), (1, 1));
        assert_eq!(same(224, 5, 2), (1, 2));
        assert_eq!(same(7, 3, 1), (1, 1));
        assert_eq!(same(4, 1, 2), (0, 0));
    }
}
