//! Layers by themselves.

use super::wiring::Dilate;
use super::{Builder, Refusal};
use crate::dsl::layers::{Conv, Depthwise, Residual, SqueezeExcite};
use crate::dsl::network::Part;
use crate::dsl::scale::Width;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::activation::Activation;
use crate::ops::binary::{Binary, BinaryOp};
use crate::ops::global_pool::GlobalPool;
use crate::ops::reshape::Reshape;
use crate::ops::softmax::Softmax;

impl Builder {
    /// Convolution, then bias or batch-norm, then an activation. Its word is `pointwise` where the kernel
    /// is 1×1.
    pub fn conv(&mut self, conv: Conv) -> &mut Self {
        let word = if conv.kernel == [1, 1] { "pointwise" } else { "conv" };
        self.block(word, |builder, x| {
            let (stride, _) = builder.place(conv.stride, Dilate::Never);
            builder.convolve(Part::Whole, x, &conv, (stride, conv.dilation))
        })
    }

    /// Depthwise convolution, then bias or batch-norm, then an activation.
    pub fn depthwise(&mut self, layer: Depthwise) -> &mut Self {
        self.block("depthwise", |builder, x| {
            let (stride, dilation) = builder.place(layer.stride, Dilate::Bottleneck);
            let dilation = dilation.saturating_mul(layer.dilation);
            builder.depthwise_layer(Part::Whole, x, &layer, (stride, dilation))
        })
    }

    /// Fully connected: [`Width`] outputs of the present vector, or of the present 1×1 map.
    pub fn dense(&mut self, width: Width, bias: bool, activation: Activation) -> &mut Self {
        self.block("dense", |builder, x| {
            let x = builder.flat(x)?;
            let inputs = builder.graph.ty(x).shape.last().copied().unwrap_or(1);
            let channels = builder.settings.scaling.channels(width, inputs);
            let channels = channels.map_err(|fault| ("classes", fault))?;
            builder.connect(x, channels, bias, activation)
        })
    }

    /// `[1,1,1,C]` as `[1,C]`.
    fn flat(&mut self, x: NodeId) -> Result<NodeId, Refusal> {
        let ty = self.graph.ty(x).clone();
        match ty.shape[..] {
            [_, _] => Ok(x),
            [n, 1, 1, channels] => {
                let name = self.layer(Part::Whole) + ".flatten";
                self.op(&name, Reshape { shape: vec![n, channels] }, &[x])
            }
            _ => {
                let fault = Fault::model(format!("it takes one value a channel, not {ty}"));
                Err(("", fault.help("put global_avg_pool before it")))
            }
        }
    }

    /// The mean of each channel over the map.
    pub fn global_avg_pool(&mut self) -> &mut Self {
        self.block("global_avg_pool", |builder, x| {
            builder.depth(x)?;
            builder.op(&builder.layer(Part::Whole), GlobalPool { max: false }, &[x])
        })
    }

    /// An activation by itself.
    pub fn activate(&mut self, activation: Activation) -> &mut Self {
        self.block("activate", |builder, x| builder.activation(Part::Whole, x, activation))
    }

    /// Batch-norm by itself.
    pub fn batch_norm(&mut self) -> &mut Self {
        self.block("batch_norm", |builder, x| builder.normalise(Part::Whole, x, ""))
    }

    /// A trained factor a channel.
    pub fn layer_scale(&mut self) -> &mut Self {
        self.block("layer_scale", Self::scale_layer)
    }

    /// Softmax over the channels.
    pub fn softmax(&mut self) -> &mut Self {
        self.block("softmax", |builder, x| {
            let axis = builder.graph.ty(x).rank().saturating_sub(1);
            builder.op(&builder.layer(Part::Whole), Softmax { axis, log: false }, &[x])
        })
    }

    /// A gate for each channel; see [`SqueezeExcite`].
    pub fn squeeze_excite(&mut self, gate: SqueezeExcite) -> &mut Self {
        self.block("squeeze_excite", |builder, x| builder.gate(x, &gate))
    }

    pub(super) fn gate(&mut self, x: NodeId, gate: &SqueezeExcite) -> Result<NodeId, Refusal> {
        let channels = self.depth(x)?;
        let squeezed = self.settings.scaling.squeezed(channels, gate.ratio).map_err(|fault| ("r", fault))?;
        let layer = |width: usize, activation| Conv {
            norm: false,
            bias: true,
            activation,
            ..Conv::pointwise(Width::Exact(width as f64))
        };
        let pool = format!("{}.se.pool", self.layer(Part::Whole));
        let means = self.op(&pool, GlobalPool { max: false }, &[x])?;
        let small = self.convolve(Part::Reduce, means, &layer(squeezed, gate.activation), (1, 1))?;
        let factors = self.convolve(Part::Excite, small, &layer(channels, gate.gate), (1, 1))?;
        let name = format!("{}.se", self.layer(Part::Whole));
        self.op(&name, Binary::new(BinaryOp::Mul), &[x, factors])
    }

    /// What `body` adds, and the present value added to its result.
    pub fn residual(&mut self, policy: Residual, body: impl FnOnce(&mut Self)) -> &mut Self {
        let before = self.begin_residual();
        body(self);
        self.end_residual(before, policy);
        self
    }

    /// [`Builder::residual`] for callers that cannot hand over a closure: the value to add later.
    pub(in crate::dsl) fn begin_residual(&self) -> Option<NodeId> {
        self.value
    }

    pub(in crate::dsl) fn end_residual(&mut self, before: Option<NodeId>, policy: Residual) {
        if let (Some(before), Some(after)) = (before, self.value) {
            let joined = self.join(before, after, policy);
            self.value = joined.map_err(|refusal| self.refuse_at("residual", refusal)).ok();
        }
    }

    /// `before + after`, where the policy asks for it. Shapes that differ are remembered, and nothing is
    /// added.
    pub(super) fn join(
        &mut self,
        before: NodeId,
        after: NodeId,
        policy: Residual,
    ) -> Result<NodeId, Refusal> {
        let (a, b) = (self.graph.ty(before).clone(), self.graph.ty(after).clone());
        match policy {
            Residual::Never => return Ok(after),
            Residual::IfFits if a != b => return Ok(after),
            Residual::Always if a != b => {
                self.refuse(("residual", Fault::model(format!("{a} cannot be added to {b}"))));
                return Ok(after);
            }
            Residual::IfFits | Residual::Always => {}
        }
        if let Some(closing) = self.parameters.last_mut() {
            closing.spread *= CLOSING;
        }
        let name = format!("{}.add", self.layer(Part::Whole));
        self.op(&name, Binary::new(BinaryOp::Add), &[before, after])
    }
}

/// What random branches are multiplied by before they are added, so that fifteen of them in a row make
/// the variance of their sum (1 + 0.3²)¹⁵ ≈ 3.6 times as large, not 2¹⁵ times.
const CLOSING: f64 = 0.3;
