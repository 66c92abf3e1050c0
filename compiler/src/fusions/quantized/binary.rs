//! A sum or a product of codes: `Q(f(DQ(a) + DQ(b))) → int8 add(a, b)`, the same for a product; `f` is a clamp
//! or nothing. What depends on one value alone is a table: `int8 mul(a, table(a)) → table'(a)`, as hard-swish is
//! where it is spelled with its hard-sigmoid quantised in between.

use super::{Codes, Stop};
use crate::graph::NodeId;
use crate::ops::activation::Activation;
use crate::ops::binary::{Binary, BinaryOp};
use crate::ops::quantization::Requantize;
use crate::ops::quantized_binary::QuantizedBinary;

impl Codes<'_> {
    pub(super) fn binary(&mut self, value: NodeId, op: &Binary, to: Requantize) -> Result<NodeId, Stop> {
        let product = match (op.op, op.activation) {
            (BinaryOp::Add, Activation::Identity) => false,
            (BinaryOp::Mul, Activation::Identity) => true,
            _ => return Err(Stop::NoPattern),
        };
        self.only(value)?;
        let (mut a, mut b) = (self.operand(value, 0)?, self.operand(value, 1)?);
        if self.graph.ty(a).elements() < self.graph.ty(b).elements() {
            (a, b) = (b, a);
        }
        let (first, second) = (self.given(a)?, self.given(b)?);
        let op = QuantizedBinary { product, inputs: [first.1, second.1], output: to };
        if !op.is_supported() {
            return Err(self.refused(value, "its scales are too far apart"));
        }
        let shapes = [a, b, value].map(|n| self.graph.ty(n).shape.clone());
        let fits = match (&shapes[0][..], &shapes[1][..]) {
            (a, b) if a == b => true,
            (&[n, _, _, c], &[m, 1, 1, d]) => (n, c) == (m, d),
            _ => false,
        };
        if !fits || shapes[0] != shapes[2] {
            return Err(self.refused(value, "its operands are broadcast"));
        }
        match self.of_one(value, &op, [first.0, second.0])? {
            Some(table) => Ok(table),
            None => Ok(self.graph.add_like(value, op, &[first.0, second.0])?),
        }
    }
}
