//! Functions of one value between `DQ` and `Q` are tables of their 256 values: `Q(f(DQ(x))) → table(x)`, where
//! `f` is made of operators that go element by element, with scalars; and so is the change of a
//! quantisation.

use super::{Codes, Stop, dequantized};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::Op;
use crate::ops::Operator;
use crate::ops::lookup::Lookup;
use crate::ops::quantization::{FixedPoint, Quantization, Requantize, Rounding};
use crate::ops::quantized_binary::QuantizedBinary;
use crate::reference::{Array, Data};
use crate::tensor::{DType, Tensor, TensorType};

impl Codes<'_> {
    /// The table of a value that is a function of one dequantised value.
    pub(super) fn island(&mut self, value: NodeId, to: Requantize) -> Result<Option<NodeId>, Fault> {
        if matches!(self.graph.op(value), Op::Dequantize(_)) {
            return Ok(None);
        }
        let Some(source) =
            self.source(value).filter(|&n| self.graph.ty(n).shape == self.graph.ty(value).shape)
        else {
            return Ok(None);
        };
        let Some((codes, from)) = dequantized(self.graph, source) else { return Ok(None) };
        let reals = Array::float([256], reals(&from).collect());
        let Some(values) = self.evaluated(value, source, &reals) else { return Ok(None) };
        let [lo, hi] = to.range;
        let table = values.to_floats().iter().map(|&y| i64::from(to.to.code(y).clamp(lo, hi))).collect();
        let function = self.graph.op(value).describe();
        self.lookup(value, codes, table, to, function).map(Some)
    }

    /// The codes of a dequantised value under another quantisation.
    pub(super) fn requantized(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        let (codes, from) = dequantized(self.graph, value).ok_or(Stop::NoPattern)?;
        if from == to.to && to.range == from.codes() {
            return Ok(codes);
        }
        let [lo, hi] = to.range;
        let ratio = f64::from(from.scale) / f64::from(to.to.scale);
        let [least, most] = from.codes();
        let table = (least..=most).zip(reals(&from)).map(|(code, real)| {
            let code = match to.rounding {
                Rounding::Tflite if from != to.to => {
                    FixedPoint::new(ratio).times(code - from.zero_point).saturating_add(to.to.zero_point)
                }
                Rounding::Onnx | Rounding::Tflite => to.to.code(real),
            };
            i64::from(code.clamp(lo, hi))
        });
        let table = table.collect();
        Ok(self.lookup(value, codes, table, to, "requantize".into())?)
    }

    /// The table of a sum or product of two functions of the same codes; a function is a table or nothing.
    pub(super) fn of_one(
        &mut self,
        value: NodeId,
        op: &QuantizedBinary,
        operands: [NodeId; 2],
    ) -> Result<Option<NodeId>, Fault> {
        let [(codes, a), (other, b)] = operands.map(|operand| self.function(operand));
        if codes != other {
            return Ok(None);
        }
        let [(a, of_a), (b, of_b)] = [a, b];
        let ty = TensorType::new(op.output.to.dtype, [256]);
        let table = op.eval(&[&a, &b], &ty).ints().to_vec();
        let name = if op.product { "mul" } else { "add" };
        self.lookup(value, codes, table, op.output, format!("{name}({of_a}, {of_b})")).map(Some)
    }

    /// Codes that others are a function of, its values for all of them, and its name.
    fn function(&self, codes: NodeId) -> (NodeId, (Array, String)) {
        if let Op::Lookup(op) = self.graph.op(codes)
            && let [codes, table] = self.graph.operands(codes)[..]
            && let Some(table) = self.graph.tensor(table)
        {
            return (codes, (Array::from(table), op.function.clone()));
        }
        let dtype = self.graph.ty(codes).dtype;
        let least = if dtype == DType::I8 { -128 } else { 0 };
        (codes, (Array::int(dtype, [256], (least..least + 256).collect()), "x".into()))
    }

    fn lookup(
        &mut self,
        value: NodeId,
        codes: NodeId,
        table: Vec<i64>,
        to: Requantize,
        function: String,
    ) -> Result<NodeId, Fault> {
        let table = Tensor::from(&Array::int(to.to.dtype, [256], table));
        let table = self.graph.add_constant_like(value, table);
        self.graph.add_like(value, Lookup { function: function + &to.describe() }, &[codes, table])
    }

    /// The one dequantised value that an expression of functions and scalars depends on.
    fn source(&self, value: NodeId) -> Option<NodeId> {
        let varying = |&n: &NodeId| self.graph.scalar(n).is_none();
        match self.graph.op(value) {
            Op::Dequantize(_) => Some(value),
            Op::Activate(_) | Op::Unary(_) | Op::Binary(_) => {
                let operands = self.graph.operands(value);
                let mut sources = operands.iter().filter(|n| varying(n)).map(|&n| self.source(n));
                let first = sources.next()??;
                sources.all(|source| source == Some(first)).then_some(first)
            }
            _ => None,
        }
    }

    /// An expression's value, with `reals` for its source.
    fn evaluated(&self, value: NodeId, source: NodeId, reals: &Array) -> Option<Array> {
        if value == source {
            return Some(reals.clone());
        }
        if let Some(scalar) = self.graph.scalar(value) {
            return Some(Array { ty: reals.ty.clone(), data: Data::Float(vec![scalar; 256]) });
        }
        let operands = self.graph.operands(value);
        let values: Option<Vec<Array>> =
            operands.into_iter().map(|n| self.evaluated(n, source, reals)).collect();
        let values = values?;
        Some(self.graph.op(value).eval(&values.iter().collect::<Vec<_>>(), &reals.ty))
    }
}

/// What the codes stand for, in order, in single precision as `DequantizeLinear` has it.
fn reals(from: &Quantization) -> impl Iterator<Item = f64> + use<> {
    let [least, most] = from.codes();
    let Quantization { scale, zero_point, .. } = *from;
    (least..=most).map(move |code| f64::from((code - zero_point) as f32 * scale))
}
