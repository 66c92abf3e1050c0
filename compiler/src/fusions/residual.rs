//! A sum goes into the epilogue of the layer that makes one of its terms.

use super::Note;
use super::linear::{Linear, Parts, epilogue, with_epilogue};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::binary::BinaryOp;
use crate::ops::epilogue::Epilogue;

/// The fusion's name.
pub const NAME: &str = "residual";

/// What becomes what.
pub const PATTERN: &str = "f(layer(x) + y) → layer(x) with epilogue + y, then f";

/// See [`PATTERN`]. Of two layers the later one adds, since the other's value is there by then.
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Op::Binary(op) = graph.op(id) else { return Ok(None) };
    let after = op.activation;
    let terms = graph.operands(id);
    if op.op != BinaryOp::Add || !terms.iter().any(|&n| is_layer(graph, n)) {
        return Ok(None);
    }
    let mut best = Err((terms[0], String::new()));
    for &n in terms.iter().filter(|&&n| is_layer(graph, n)) {
        let fits = refusal(graph, id, n).map_or(Ok(n), |reason| Err((n, reason)));
        best = match (best, fits) {
            (Ok(one), Ok(other)) => Ok(later(graph, one, other)),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(_), Err(refused)) => Err(refused),
        };
    }
    match best {
        Ok(layer) => fuse(graph, id, layer, after).map(Some),
        Err((layer, reason)) => Ok(Some(Note::refused(NAME, graph, &[layer, id], reason))),
    }
}

fn is_layer(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.op(id), Op::Conv2d(_) | Op::Depthwise(_) | Op::Dense(_))
}

/// Why a layer cannot add the other term, if it cannot.
fn refusal(graph: &Graph, id: NodeId, layer: NodeId) -> Option<String> {
    let types = graph.operand_types(id);
    if let Some(other) = types.iter().find(|ty| *ty != graph.ty(id)) {
        return Some(format!("{other} would be broadcast to {}", graph.ty(id)));
    }
    if graph.only_user(layer).is_none() {
        return Some("the layer's value is used elsewhere".into());
    }
    match epilogue(graph.op(layer)) {
        Some(Epilogue { residual: false, .. }) => None,
        _ => Some("the layer already adds another value".into()),
    }
}

fn later(graph: &Graph, one: NodeId, other: NodeId) -> NodeId {
    let order = graph.order();
    let position = |id: NodeId| order.iter().position(|&n| n == id);
    if position(other) > position(one) { other } else { one }
}

fn fuse(graph: &mut Graph, id: NodeId, layer: NodeId, after: Activation) -> Result<Note, Fault> {
    let other = graph.operands(id).into_iter().find(|&n| n != layer);
    let parts = Linear::of(graph, layer).zip(other).zip(epilogue(graph.op(layer)));
    let ((linear, other), epilogue) =
        parts.ok_or_else(|| Fault::bug(format!("{} is no layer", graph.name(layer))))?;
    let note = Note::fired(NAME, graph, &[layer, id]);
    let op = with_epilogue(graph.op(layer), Epilogue { residual: true, after, ..epilogue });
    let new = linear.rebuilt(graph, op, Parts { residual: Some(other), ..Parts::default() })?;
    graph.substitute(id, new);
    Ok(note)
}
