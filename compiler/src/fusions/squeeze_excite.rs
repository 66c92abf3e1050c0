//! Squeeze-and-excite: a map times a gate that is computed from the map's own means.

use super::{Note, channel_scale};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::global_pool::GlobalPool;

/// The fusion's name.
pub const NAME: &str = "squeeze_excite";

/// What becomes what.
pub const PATTERN: &str = "x · gate(dense(dense(global_pool(x)))) → channel_scale(x, gate)";

/// The longest way from the pool to the gate: two layers with an activation each, and reshapes.
const CHAIN: usize = 12;

/// See [`PATTERN`]. Layers and activations of the gate fuse on their own.
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Some((map, factor, activation)) = channel_scale::matched(graph, id) else { return Ok(None) };
    let pooled = match pooled(graph, factor) {
        Ok(pooled) => pooled,
        Err(reason) => return Ok(Some(Note::refused(NAME, graph, &[factor, id], reason))),
    };
    if pooled != map {
        let reason = format!("the gate pools {}, but scales {}", graph.name(pooled), graph.name(map));
        return Ok(Some(Note::refused(NAME, graph, &[factor, id], reason)));
    }
    let note = Note::fired(NAME, graph, &[map, factor, id]);
    channel_scale::replace(graph, id, map, factor, activation)?;
    Ok(Some(note))
}

/// The map whose means a gate is computed from, or why there is none.
fn pooled(graph: &Graph, gate: NodeId) -> Result<NodeId, String> {
    let mut at = gate;
    let mut layers = 0;
    for _ in 0..CHAIN {
        match graph.op(at) {
            Op::GlobalPool(GlobalPool { max: false }) if layers > 0 => {
                return graph.operand(at, 0).ok_or_else(|| "the pool pools nothing".to_owned());
            }
            Op::GlobalPool(_) => return Err("the gate is no mean behind layers".into()),
            Op::Dense(_) | Op::Conv2d(_) => layers += 1,
            Op::Activate(_) | Op::Affine(_) | Op::Reshape(_) => {}
            other => return Err(format!("the gate is computed by {}", other.describe())),
        }
        at = graph.operand(at, 0).ok_or("the gate is computed from nothing")?;
    }
    Err(format!("no global pool within {CHAIN} operators before the gate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, fused};
    use crate::ops::activation::Activation;
    use crate::ops::binary::BinaryOp::Mul;

    /// The gate of a squeeze-and-excite block by 1×1 convolutions.
    fn gate(net: &mut Net, x: NodeId) -> NodeId {
        let pooled = net.op("squeeze", GlobalPool { max: false }, &[x]);
        let hidden = net.conv(pooled, 2, 1, 0);
        let hidden = net.activate(Activation::RELU, hidden);
        let gate = net.conv(hidden, 4, 1, 0);
        net.activate(Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }, gate)
    }

    #[test]
    fn a_map_times_its_gate() {
        let mut net = Net::new();
        let x = net.input(&[1, 3, 3, 4]);
        let gate = gate(&mut net, x);
        let y = net.binary(Mul, gate, x);
        let y = net.activate(Activation::HardSwish, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        squeeze_excite: x, act6, mul7
        activation: conv2, act3
        activation: conv5, act6
        activation: mul7, act8
        %0 f32[1,3,3,4] = input()                                 x
        %1 f32[1,1,1,4] = global_average_pool(%0)                 squeeze
        %2 f32[1,1,1,2] = dense relu(%1, f32[4,2] #c5bd)          conv2
        %3 f32[1,1,1,4] = dense hard_sigmoid(%2, f32[2,4] #ea9a)  conv5
        %4 f32[1,3,3,4] = channel_scale hard_swish(%0, %3)        mul7
        return %4 as y
        ");
    }

    #[test]
    fn refused_where_the_gate_pools_another_map() {
        let mut net = Net::new();
        let x = net.input(&[1, 3, 3, 4]);
        let other = net.activate(Activation::Tanh, x);
        let gate = gate(&mut net, other);
        let y = net.binary(Mul, x, gate);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        channel_scale: x, act7, mul8
        activation: conv3, act4
        activation: conv6, act7
        squeeze_excite refused: act7, mul8: the gate pools act1, but scales x
        %0 f32[1,3,3,4] = input()                                 x
        %1 f32[1,3,3,4] = tanh(%0)                                act1
        %2 f32[1,1,1,4] = global_average_pool(%1)                 squeeze
        %3 f32[1,1,1,2] = dense relu(%2, f32[4,2] #b398)          conv3
        %4 f32[1,1,1,4] = dense hard_sigmoid(%3, f32[2,4] #f564)  conv6
        %5 f32[1,3,3,4] = channel_scale(%0, %4)                   mul8
        return %5 as y
        ");
    }

    #[test]
    fn refused_where_the_gate_comes_from_outside() {
        let mut net = Net::new();
        let (x, gate) = (net.input(&[1, 3, 3, 4]), net.input(&[1, 1, 1, 4]));
        let y = net.binary(Mul, x, gate);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        channel_scale: x, x1, mul2
        squeeze_excite refused: x1, mul2: the gate is computed by input
        %0 f32[1,3,3,4] = input()                x
        %1 f32[1,1,1,4] = input()                x1
        %2 f32[1,3,3,4] = channel_scale(%0, %1)  mul2
        return %2 as y
        ");
    }
}
