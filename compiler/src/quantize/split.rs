//! A fused graph with each value that is to be stored in 8 bits made by a node of its own.
//!
//! `f(layer(x)) + y` becomes three nodes where `f` bends; a clamp around 0 stays where it is, since the
//! range of the stored value does what it does.

use crate::error::Fault;
use crate::fusions::linear::{epilogue, with_epilogue};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::{Activate, Activation};
use crate::ops::binary::{Binary, BinaryOp};
use crate::ops::epilogue::Epilogue;

/// Takes sums and activations out of the nodes.
pub fn split(graph: &mut Graph) -> Result<(), Fault> {
    for id in graph.order() {
        if let Some(found) = epilogue(graph.op(id)) {
            layer(graph, id, found)?;
        } else if !is_range(activation(graph.op(id))) {
            other(graph, id)?;
        }
    }
    Ok(())
}

/// Whether an activation only limits the range, with 0 in it.
pub fn is_range(activation: Activation) -> bool {
    match activation {
        Activation::Identity => true,
        Activation::Clamp { lo, hi } => lo <= 0.0 && hi >= 0.0,
        _ => false,
    }
}

/// What an operator does last, unless that is all it does.
pub fn activation(op: &Op) -> Activation {
    match op {
        Op::Affine(op) => op.activation,
        Op::Binary(op) => op.activation,
        Op::ChannelScale(op) => op.activation,
        Op::ConvTranspose2d(op) => op.activation,
        op => epilogue(op).map_or(Activation::Identity, |epilogue| epilogue.activation),
    }
}

/// The operator without what it does last.
pub fn without_activation(op: &Op) -> Op {
    let mut op = op.clone();
    match &mut op {
        Op::Affine(op) => op.activation = Activation::Identity,
        Op::Binary(op) => op.activation = Activation::Identity,
        Op::ChannelScale(op) => op.activation = Activation::Identity,
        Op::ConvTranspose2d(op) => op.activation = Activation::Identity,
        _ => {}
    }
    match epilogue(&op) {
        Some(found) => with_epilogue(&op, Epilogue { activation: Activation::Identity, ..found }),
        None => op,
    }
}

fn layer(graph: &mut Graph, id: NodeId, found: Epilogue) -> Result<(), Fault> {
    if !found.residual && is_range(found.activation) {
        return Ok(());
    }
    let mut operands = graph.operands(id);
    let residual = if found.residual { operands.pop() } else { None };
    let kept = if is_range(found.activation) { found.activation } else { Activation::Identity };
    let op = with_epilogue(graph.op(id), Epilogue { activation: kept, ..Epilogue::default() });
    let mut value = graph.add_like(id, op, &operands)?;
    if kept != found.activation {
        value = activated(graph, id, value, found.activation)?;
    }
    if let Some(residual) = residual {
        let kept = if is_range(found.after) { found.after } else { Activation::Identity };
        let sum = Binary { op: BinaryOp::Add, activation: kept };
        value = graph.add_like(id, sum, &[value, residual])?;
        graph.set_name(value, format!("{}.add", graph.name(id)));
        if kept != found.after {
            value = activated(graph, id, value, found.after)?;
        }
    }
    graph.substitute(id, value);
    Ok(())
}

fn other(graph: &mut Graph, id: NodeId) -> Result<(), Fault> {
    let found = activation(graph.op(id));
    let (op, operands) = (without_activation(graph.op(id)), graph.operands(id));
    let value = graph.add_like(id, op, &operands)?;
    let value = activated(graph, id, value, found)?;
    graph.substitute(id, value);
    Ok(())
}

/// An activation as a node behind a value.
fn activated(graph: &mut Graph, id: NodeId, value: NodeId, activation: Activation) -> Result<NodeId, Fault> {
    let activated = graph.add_like(id, Activate { activation }, &[value])?;
    graph.set_name(activated, format!("{}.act", graph.name(id)));
    Ok(activated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, assert_same};
    use crate::{fusions, passes};

    #[test]
    fn sums_and_bent_activations_stand_alone() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 3, 1);
        let y = net.activate(Activation::HardSwish, y);
        let z = net.depthwise(y, 1);
        let z = net.activate(Activation::RELU6, z);
        let z = net.conv(z, 3, 1, 0);
        let sum = net.binary(BinaryOp::Add, z, y);
        let mut graph = net.returns(sum);
        passes::canonicalize(&mut graph).unwrap();
        fusions::fuse(&mut graph).unwrap();
        let fused = graph.clone();
        split(&mut graph).unwrap();
        assert_same(&fused, &graph);
        insta::assert_snapshot!(graph.text(), @r"
        %0 f32[1,4,4,3] = input()                                                     x
        %1 f32[1,4,4,3] = conv2d 3x3 p1(%0, f32[3,3,3,3] #2849)                       conv2
        %2 f32[1,4,4,3] = hard_swish(%1)                                              conv2.act
        %3 f32[1,4,4,3] = depthwise 3x3 p1 relu6(%2, f32[3,3,3] #f17d, f32[3] #616c)  depthwise6
        %4 f32[1,4,4,3] = conv2d 1x1(%3, f32[3,1,1,3] #9285, f32[3] #9d38)            conv9
        %5 f32[1,4,4,3] = add(%4, %2)                                                 conv9.add
        return %5 as y
        ");
    }
}
