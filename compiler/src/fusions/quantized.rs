//! From quantised models to integer operators: `Q(f(DQ(x), ..)) → f'(x, ..)`.
//!
//! A model says with pairs of `QuantizeLinear` and `DequantizeLinear` where its values are 8-bit codes. For
//! every value that is quantised, [`Codes`] asks what computes its codes from the codes of what it depends
//! on: a layer, a sum, a pool and so on, with the quantisation as the end of the operator
//! ([`Requantize`]); what only moves elements moves codes; a function of one value is a table. Where
//! something stands in between that is none of these, it stays real numbers between `DQ` and `Q`.
//!
//! A fusion here is a file with a `NAME`, a `PATTERN` and a method of [`Codes`].

mod binary;
mod island;
mod layer;
mod moves;
mod pool;
mod softmax;

use super::Note;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::quantization::{Quantization, Requantize, Rounding};
use crate::reference::Array;
use crate::tensor::Tensor;

/// Fuses a canonical graph; weights of layers that stay real numbers are dequantised. Says whether the graph
/// was changed.
///
/// # Errors
///
/// Only bugs: a fusion that breaks an invariant.
pub fn fuse(graph: &mut Graph, rounding: Rounding) -> Result<(bool, Vec<Note>), Fault> {
    let mut notes = Vec::new();
    for id in graph.order() {
        let Some(to) = graph.contains(id).then(|| quantized(graph, id)).flatten() else { continue };
        let Some(value) = graph.operand(id, 0) else { continue };
        let end = Requantize { rounding, to, range: to.codes() };
        match (Codes { graph, rounding }).of(value, end) {
            Ok(codes) => {
                notes.push(Note::fired("int8", graph, &[value, id]));
                graph.substitute(id, codes);
            }
            Err(Stop::NoPattern) => {}
            Err(Stop::Refused(note)) => notes.push(note),
            Err(Stop::Fault(fault)) => return Err(fault),
        }
        // What an attempt built in vain.
        graph.sweep();
    }
    let released = release(graph);
    Ok((released || !notes.is_empty(), notes))
}

/// Why there are no codes.
enum Stop {
    /// Nothing here looks like a quantised operator.
    NoPattern,
    /// Something does, but it cannot be one.
    Refused(Note),
    /// A bug.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The search for codes of a value.
struct Codes<'g> {
    graph: &'g mut Graph,
    rounding: Rounding,
}

impl Codes<'_> {
    /// The codes of a value of real numbers, quantised by `to`.
    fn of(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        if let Some(table) = self.island(value, to)? {
            return Ok(table);
        }
        match self.graph.op(value).clone() {
            Op::Dequantize(_) => self.requantized(value, to),
            Op::Constant(_) => self.constant(value, to),
            Op::Activate(op) => match op.activation {
                Activation::Clamp { lo, hi } => {
                    let [least, most] = to.range;
                    let bound = |real: f32| to.to.code(real.into()).clamp(least, most);
                    self.only(value)?;
                    self.of(self.operand(value, 0)?, Requantize { range: [bound(lo), bound(hi)], ..to })
                }
                _ => Err(Stop::NoPattern),
            },
            Op::Conv2d(_) | Op::Depthwise(_) | Op::Dense(_) => self.layer(value, to),
            Op::Binary(op) => self.binary(value, &op, to),
            Op::Pool2d(_) | Op::GlobalPool(_) => self.pool(value, to),
            Op::Softmax(op) => self.softmax(value, &op, to),
            Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Gather(_) | Op::Expand(_) => {
                self.moved(value, to)
            }
            Op::Concat(_) => self.moved(value, to),
            Op::Pad(_) => self.padded(value, to),
            _ => Err(Stop::NoPattern),
        }
    }

    /// An operand of an operator: its codes, and what they stand for.
    fn given(&mut self, value: NodeId) -> Result<(NodeId, Quantization), Stop> {
        let quantization = self.quantization(value).ok_or(Stop::NoPattern)?;
        let end = Requantize { rounding: self.rounding, to: quantization, range: quantization.codes() };
        Ok((self.of(value, end)?, quantization))
    }

    /// What the codes stand for that a value of real numbers is made from by moving elements.
    fn quantization(&self, value: NodeId) -> Option<Quantization> {
        match self.graph.op(value) {
            Op::Dequantize(_) => dequantized(self.graph, value).map(|(_, quantization)| quantization),
            _ => self.moved_quantization(value),
        }
    }

    fn constant(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        let reals = self.graph.floats(value).ok_or(Stop::NoPattern)?;
        let [lo, hi] = to.range;
        let codes = reals.iter().map(|&real| i64::from(to.to.code(real).clamp(lo, hi))).collect();
        let array = Array::int(to.to.dtype, self.graph.ty(value).shape.clone(), codes);
        Ok(self.graph.add_constant_like(value, Tensor::from(&array)))
    }

    fn operand(&self, value: NodeId, slot: usize) -> Result<NodeId, Stop> {
        self.graph.operand(value, slot).ok_or(Stop::NoPattern)
    }

    /// Refuses a value that something else needs in real numbers.
    fn only(&self, value: NodeId) -> Result<(), Stop> {
        match self.graph.only_user(value) {
            Some(_) => Ok(()),
            None => Err(self.refused(value, "its real numbers are used elsewhere")),
        }
    }

    fn refused(&self, value: NodeId, reason: impl Into<String>) -> Stop {
        Stop::Refused(Note::refused("int8", self.graph, &[value], reason))
    }
}

/// What a node quantises to, with one scale for all.
fn quantized(graph: &Graph, id: NodeId) -> Option<Quantization> {
    matches!(graph.op(id), Op::Quantize(_)).then(|| single(graph, id)).flatten()
}

/// The codes that a node dequantises, and what they stand for, with one scale for all.
fn dequantized(graph: &Graph, id: NodeId) -> Option<(NodeId, Quantization)> {
    let is_codes = |q: &Quantization| q.dtype.bytes() == 1;
    let quantization = matches!(graph.op(id), Op::Dequantize(_)).then(|| single(graph, id)).flatten();
    Some((graph.operand(id, 0)?, quantization.filter(is_codes)?))
}

fn single(graph: &Graph, id: NodeId) -> Option<Quantization> {
    let scale = graph.scalar(graph.operand(id, 1)?)? as f32;
    let zero_point = graph.tensor(graph.operand(id, 2)?)?;
    let [value] = zero_point.to_i64()[..] else { return None };
    let quantization = Quantization { dtype: zero_point.ty.dtype, scale, zero_point: value as i32 };
    (scale.is_finite() && scale > 0.0).then_some(quantization)
}

/// Dequantised constants that no integer operator has taken become real numbers.
fn release(graph: &mut Graph) -> bool {
    let mut released = false;
    for id in graph.order() {
        let operands = graph.operands(id);
        let tensors: Vec<Array> = operands.iter().filter_map(|&n| graph.tensor(n).map(Array::from)).collect();
        if !matches!(graph.op(id), Op::Dequantize(_)) || tensors.len() != operands.len() {
            continue;
        }
        let value = graph.op(id).eval(&tensors.iter().collect::<Vec<_>>(), graph.ty(id));
        let constant = graph.add_constant_like(id, Tensor::from(&value));
        graph.substitute(id, constant);
        released = true;
    }
    released
}
