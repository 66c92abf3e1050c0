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

#[cfg(test)]
mod tests {
    use crate::graph::testing::{Net, fused};
    use crate::ops::activation::Activation;
    use crate::ops::binary::BinaryOp::{Add, Mul};

    #[test]
    fn a_summand_behind_a_convolution_without_bias() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 5, 3, 1);
        let bias = net.weights(&[1, 1, 1, 5]);
        let y = net.binary(Add, y, bias);
        let y = net.activate(Activation::RELU, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        bias: conv2, add4
        activation: conv2, act5
        %0 f32[1,4,4,3] = input()                                                   x
        %1 f32[1,4,4,5] = conv2d 3x3 p1 relu(%0, f32[5,3,3,3] #3ea7, f32[5] #93c8)  conv2
        return %1 as y
        ");
    }

    #[test]
    fn a_summand_behind_a_dense_layer_with_bias() {
        let mut net = Net::new();
        let x = net.input(&[2, 4]);
        let y = net.dense(x, 3);
        let bias = net.weights(&[3]);
        let y = net.binary(Add, bias, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        bias: dense3, add5
        %0 f32[2,4] = input()                                  x
        %1 f32[2,3] = dense(%0, f32[4,3] #9d2c, f32[3] #c0bf)  dense3
        return %1 as y
        ");
    }

    #[test]
    fn refused_where_the_bare_sum_is_a_result() {
        let mut net = Net::new();
        let x = net.input(&[2, 4]);
        let y = net.dense(x, 3);
        let bias = net.weights(&[3]);
        let z = net.binary(Add, y, bias);
        let z = net.binary(Mul, z, z);
        net.graph.add_output("bare", y);
        insta::assert_snapshot!(fused(&net.returns(z)), @r"
        affine_after_conv refused: dense3, add5: the layer's value is used elsewhere
        %0 f32[2,4] = input()                                  x
        %1 f32[2,3] = dense(%0, f32[4,3] #9d2c, f32[3] #549c)  dense3
        %2 f32[2,3] = affine(%1, f32[3] #e018, f32[3] #601b)   add5
        %3 f32[2,3] = mul(%2, %2)                              mul6
        return %1 as bare
        return %3 as y
        ");
    }
}
