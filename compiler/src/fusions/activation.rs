//! An activation goes into the epilogue of the operator before it.

use super::Note;
use super::linear::{epilogue, with_epilogue};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::epilogue::Epilogue;

/// The fusion's name.
pub const NAME: &str = "activation";

/// What becomes what.
pub const PATTERN: &str = "f(op(x)) → op(x) with epilogue f";

/// See [`PATTERN`].
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Op::Activate(activate) = graph.op(id) else { return Ok(None) };
    let activation = activate.activation;
    let Some(before) = graph.operand(id, 0).filter(|&n| has_epilogue(graph, n)) else { return Ok(None) };
    let nodes = [before, id];
    if graph.only_user(before).is_none() {
        let reason = "the value before the activation is used elsewhere";
        return Ok(Some(Note::refused(NAME, graph, &nodes, reason)));
    }
    let Some(op) = attached(graph.op(before), activation) else {
        let reason = format!("the operator already ends in {}", ending(graph.op(before)).describe());
        return Ok(Some(Note::refused(NAME, graph, &nodes, reason)));
    };
    let note = Note::fired(NAME, graph, &nodes);
    let operands = graph.operands(before);
    let new = graph.add_like(before, op, &operands)?;
    graph.substitute(id, new);
    Ok(Some(note))
}

/// Whether an operator can end in an activation, here.
fn has_epilogue(graph: &Graph, id: NodeId) -> bool {
    match graph.op(id) {
        Op::Conv2d(_) | Op::Depthwise(_) | Op::Dense(_) | Op::ConvTranspose2d(_) => true,
        Op::Affine(_) | Op::ChannelScale(_) => true,
        Op::Binary(_) => graph.operand_types(id).iter().all(|ty| ty == graph.ty(id)),
        _ => false,
    }
}

/// The last activation of an operator.
fn ending(op: &Op) -> Activation {
    match op {
        Op::ConvTranspose2d(op) => op.activation,
        Op::Affine(op) => op.activation,
        Op::ChannelScale(op) => op.activation,
        Op::Binary(op) => op.activation,
        op => match epilogue(op) {
            Some(Epilogue { residual: true, after, .. }) => after,
            Some(Epilogue { activation, .. }) => activation,
            None => Activation::Identity,
        },
    }
}

/// The operator with an activation at its end, if it has none there.
pub(super) fn attached(op: &Op, activation: Activation) -> Option<Op> {
    if ending(op) != Activation::Identity {
        return None;
    }
    let mut op = op.clone();
    match &mut op {
        Op::ConvTranspose2d(op) => op.activation = activation,
        Op::Affine(op) => op.activation = activation,
        Op::ChannelScale(op) => op.activation = activation,
        Op::Binary(op) => op.activation = activation,
        _ => {
            let mut epilogue = epilogue(&op)?;
            let slot = if epilogue.residual { &mut epilogue.after } else { &mut epilogue.activation };
            *slot = activation;
            return Some(with_epilogue(&op, epilogue));
        }
    }
    Some(op)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, fused};
    use crate::ops::binary::BinaryOp::{Add, Mul};

    #[test]
    fn every_operator_with_an_epilogue_takes_one() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let y = net.activate(Activation::RELU6, y);
        let y = net.depthwise(y, 1);
        let y = net.activate(Activation::HardSwish, y);
        let y = net.affine(y);
        let y = net.activate(Activation::Silu, y);
        let y = net.binary(Mul, x, y);
        let y = net.activate(Activation::Gelu, y);
        let y = net.dense(y, 2);
        let y = net.activate(Activation::Sigmoid, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        activation: conv2, act3
        activation: depthwise6, act7
        activation: affine10, act11
        activation: mul12, act13
        activation: dense16, act17
        affine_after_conv refused: depthwise6, affine10: an activation or a sum comes before the factor
        %0 f32[1,4,4,3] = input()                                                          x
        %1 f32[1,4,4,3] = conv2d 1x1 relu6(%0, f32[3,1,1,3] #1217)                         conv2
        %2 f32[1,4,4,3] = depthwise 3x3 p1 hard_swish(%1, f32[3,3,3] #f17d, f32[3] #616c)  depthwise6
        %3 f32[1,4,4,3] = affine silu(%2, f32[3] #f916, f32[3] #8544)                      affine10
        %4 f32[1,4,4,3] = mul gelu(%0, %3)                                                 mul12
        %5 f32[1,4,4,2] = dense sigmoid(%4, f32[3,2] #7bf2, f32[2] #d60e)                  dense16
        return %5 as y
        ");
    }

    #[test]
    fn refused_where_the_value_before_is_used_elsewhere() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let z = net.activate(Activation::Tanh, y);
        let y = net.binary(Mul, y, z);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        activation refused: conv2, act3: the value before the activation is used elsewhere
        %0 f32[1,4,4,3] = input()                             x
        %1 f32[1,4,4,3] = conv2d 1x1(%0, f32[3,1,1,3] #1217)  conv2
        %2 f32[1,4,4,3] = tanh(%1)                            act3
        %3 f32[1,4,4,3] = mul(%1, %2)                         mul4
        return %3 as y
        ");
    }

    #[test]
    fn refused_behind_another_activation() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let y = net.activate(Activation::RELU, y);
        let y = net.activate(Activation::Tanh, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        activation: conv2, act3
        activation refused: conv2, act4: the operator already ends in relu
        %0 f32[1,4,4,3] = input()                                  x
        %1 f32[1,4,4,3] = conv2d 1x1 relu(%0, f32[3,1,1,3] #1217)  conv2
        %2 f32[1,4,4,3] = tanh(%1)                                 act4
        return %2 as y
        ");
    }

    #[test]
    fn a_broadcast_sum_has_no_epilogue() {
        let mut net = Net::new();
        let (x, row) = (net.input(&[1, 4, 4, 3]), net.input(&[4, 3]));
        let y = net.binary(Add, x, row);
        let y = net.activate(Activation::RELU, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        %0 f32[1,4,4,3] = input()      x
        %1 f32[4,3]     = input()      x1
        %2 f32[1,4,4,3] = add(%0, %1)  add2
        %3 f32[1,4,4,3] = relu(%2)     act3
        return %3 as y
        ");
    }
}
