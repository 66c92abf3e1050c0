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

#[cfg(test)]
mod tests {
    use crate::graph::NodeId;
    use crate::graph::testing::{Net, fused};
    use crate::ops::binary::BinaryOp::{Add, Mul};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::depthwise::Depthwise;
    use crate::ops::epilogue::Epilogue;
    use crate::ops::pad::Pad;
    use crate::ops::window::Window;

    #[test]
    fn batch_norm_before_an_unpadded_convolution() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.affine(x);
        let y = net.conv(y, 5, 3, 0);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_before_conv: affine3, conv5
        %0 f32[1,4,4,3] = input()                                           x
        %1 f32[1,2,2,5] = conv2d 3x3(%0, f32[5,3,3,3] #d706, f32[5] #4620)  conv5
        return %1 as y
        ");
    }

    #[test]
    fn batch_norm_before_groups_and_multipliers() {
        let window = Window { kernel: [2; 2], ..Window::POINT };
        let epilogue = Epilogue::default();
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 4]);
        let y = net.affine(x);
        let weight = net.weights(&[6, 2, 2, 2]);
        let y = net.op("grouped", Conv2d { window, groups: 2, epilogue }, &[y, weight]);
        let z = net.affine(x);
        let weight = net.weights(&[2, 2, 8]);
        let z = net.op("multiplied", Depthwise { window, multiplier: 2, epilogue }, &[z, weight]);
        net.graph.add_output("z", z);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_before_conv: affine7, multiplied
        affine_before_conv: affine3, grouped
        %0 f32[1,4,4,4] = input()                                               x
        %1 f32[1,3,3,8] = depthwise 2x2 m2(%0, f32[2,2,8] #f35e, f32[8] #5848)  multiplied
        %2 f32[1,3,3,6] = conv2d 2x2 g2(%0, f32[6,2,2,2] #e1fa, f32[6] #4dd3)   grouped
        return %1 as z
        return %2 as y
        ");
    }

    #[test]
    fn refused_before_a_padded_convolution() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.affine(x);
        let y = net.conv(y, 5, 3, 1);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_before_conv refused: affine3, conv5: padding makes the shift differ at the borders
        %0 f32[1,4,4,3] = input()                                 x
        %1 f32[1,4,4,3] = affine(%0, f32[3] #1904, f32[3] #549c)  affine3
        %2 f32[1,4,4,5] = conv2d 3x3 p1(%1, f32[5,3,3,3] #ef1c)   conv5
        return %2 as y
        ");
    }

    #[test]
    fn a_factor_alone_passes_padding() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let factor = net.weights(&[3]);
        let y = net.binary(Mul, x, factor);
        let y = net.conv(y, 5, 3, 1);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_before_conv: mul2, conv4
        %0 f32[1,4,4,3] = input()                                x
        %1 f32[1,4,4,5] = conv2d 3x3 p1(%0, f32[5,3,3,3] #d739)  conv4
        return %1 as y
        ");
    }

    #[test]
    fn zeros_padded_before_the_batch_norm_become_the_convolutions_own() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.op("pad", Pad { before: vec![0; 4], after: vec![0, 1, 1, 0], value: 0.0 }, &[x]);
        let y = net.affine(y);
        let y = net.conv(y, 5, 3, 0);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_before_conv: affine3, conv5
        %0 f32[1,4,4,3] = input()                                                    x
        %1 f32[1,3,3,5] = conv2d 3x3 p0,0,1,1(%0, f32[5,3,3,3] #d706, f32[5] #4620)  conv5
        return %1 as y
        ");
    }

    /// As in MobileNetV4's attention: the query is projected, keys are first made smaller.
    fn attention(net: &mut Net, normed: NodeId) -> NodeId {
        let query = net.conv(normed, 3, 1, 0);
        let keys = net.depthwise(normed, 1);
        net.binary(Mul, query, keys)
    }

    #[test]
    fn one_of_two_users_takes_it_in_where_the_shortcut_keeps_the_value() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let normed = net.affine(x);
        let y = attention(&mut net, normed);
        let y = net.binary(Add, x, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_before_conv: affine3, conv5
        affine_before_conv refused: affine3, depthwise8: padding makes the shift differ at the borders
        %0 f32[1,4,4,3] = input()                                               x
        %1 f32[1,4,4,3] = conv2d 1x1(%0, f32[3,1,1,3] #4a5c, f32[3] #062c)      conv5
        %2 f32[1,4,4,3] = affine(%0, f32[3] #1904, f32[3] #549c)                affine3
        %3 f32[1,4,4,3] = depthwise 3x3 p1(%2, f32[3,3,3] #8f9c, f32[3] #e4a1)  depthwise8
        %4 f32[1,4,4,3] = mul(%1, %3)                                           mul9
        %5 f32[1,4,4,3] = add(%0, %4)                                           add10
        return %5 as y
        ");
    }

    #[test]
    fn refused_where_another_user_keeps_it_anyway() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let normed = net.affine(x);
        let y = attention(&mut net, normed);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_before_conv refused: affine3, conv5: other users keep the factor and summand
        affine_before_conv refused: affine3, depthwise8: padding makes the shift differ at the borders
        %0 f32[1,4,4,3] = input()                                               x
        %1 f32[1,4,4,3] = affine(%0, f32[3] #1904, f32[3] #549c)                affine3
        %2 f32[1,4,4,3] = conv2d 1x1(%1, f32[3,1,1,3] #9ef2)                    conv5
        %3 f32[1,4,4,3] = depthwise 3x3 p1(%1, f32[3,3,3] #8f9c, f32[3] #e4a1)  depthwise8
        %4 f32[1,4,4,3] = mul(%2, %3)                                           mul9
        return %4 as y
        ");
    }
}
