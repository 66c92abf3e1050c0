//! Softmax of codes by the rule of TensorFlow Lite: `Q(softmax(DQ(x))) → int8 softmax(x)`, to a scale of 1/256.
//! By the ONNX rule it stays real numbers.

use super::{Codes, Stop};
use crate::graph::NodeId;
use crate::ops::quantization::{Requantize, Rounding};
use crate::ops::quantized_softmax::QuantizedSoftmax;
use crate::ops::softmax::Softmax;

impl Codes<'_> {
    pub(super) fn softmax(&mut self, value: NodeId, op: &Softmax, to: Requantize) -> Result<NodeId, Stop> {
        let last = op.axis + 1 == self.graph.ty(value).rank();
        if self.rounding == Rounding::Onnx || op.log || !last {
            return Err(Stop::NoPattern);
        }
        self.only(value)?;
        let (codes, input) = self.given(self.operand(value, 0)?)?;
        let op = QuantizedSoftmax { input };
        if op.output() != to.to || to.range != to.to.codes() || !op.is_supported() {
            return Err(self.refused(value, format!("it is quantised as {}, not {}", to.to, op.output())));
        }
        Ok(self.graph.add_like(value, op, &[codes])?)
    }
}
