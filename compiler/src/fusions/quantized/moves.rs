//! What only moves elements moves their codes: `Q(move(x)) → move(Q(x))`. A padding with 0 pads with the zero
//! point.

use super::{Codes, Stop};
use crate::graph::NodeId;
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::concat::Concat;
use crate::ops::pad::Pad;
use crate::ops::quantization::{Quantization, Requantize};

impl Codes<'_> {
    pub(super) fn moved(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        let operands = self.graph.operands(value);
        let codes = operands.into_iter().map(|n| self.of(n, to)).collect::<Result<Vec<_>, _>>()?;
        let op = self.graph.op(value).clone();
        Ok(self.graph.add_like(value, op, &codes)?)
    }

    pub(super) fn padded(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        let Op::Pad(pad) = self.graph.op(value).clone() else { return Err(Stop::NoPattern) };
        let [lo, hi] = to.range;
        let code = f64::from(to.to.code(pad.value).clamp(lo, hi));
        let codes = self.of(self.operand(value, 0)?, to)?;
        Ok(self.graph.add_like(value, Pad { value: code, ..pad }, &[codes])?)
    }

    /// What the codes stand for of which a value is made by moving them.
    pub(super) fn moved_quantization(&self, value: NodeId) -> Option<Quantization> {
        let first = self.graph.operand(value, 0)?;
        match self.graph.op(value) {
            Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Gather(_) | Op::Expand(_) => {
                self.quantization(first)
            }
            Op::Pad(Pad { value: 0.0, .. }) => self.quantization(first),
            Op::Activate(op) if op.activation == Activation::RELU => self.quantization(first),
            Op::Pool2d(_) | Op::GlobalPool(_) => self.maximum_of(value),
            Op::Concat(Concat { .. }) => {
                let quantization = self.quantization(first)?;
                let same = |&n: &NodeId| self.quantization(n) == Some(quantization);
                self.graph.operands(value).iter().all(same).then_some(quantization)
            }
            _ => None,
        }
    }
}
