//! Batch-norm or normalisation in front of a layer goes into its weights and bias.
//!
//! Where the layer pads, the shift does not: a padded zero stands for 0, not for `t`, so the sum of
//! shifted taps differs at the borders. The affine then stays in front.

use super::Note;
use super::linear::{Linear, Parts, storable};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::passes::Channels;

/// The fusion's name.
pub const NAME: &str = "affine_before_conv";

/// What becomes what.
pub const PATTERN: &str = "layer(s·x + t, w, b) → layer(x, w·s, b + Σ w·t)";

/// See [`PATTERN`].
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Some(layer) = Linear::of(graph, id) else { return Ok(None) };
    let affine = layer.input;
    let (Some(channels), Some(x)) = (Channels::of(graph, affine), graph.operand(affine, 0)) else {
        return Ok(None);
    };
    let nodes = [affine, id];
    let (weights, biases) = match folded(graph, &layer, &channels) {
        Ok(folded) => folded,
        Err(reason) => return Ok(Some(Note::refused(NAME, graph, &nodes, reason))),
    };
    let note = Note::fired(NAME, graph, &nodes);
    let op = graph.op(id).clone();
    let parts = Parts { input: Some(x), weights: Some(weights), biases: Some(biases), ..Parts::default() };
    let new = layer.rebuilt(graph, op, parts)?;
    graph.substitute(id, new);
    Ok(Some(note))
}

fn folded(graph: &Graph, layer: &Linear, channels: &Channels) -> Result<(Vec<f64>, Vec<f64>), &'static str> {
    let affine = layer.input;
    if super::bias::affine_activation(graph, affine) != Activation::Identity {
        return Err("an activation comes between");
    }
    let shifts = channels.shift.iter().any(|&t| t != 0.0);
    foldable(graph, layer.id, shifts)?;
    let stays = |&user: &NodeId| foldable(graph, user, shifts).is_err();
    let read_anyway = graph.operand(affine, 0).is_some_and(|x| graph.users(x).len() > 1);
    if (graph.is_output(affine) || graph.users(affine).iter().any(stays)) && !read_anyway {
        return Err("other users keep the factor and summand");
    }
    let (mut weights, shape) = layer.weights(graph).ok_or("the weights are computed")?;
    let mut biases = layer.biases(graph).ok_or("the bias is computed")?;
    let op = graph.op(layer.id);
    for (i, weight) in weights.iter_mut().enumerate() {
        let tap = Tap::of(op, &shape, &channels.scale, i);
        if let Some(bias) = biases.get_mut(tap.output) {
            *bias += *weight * channels.shift.get(tap.input).unwrap_or(&0.0);
        }
        *weight *= channels.scale.get(tap.input).unwrap_or(&1.0);
    }
    match storable(&weights) && storable(&biases) {
        true => Ok((weights, biases)),
        false => Err("the weights leave the range of f32"),
    }
}

/// Whether a user of an affine can take it in.
fn foldable(graph: &Graph, user: NodeId, shifts: bool) -> Result<(), &'static str> {
    let layer = Linear::of(graph, user).ok_or("a user is no layer")?;
    layer.weights(graph).ok_or("the weights are computed")?;
    let padded = match graph.op(user) {
        Op::Conv2d(op) => op.window.pad != [0; 4],
        Op::Depthwise(op) => op.window.pad != [0; 4],
        Op::ConvTranspose2d(_) if shifts => {
            return Err("outputs of a transposed convolution differ in how many taps reach them");
        }
        _ => false,
    };
    match padded && shifts {
        true => Err("padding makes the shift differ at the borders"),
        false => Ok(()),
    }
}

/// The channels that an element of the weights connects.
struct Tap {
    input: usize,
    output: usize,
}

impl Tap {
    fn of(op: &Op, shape: &[usize], inputs: &[f64], i: usize) -> Self {
        let last = shape.last().copied().unwrap_or(1).max(1);
        match op {
            // [O, kh, kw, C/groups]; output channel o is in group o / (O/groups)
            Op::Conv2d(op) => {
                let outputs = shape.first().copied().unwrap_or(1);
                let output = i / shape.iter().skip(1).product::<usize>().max(1);
                let group = output / (outputs / op.groups.max(1)).max(1);
                Self { input: group * last + i % last, output }
            }
            // [kh, kw, C·multiplier]
            Op::Depthwise(op) => Self { input: i % last / op.multiplier.max(1), output: i % last },
            // [kh, kw, C/groups, O]
            Op::ConvTranspose2d(op) => {
                let depth = inputs.len() / op.groups.max(1);
                let output = i % last;
                let group = output / (last / op.groups.max(1)).max(1);
                Self { input: group * depth + i / last % depth.max(1), output }
            }
            // [K, N]
            _ => Self { input: i / last, output: i % last },
        }
    }
}
