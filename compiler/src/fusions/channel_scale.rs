//! A map times one factor a channel, computed somewhere.

use super::Note;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::binary::BinaryOp;
use crate::ops::channel_scale::ChannelScale;
use crate::tensor::DType;

/// The fusion's name.
pub const NAME: &str = "channel_scale";

/// What becomes what.
pub const PATTERN: &str = "[N,H,W,C] · [N,1,1,C] → channel_scale";

/// See [`PATTERN`].
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Some((map, factor, activation)) = matched(graph, id) else { return Ok(None) };
    let note = Note::fired(NAME, graph, &[map, factor, id]);
    replace(graph, id, map, factor, activation)?;
    Ok(Some(note))
}

/// The map, the factor and what comes behind a product of this form.
pub(super) fn matched(graph: &Graph, id: NodeId) -> Option<(NodeId, NodeId, Activation)> {
    let Op::Binary(op) = graph.op(id) else { return None };
    let [a, b] = graph.operands(id)[..] else { return None };
    let (map, factor) = if graph.ty(a) == graph.ty(id) { (a, b) } else { (b, a) };
    let [n, height, width, channels] = graph.ty(map).shape[..] else { return None };
    let fits = graph.ty(factor).shape == [n, 1, 1, channels] && (height, width) != (1, 1);
    let f32s = graph.ty(map).dtype == DType::F32 && graph.ty(map) == graph.ty(id);
    (op.op == BinaryOp::Mul && fits && f32s).then_some((map, factor, op.activation))
}

pub(super) fn replace(
    graph: &mut Graph,
    id: NodeId,
    map: NodeId,
    factor: NodeId,
    activation: Activation,
) -> Result<(), Fault> {
    let new = graph.add_like(id, ChannelScale { activation }, &[map, factor])?;
    graph.substitute(id, new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::graph::testing::{Net, fused};
    use crate::ops::binary::BinaryOp::Mul;

    #[test]
    fn factors_of_a_batch() {
        let mut net = Net::new();
        let (x, factors) = (net.input(&[2, 3, 3, 4]), net.input(&[2, 1, 1, 4]));
        let y = net.binary(Mul, factors, x);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        channel_scale: x, x1, mul2
        squeeze_excite refused: x1, mul2: the gate is computed by input
        %0 f32[2,3,3,4] = input()                x
        %1 f32[2,1,1,4] = input()                x1
        %2 f32[2,3,3,4] = channel_scale(%0, %1)  mul2
        return %2 as y
        ");
    }

    #[test]
    fn one_factor_for_all_images_is_no_channel_scale() {
        let mut net = Net::new();
        let (x, factors) = (net.input(&[2, 3, 3, 4]), net.input(&[1, 1, 1, 4]));
        let y = net.binary(Mul, factors, x);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        %0 f32[2,3,3,4] = input()      x
        %1 f32[1,1,1,4] = input()      x1
        %2 f32[2,3,3,4] = mul(%1, %0)  mul2
        return %2 as y
        ");
    }
}
