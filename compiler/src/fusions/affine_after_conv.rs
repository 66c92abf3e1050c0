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

#[cfg(test)]
mod tests {
    use crate::graph::NodeId;
    use crate::graph::testing::{Net, fused};
    use crate::ops::activation::Activation;
    use crate::ops::binary::BinaryOp::{Add, Mul};
    use crate::ops::conv_transpose::ConvTranspose2d;
    use crate::ops::window::Window;

    #[test]
    fn batch_norm_behind_every_layer() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 6, 3, 1);
        let y = net.affine(y);
        let y = net.depthwise(y, 1);
        let y = net.affine(y);
        let y = transposed_conv(&mut net, y);
        let y = net.affine(y);
        let y = net.dense(y, 5);
        let y = net.affine(y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_after_conv: conv2, affine5
        affine_after_conv: depthwise8, affine11
        affine_after_conv: up, affine15
        affine_after_conv: dense18, affine21
        %0 f32[1,4,4,3] = input()                                                         x
        %1 f32[1,4,4,6] = conv2d 3x3 p1(%0, f32[6,3,3,3] #3299, f32[6] #2191)             conv2
        %2 f32[1,4,4,6] = depthwise 3x3 p1(%1, f32[3,3,6] #1c50, f32[6] #e513)            depthwise8
        %3 f32[1,8,8,9] = conv_transpose 2x2 s2 g3(%2, f32[2,2,2,9] #7e78, f32[9] #912a)  up
        %4 f32[1,8,8,5] = dense(%3, f32[9,5] #63f8, f32[5] #c36d)                         dense18
        return %4 as y
        ");
    }

    /// 3 groups of 2 channels.
    fn transposed_conv(net: &mut Net, x: NodeId) -> NodeId {
        let weight = net.weights(&[2, 2, 2, 9]);
        let window = Window { kernel: [2; 2], stride: [2; 2], ..Window::POINT };
        let op = ConvTranspose2d { window, output_pad: [0; 2], groups: 3, activation: Activation::Identity };
        net.op("up", op, &[x, weight])
    }

    #[test]
    fn layer_scale_and_a_scalar() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let gamma = net.weights(&[3]);
        let y = net.binary(Mul, y, gamma);
        let y = net.with_scalar(Mul, y, 0.125);
        let y = net.binary(Add, x, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_after_conv: conv2, mul5
        residual: conv2, add6
        %0 f32[1,4,4,3] = input()                                                         x
        %1 f32[1,4,4,3] = conv2d 1x1 +residual(%0, f32[3,1,1,3] #38a6, f32[3] #9d38, %0)  conv2
        return %1 as y
        ");
    }

    #[test]
    fn refused_behind_an_activation() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 5, 1, 0);
        let y = net.activate(Activation::RELU, y);
        let y = net.affine(y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        activation: conv2, act3
        affine_after_conv refused: conv2, affine6: an activation or a sum comes before the factor
        %0 f32[1,4,4,3] = input()                                  x
        %1 f32[1,4,4,5] = conv2d 1x1 relu(%0, f32[5,1,1,3] #194b)  conv2
        %2 f32[1,4,4,5] = affine(%1, f32[5] #c2d2, f32[5] #f12c)   affine6
        return %2 as y
        ");
    }

    #[test]
    fn refused_where_the_layer_has_other_users() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let z = net.affine(y);
        let z = net.depthwise(z, 1);
        let y = net.binary(Mul, y, z);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        affine_after_conv refused: conv2, affine5: the layer's value is used elsewhere
        affine_before_conv refused: affine5, depthwise8: padding makes the shift differ at the borders
        %0 f32[1,4,4,3] = input()                                               x
        %1 f32[1,4,4,3] = conv2d 1x1(%0, f32[3,1,1,3] #1217)                    conv2
        %2 f32[1,4,4,3] = affine(%1, f32[3] #f2ca, f32[3] #601b)                affine5
        %3 f32[1,4,4,3] = depthwise 3x3 p1(%2, f32[3,3,3] #8f9c, f32[3] #e4a1)  depthwise8
        %4 f32[1,4,4,3] = mul(%1, %3)                                           mul9
        return %4 as y
        ");
    }
}
