//! Reshapes: merged with each other, and sunk below what works element by element or along a last axis
//! that they keep, so that they end up beside each other and vanish. A reshape of an input stays, since
//! what follows wants the shape that it makes.

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::reshape::Reshape;

/// Merges and sinks reshapes.
pub fn simplify(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| Ok(merge(graph, id)? || sink(graph, id)?))
}

fn reshaped(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match graph.op(id) {
        Op::Reshape(_) => graph.operand(id, 0),
        _ => None,
    }
}

/// `Reshape(Reshape(x)) → Reshape(x)`
fn merge(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some(x) = reshaped(graph, id).and_then(|inner| reshaped(graph, inner)) else { return Ok(false) };
    let op = graph.op(id).clone();
    let new = if graph.ty(x) == graph.ty(id) { x } else { graph.add_like(id, op, &[x])? };
    graph.substitute(id, new);
    Ok(true)
}

/// `op(Reshape(x)) → Reshape(op(x))`
fn sink(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let operands = graph.operands(id);
    let Some(operands) = sunk_operands(graph, id, &operands) else { return Ok(false) };
    let (mut op, shape) = (graph.op(id).clone(), graph.ty(id).shape.clone());
    if let Op::Softmax(softmax) = &mut op {
        softmax.axis = graph.ty(operands[0]).rank().saturating_sub(1);
    }
    let inner = graph.add_like(id, op, &operands)?;
    let outer = graph.add_like(id, Reshape { shape }, &[inner])?;
    graph.substitute(id, outer);
    Ok(true)
}

/// The operands without the reshape, where the operator may come before it.
fn sunk_operands(graph: &Graph, id: NodeId, operands: &[NodeId]) -> Option<Vec<NodeId>> {
    let (slot, x) = operands.iter().enumerate().find_map(|(i, &n)| Some((i, reshaped(graph, n)?)))?;
    if matches!(graph.op(x), Op::Input(_)) {
        return None;
    }
    let keeps_last = graph.ty(x).shape.last() == graph.ty(operands[slot]).shape.last();
    let sinks = match graph.op(id) {
        Op::Activate(_) | Op::Unary(_) | Op::Cast(_) => true,
        Op::Affine(_) | Op::LayerNorm(_) => slot == 0 && keeps_last,
        Op::Softmax(op) => keeps_last && op.axis + 1 == graph.ty(id).rank(),
        Op::Dense(dense) => slot == 0 && keeps_last && dense.epilogue.is_empty(),
        Op::Binary(_) => return sunk_binary(graph, id, operands, slot, x, keeps_last),
        Op::Input(_)
        | Op::Constant(_)
        | Op::Conv2d(_)
        | Op::PlanarConv2d(_)
        | Op::Depthwise(_)
        | Op::ConvTranspose2d(_)
        | Op::MatMul(_)
        | Op::Pool2d(_)
        | Op::GlobalPool(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::ChannelScale(_)
        | Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Concat(_)
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::Expand(_)
        | Op::Pad(_)
        | Op::Interpolate(_)
        | Op::QuantizedLayer(_)
        | Op::QuantizedMatMul(_)
        | Op::QuantizedBinary(_)
        | Op::QuantizedPool(_)
        | Op::QuantizedSoftmax(_)
        | Op::Lookup(_) => false,
    };
    sinks.then(|| std::iter::once(x).chain(operands.iter().skip(1).copied()).collect())
}

/// A binary operator sinks with a scalar, with a constant along a last axis that stays, and with an
/// operand that is reshaped from the same shape.
fn sunk_binary(
    graph: &Graph,
    id: NodeId,
    operands: &[NodeId],
    slot: usize,
    x: NodeId,
    keeps_last: bool,
) -> Option<Vec<NodeId>> {
    let other = *operands.get(1 - slot)?;
    let same_shape = graph.ty(operands[slot]).shape == graph.ty(id).shape;
    let along_last = graph.ty(other).rank() == 1 && keeps_last;
    let constant = graph.tensor(other).is_some() && graph.ty(x).rank() >= graph.ty(other).rank();
    let other = match reshaped(graph, other) {
        Some(y) if graph.ty(y).shape == graph.ty(x).shape && graph.ty(other).shape == graph.ty(id).shape => y,
        _ if constant && (along_last || graph.ty(other).elements() == 1) => other,
        _ => return None,
    };
    same_shape.then(|| if slot == 0 { vec![x, other] } else { vec![other, x] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, canonical};
    use crate::ops::activation::Activation;
    use crate::ops::global_pool::GlobalPool;

    #[test]
    fn a_gate_through_rank_two_comes_back_without_reshapes() {
        let mut net = Net::new();
        let x = net.input(&[2, 3, 3, 8]);
        let pooled = net.op("pool", GlobalPool { max: false }, &[x]);
        let flat = net.op("flatten", Reshape { shape: vec![2, 8] }, &[pooled]);
        let hidden = net.dense(flat, 4);
        let hidden = net.activate(Activation::RELU, hidden);
        let gate = net.dense(hidden, 8);
        let gate = net.activate(Activation::Sigmoid, gate);
        let y = net.op("unflatten", Reshape { shape: vec![2, 1, 1, 8] }, &[gate]);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3,3,8] = input()                                  x
        %1 f32[2,1,1,8] = global_average_pool(%0)                  pool
        %2 f32[2,1,1,4] = dense(%1, f32[8,4] #9431, f32[4] #9721)  dense3
        %3 f32[2,1,1,4] = relu(%2)                                 act4
        %4 f32[2,1,1,8] = dense(%3, f32[4,8] #f7b8, f32[8] #8443)  dense7
        %5 f32[2,1,1,8] = sigmoid(%4)                              act8
        return %5 as y
        ");
    }
}
