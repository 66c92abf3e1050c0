//! A summand per channel behind a layer becomes its bias; the weights stay as they are.

use super::Note;
use super::linear::{Linear, Parts, is_plain, storable};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::passes::Channels;

/// The fusion's name.
pub const NAME: &str = "bias";

/// What becomes what.
pub const PATTERN: &str = "layer(x, w, b) + t → layer(x, w, b + t)";

/// See [`PATTERN`]. An affine with another factor than 1 is for the next fusion.
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Some((layer, shift)) = matched(graph, id) else { return Ok(None) };
    let nodes = [layer.id, id];
    if graph.only_user(layer.id).is_none() || !is_plain(graph.op(layer.id)) {
        return Ok(None);
    }
    let Some(biases) = layer.biases(graph) else {
        return Ok(Some(Note::refused(NAME, graph, &nodes, "the bias is computed")));
    };
    let biases: Vec<f64> = biases.iter().zip(&shift).map(|(b, t)| b + t).collect();
    if !storable(&biases) {
        return Ok(Some(Note::refused(NAME, graph, &nodes, "the bias leaves the range of f32")));
    }
    let note = Note::fired(NAME, graph, &nodes);
    let op = graph.op(layer.id).clone();
    let activation = affine_activation(graph, id);
    let op = super::activation::attached(&op, activation).unwrap_or(op);
    let new = layer.rebuilt(graph, op, Parts { biases: Some(biases), ..Parts::default() })?;
    graph.substitute(id, new);
    Ok(Some(note))
}

fn matched(graph: &Graph, id: NodeId) -> Option<(Linear, Vec<f64>)> {
    let channels = Channels::of(graph, id)?;
    let layer = Linear::of(graph, graph.operand(id, 0)?)?;
    channels.scale.iter().all(|&s| s == 1.0).then_some((layer, channels.shift))
}

/// The activation of an affine.
pub(super) fn affine_activation(graph: &Graph, id: NodeId) -> Activation {
    match graph.op(id) {
        Op::Affine(op) => op.activation,
        _ => Activation::Identity,
    }
}
