//! A product of computed matrices of codes: `Q(f(DQ(a) · DQ(b))) → int8 matmul(a, b)`; `f` is a factor, as 1/√d of
//! attention, or nothing.

use super::{Codes, Stop};
use crate::graph::NodeId;
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::binary::{Binary, BinaryOp};
use crate::ops::quantization::Requantize;
use crate::ops::quantized_matmul::QuantizedMatMul;

impl Codes<'_> {
    pub(super) fn matmul(&mut self, value: NodeId, factor: f32, to: Requantize) -> Result<NodeId, Stop> {
        self.only(value)?;
        let (a, b) = (self.operand(value, 0)?, self.operand(value, 1)?);
        let depth = self.graph.ty(a).shape.last().copied().unwrap_or(0);
        let (a, b) = (self.given(a)?, self.given(b)?);
        let op = QuantizedMatMul { inputs: [a.1, b.1], factor, output: to };
        if !op.is_supported(depth) {
            let largest = op.largest_sum(depth);
            return Err(self.refused(value, format!("its sums, up to {largest}, could leave 32 bits")));
        }
        Ok(self.graph.add_like(value, op, &[a.0, b.0])?)
    }

    /// The product of matrices that a value is `factor` times, more than 0.
    pub(super) fn scaled_product(&self, value: NodeId, op: &Binary) -> Option<(NodeId, f32)> {
        let product = |slot: usize| {
            let id = self.graph.operand(value, slot)?;
            matches!(self.graph.op(id), Op::MatMul(_)).then_some(id)
        };
        let scalar = |slot: usize| self.graph.scalar(self.graph.operand(value, slot)?);
        let (product, factor) = match op.op {
            BinaryOp::Mul => match product(0) {
                Some(product) => (product, scalar(1)?),
                None => (product(1)?, scalar(0)?),
            },
            BinaryOp::Div => (product(0)?, 1.0 / scalar(1)?),
            _ => return None,
        };
        let plain = op.activation == Activation::Identity && self.graph.ty(product) == self.graph.ty(value);
        (plain && factor > 0.0 && factor.is_finite()).then_some((product, factor as f32))
    }
}
