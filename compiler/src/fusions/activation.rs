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
