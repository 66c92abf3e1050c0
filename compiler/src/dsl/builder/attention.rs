//! Mobile multi-query attention.
//!
//! Positions and heads together are the rows of one matrix, `[H·W·heads, key]`, which is how an NHWC map
//! of `heads · key` channels lies already; all heads share the key and the value, so that one product
//! serves all of them and the result lies as a map again. Only the key is transposed.

use super::{Builder, Refusal};
use crate::dsl::layers::{Conv, Depthwise, Mqa, Padding};
use crate::dsl::network::Part;
use crate::dsl::scale::Width;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::binary::{Binary, BinaryOp};
use crate::ops::interpolate::Interpolate;
use crate::ops::matmul::MatMul;
use crate::ops::pool::{Pool2d, Pooling};
use crate::ops::reshape::Reshape;
use crate::ops::softmax::Softmax;
use crate::ops::transpose::Transpose;
use crate::tensor::Tensor;

impl Builder {
    /// V4's attention; see [`Mqa`].
    pub fn mqa(&mut self, block: Mqa) -> &mut Self {
        self.block("mqa", |builder, x| {
            let channels = builder.depth(x)?;
            let normed = builder.normalise(Part::Norm, x, "")?;
            let query = builder.query(normed, &block)?;
            let key = builder.shared([Part::KeyDown, Part::Key], normed, block.key, block.kv_stride)?;
            let key = builder.half_scaled(Part::Key, key, block.key)?;
            let value =
                builder.shared([Part::ValueDown, Part::Value], normed, block.value, block.kv_stride)?;
            let mixed = builder.attend(query, key, value, &block)?;
            let mixed = builder.interpolated(mixed, block.query_stride)?;
            let mut y = builder.linear(Part::Output, mixed, channels)?;
            if block.layer_scale {
                y = builder.scale_layer(y)?;
            }
            builder.join(x, y, block.residual)
        })
    }

    /// 1×1 convolution without anything behind it.
    fn linear(&mut self, part: Part, x: NodeId, channels: usize) -> Result<NodeId, Refusal> {
        let conv = Conv { norm: false, ..Conv::pointwise(Width::Exact(channels as f64)) };
        self.convolve(part, x, &conv, (1, 1))
    }

    fn query(&mut self, x: NodeId, block: &Mqa) -> Result<NodeId, Refusal> {
        let Some(channels) = block.heads.checked_mul(block.key).filter(|&channels| channels > 0) else {
            return Err(("h", Fault::model(format!("{} heads of {} channels", block.heads, block.key))));
        };
        let mut x = x;
        let stride = block.query_stride;
        if stride != 1 {
            let window = self.window(x, [stride; 2], stride, 1, Some(Padding::Valid));
            let window = window.map_err(|(_, fault)| ("q", fault))?;
            let name = self.layer(Part::QueryDown);
            x = self.op(&name, Pool2d { window, pooling: Pooling::Average }, &[x])?;
            x = self.normalise(Part::QueryDown, x, ".bn")?;
        }
        let query = self.linear(Part::Query, x, channels)?;
        self.half_scaled(Part::Query, query, block.key)
    }

    /// Query or key over `⁴√key`: together that is the `√key` that their product is divided by. Split like
    /// this, as PyTorch has it, neither leaves the range in which the other lies.
    fn half_scaled(&mut self, part: Part, x: NodeId, key: usize) -> Result<NodeId, Refusal> {
        let name = self.layer(part) + ".scale";
        let factor = Tensor::from_f32([], &[(1.0 / (key as f64).sqrt()).sqrt() as f32]);
        let factor = self.graph.add_constant(name.clone(), factor);
        self.op(&name, Binary::new(BinaryOp::Mul), &[x, factor])
    }

    /// Key or value `[1, H, W, channels]`, from fewer positions where there is a stride.
    fn shared(
        &mut self,
        [down, part]: [Part; 2],
        x: NodeId,
        channels: usize,
        stride: usize,
    ) -> Result<NodeId, Refusal> {
        let x = match stride {
            1 => x,
            _ => self.depthwise_layer(down, x, &Depthwise::default(), (stride, 1))?,
        };
        self.linear(part, x, channels)
    }

    /// `softmax(q · kᵀ) · v` for every head.
    fn attend(&mut self, query: NodeId, key: NodeId, value: NodeId, block: &Mqa) -> Result<NodeId, Refusal> {
        let name = |builder: &Self, what: &str| format!("{}.{what}", builder.layer(Part::Whole));
        let [n, height, width, _] = self.graph.ty(query).shape[..] else {
            return Err(("", Fault::bug("a query is a map")));
        };
        let rows = height * width * block.heads;
        let query =
            self.op(&name(self, "query.rows"), Reshape { shape: vec![n, 1, rows, block.key] }, &[query])?;
        let key = self.positions(&name(self, "key.rows"), key)?;
        let value = self.positions(&name(self, "value.rows"), value)?;
        let columns = Transpose { permutation: vec![0, 1, 3, 2] };
        let key = self.op(&name(self, "key.columns"), columns, &[key])?;
        let scores = self.op(&name(self, "scores"), MatMul {}, &[query, key])?;
        let shares = self.op(&name(self, "softmax"), Softmax { axis: 3, log: false }, &[scores])?;
        let mixed = self.op(&name(self, "mixed"), MatMul {}, &[shares, value])?;
        let shape = vec![n, height, width, block.heads.saturating_mul(block.value)];
        self.op(&name(self, "map"), Reshape { shape }, &[mixed])
    }

    /// `[1, H, W, C]` as `[1, 1, H·W, C]`.
    fn positions(&mut self, name: &str, map: NodeId) -> Result<NodeId, Refusal> {
        let [n, height, width, channels] = self.graph.ty(map).shape[..] else {
            return Err(("", Fault::bug("key and value are maps")));
        };
        self.op(name, Reshape { shape: vec![n, 1, height * width, channels] }, &[map])
    }

    /// A map that is `factor` times as high and wide, linearly, pixels taken as squares.
    fn interpolated(&mut self, map: NodeId, factor: usize) -> Result<NodeId, Refusal> {
        let mut map = map;
        for axis in if factor == 1 { 0..0 } else { 1..3 } {
            let length = self.graph.ty(map).shape.get(axis).copied().unwrap_or(1);
            let taps = (0..length.saturating_mul(factor)).map(|at| tap(at, length, factor)).collect();
            let name = format!("{}.interpolate", self.layer(Part::Whole));
            map = self.op(&name, Interpolate { axis, taps }, &[map]).map_err(|(_, fault)| ("q", fault))?;
        }
        Ok(map)
    }
}

/// The two positions that an interpolated one lies between, and the weight of the second.
fn tap(at: usize, length: usize, factor: usize) -> (usize, usize, f32) {
    let position = ((at as f64 + 0.5) / factor as f64 - 0.5).max(0.0);
    let low = (position as usize).min(length.saturating_sub(1));
    let high = (low + 1).min(length.saturating_sub(1));
    (low, high, (position - low as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolation_takes_pixels_as_squares() {
        let taps: Vec<_> = (0..4).map(|at| tap(at, 2, 2)).collect();
        assert_eq!(taps, [(0, 1, 0.0), (0, 1, 0.25), (0, 1, 0.75), (1, 1, 0.25)]);
    }
}
