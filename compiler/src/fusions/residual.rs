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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, fused};
    use crate::ops::binary::BinaryOp::{Add, Mul};

    #[test]
    fn a_linear_projection_adds_the_blocks_input() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let block = net.conv(x, 3, 1, 0);
        let y = net.conv(block, 6, 1, 0);
        let y = net.activate(Activation::RELU6, y);
        let y = net.depthwise(y, 1);
        let y = net.conv(y, 3, 1, 0);
        let y = net.binary(Add, block, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        activation: conv4, act5
        residual: conv10, add11
        %0 f32[1,4,4,3] = input()                                                         x
        %1 f32[1,4,4,3] = conv2d 1x1(%0, f32[3,1,1,3] #1217)                              conv2
        %2 f32[1,4,4,6] = conv2d 1x1 relu6(%1, f32[6,1,1,3] #f2c5)                        conv4
        %3 f32[1,4,4,6] = depthwise 3x3 p1(%2, f32[3,3,6] #2ea8, f32[6] #e626)            depthwise8
        %4 f32[1,4,4,3] = conv2d 1x1 +residual(%3, f32[3,1,1,6] #850b, f32[3] #9d38, %1)  conv10
        return %4 as y
        ");
    }

    #[test]
    fn the_later_of_two_branches_adds_and_activates() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let shortcut = net.conv(x, 5, 1, 0);
        let y = net.conv(x, 3, 3, 1);
        let y = net.conv(y, 5, 1, 0);
        let y = net.binary(Add, y, shortcut);
        let y = net.activate(Activation::RELU, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        activation: add7, act8
        residual: conv2, add7
        %0 f32[1,4,4,3] = input()                                                              x
        %1 f32[1,4,4,3] = conv2d 3x3 p1(%0, f32[3,3,3,3] #6ff0)                                conv4
        %2 f32[1,4,4,5] = conv2d 1x1(%1, f32[5,1,1,3] #d1e8)                                   conv6
        %3 f32[1,4,4,5] = conv2d 1x1 +residual relu(%0, f32[5,1,1,3] #194b, f32[5] #2806, %2)  conv2
        return %3 as y
        ");
    }

    #[test]
    fn refused_where_the_layer_is_used_elsewhere() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let sum = net.binary(Add, x, y);
        let y = net.binary(Mul, sum, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        residual refused: conv2, add3: the layer's value is used elsewhere
        %0 f32[1,4,4,3] = input()                             x
        %1 f32[1,4,4,3] = conv2d 1x1(%0, f32[3,1,1,3] #1217)  conv2
        %2 f32[1,4,4,3] = add(%0, %1)                         add3
        %3 f32[1,4,4,3] = mul(%2, %1)                         mul4
        return %3 as y
        ");
    }

    #[test]
    fn refused_where_a_term_is_broadcast() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let row = net.input(&[1, 1, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let y = net.binary(Add, y, row);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        residual refused: conv3, add4: f32[1,1,4,3] would be broadcast to f32[1,4,4,3]
        %0 f32[1,4,4,3] = input()                             x
        %1 f32[1,1,4,3] = input()                             x1
        %2 f32[1,4,4,3] = conv2d 1x1(%0, f32[3,1,1,3] #0ea0)  conv3
        %3 f32[1,4,4,3] = add(%2, %1)                         add4
        return %3 as y
        ");
    }

    #[test]
    fn refused_where_a_value_is_added_already() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let y = net.binary(Add, x, y);
        let y = net.binary(Add, x, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        residual: conv2, add3
        residual refused: conv2, add4: the layer already adds another value
        %0 f32[1,4,4,3] = input()                                                         x
        %1 f32[1,4,4,3] = conv2d 1x1 +residual(%0, f32[3,1,1,3] #1217, f32[3] #9d38, %0)  conv2
        %2 f32[1,4,4,3] = add(%0, %1)                                                     add4
        return %2 as y
        ");
    }

    #[test]
    fn twice_the_same_layer_is_no_residual() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.conv(x, 3, 1, 0);
        let y = net.binary(Add, y, y);
        insta::assert_snapshot!(fused(&net.returns(y)), @r"
        residual refused: conv2, add3: the layer's value is used elsewhere
        %0 f32[1,4,4,3] = input()                             x
        %1 f32[1,4,4,3] = conv2d 1x1(%0, f32[3,1,1,3] #1217)  conv2
        %2 f32[1,4,4,3] = add(%1, %1)                         add3
        return %2 as y
        ");
    }
}
