//! Batch-norm, layer scale or scaling behind a layer goes into its weights and bias, computed in double
//! precision and rounded once.

use super::Note;
use super::bias::affine_activation;
use super::linear::{Linear, Parts, is_plain, storable};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::passes::Channels;

/// The fusion's name.
pub const NAME: &str = "affine_after_conv";

/// What becomes what.
pub const PATTERN: &str = "s · layer(x, w, b) + t → layer(x, s·w, s·b + t)";

/// See [`PATTERN`].
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Some(channels) = Channels::of(graph, id) else { return Ok(None) };
    let Some(layer) = graph.operand(id, 0).and_then(|n| Linear::of(graph, n)) else { return Ok(None) };
    let nodes = [layer.id, id];
    let (weights, biases) = match folded(graph, &layer, &channels) {
        Ok(folded) => folded,
        Err(reason) => return Ok(Some(Note::refused(NAME, graph, &nodes, reason))),
    };
    let note = Note::fired(NAME, graph, &nodes);
    let op = graph.op(layer.id).clone();
    let op = super::activation::attached(&op, affine_activation(graph, id)).unwrap_or(op);
    let parts = Parts { weights: Some(weights), biases: Some(biases), ..Parts::default() };
    let new = layer.rebuilt(graph, op, parts)?;
    graph.substitute(id, new);
    Ok(Some(note))
}

fn folded(graph: &Graph, layer: &Linear, channels: &Channels) -> Result<(Vec<f64>, Vec<f64>), &'static str> {
    if graph.only_user(layer.id).is_none() {
        return Err("the layer's value is used elsewhere");
    }
    if !is_plain(graph.op(layer.id)) {
        return Err("an activation or a sum comes before the factor");
    }
    let (mut weights, shape) = layer.weights(graph).ok_or("the weights are computed")?;
    let biases = layer.biases(graph).ok_or("the bias is computed")?;
    for (i, weight) in weights.iter_mut().enumerate() {
        *weight *= channels.scale.get(output_channel(graph.op(layer.id), &shape, i)).unwrap_or(&1.0);
    }
    let biases: Vec<f64> =
        biases.iter().zip(channels.scale.iter().zip(&channels.shift)).map(|(b, (s, t))| b * s + t).collect();
    match storable(&weights) && storable(&biases) {
        true => Ok((weights, biases)),
        false => Err("the weights leave the range of f32"),
    }
}

/// The output channel that element `i` of the weights belongs to.
fn output_channel(op: &Op, shape: &[usize], i: usize) -> usize {
    match op {
        // [O, kh, kw, C/groups]
        Op::Conv2d(_) => i / shape.iter().skip(1).product::<usize>().max(1),
        // [kh, kw, O], [K, N], [kh, kw, C/groups, O]
        _ => i % shape.last().copied().unwrap_or(1).max(1),
    }
}
