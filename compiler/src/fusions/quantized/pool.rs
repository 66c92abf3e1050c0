//! Pooling of codes: `Q(pool(DQ(x))) → int8 pool(x)`, over windows or the whole map.

use super::{Codes, Stop};
use crate::graph::NodeId;
use crate::ops::Op;
use crate::ops::pool::{Pool2d, Pooling};
use crate::ops::quantization::{Quantization, Requantize};
use crate::ops::quantized_pool::QuantizedPool;
use crate::ops::window::Window;

impl Codes<'_> {
    pub(super) fn pool(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        let input = self.operand(value, 0)?;
        let pool = self.window_of(value).ok_or(Stop::NoPattern)?;
        if pool.pooling == Pooling::Max {
            // The maximum of codes is the code of the maximum.
            let codes = self.of(input, to)?;
            let op = QuantizedPool { pool, input: to.to, output: to };
            return Ok(self.graph.add_like(value, op, &[codes])?);
        }
        self.only(value)?;
        let (codes, quantization) = self.given(input)?;
        let op = QuantizedPool { pool, input: quantization, output: to };
        if !op.is_supported() {
            return Err(self.refused(value, "the rounding takes no mean of other scales"));
        }
        Ok(self.graph.add_like(value, op, &[codes])?)
    }

    /// What the codes stand for that a maximum is taken of.
    pub(super) fn maximum_of(&self, value: NodeId) -> Option<Quantization> {
        let pool = self.window_of(value).filter(|pool| pool.pooling == Pooling::Max);
        pool.and_then(|_| self.quantization(self.graph.operand(value, 0)?))
    }

    fn window_of(&self, value: NodeId) -> Option<Pool2d> {
        let &[_, height, width, _] = &self.graph.ty(self.graph.operand(value, 0)?).shape[..] else {
            return None;
        };
        match self.graph.op(value) {
            Op::Pool2d(op) => Some(op.clone()),
            Op::GlobalPool(op) => Some(Pool2d {
                window: Window { kernel: [height, width], ..Window::POINT },
                pooling: if op.max { Pooling::Max } else { Pooling::Average },
            }),
            _ => None,
        }
    }
}
