//! Transposes and reshapes behind elementwise preprocessing moved up to the input that it starts from:
//! `T(f(input)) → f(T(input))`. Normalisation then stands beside the first convolution and folds into it.

use super::each;
use super::transposes::permutation::{compose, extend};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::pad::Pad;
use crate::ops::reshape::Reshape;
use crate::ops::transpose::Transpose;

/// Moves layout changes up to the inputs.
pub fn hoist(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| match chain(graph, id) {
        Some(chain) => move_up(graph, id, &chain).map(|()| true),
        None => Ok(false),
    })
}

/// The elementwise nodes between a layout change and the input, the one nearest to the input first.
fn chain(graph: &Graph, id: NodeId) -> Option<Vec<NodeId>> {
    if !changes_layout(graph, id) {
        return None;
    }
    let mut chain = Vec::new();
    let mut at = graph.operand(id, 0)?;
    while let Some(above) = elementwise_on(graph, at, graph.op(id)) {
        graph.only_user(at)?;
        chain.push(at);
        at = above;
    }
    chain.reverse();
    (is_entry(graph, at) && !chain.is_empty()).then_some(chain)
}

fn changes_layout(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.op(id), Op::Transpose(_) | Op::Reshape(_))
}

fn is_entry(graph: &Graph, id: NodeId) -> bool {
    let is_input = |n: NodeId| matches!(graph.op(n), Op::Input(_));
    is_input(id) || (changes_layout(graph, id) && graph.operand(id, 0).is_some_and(is_input))
}

/// The streamed operand of a node that works element by element with constants only, or that pads.
fn elementwise_on(graph: &Graph, id: NodeId, layout: &Op) -> Option<NodeId> {
    let operands = graph.operands(id);
    match graph.op(id) {
        Op::Activate(_) | Op::Unary(_) | Op::Cast(_) => operands.first().copied(),
        Op::Pad(_) if matches!(layout, Op::Transpose(_)) => operands.first().copied(),
        Op::Binary(_) => {
            let constant = operands.iter().copied().find(|&n| graph.tensor(n).is_some())?;
            let x = operands.iter().copied().find(|&n| graph.tensor(n).is_none())?;
            let moves = matches!(layout, Op::Transpose(_)) || graph.ty(constant).elements() == 1;
            (moves && graph.ty(x).shape == graph.ty(id).shape).then_some(x)
        }
        _ => None,
    }
}

fn move_up(graph: &mut Graph, id: NodeId, chain: &[NodeId]) -> Result<(), Fault> {
    let layout = graph.op(id).clone();
    let Some(start) = chain.first().and_then(|&n| elementwise_on(graph, n, &layout)) else { return Ok(()) };
    let mut value = graph.add_like(id, layout.clone(), &[start])?;
    let mut above = start;
    for &n in chain {
        let mut operands = Vec::new();
        for operand in graph.operands(n) {
            let moved = operand == above;
            operands.push(if moved { value } else { constant(graph, operand, &layout)? });
        }
        let op = moved(graph.op(n), &layout);
        value = graph.add_like(n, op, &operands)?;
        above = n;
    }
    graph.substitute(id, value);
    Ok(())
}

/// The operator as it works on the other layout.
fn moved(op: &Op, layout: &Op) -> Op {
    match (op, layout) {
        (Op::Pad(pad), Op::Transpose(Transpose { permutation })) => {
            let permuted = |sizes: &[usize]| compose(sizes, permutation);
            Pad { before: permuted(&pad.before), after: permuted(&pad.after), value: pad.value }.into()
        }
        _ => op.clone(),
    }
}

/// A constant operand as the moved node needs it; folding evaluates what is added here.
fn constant(graph: &mut Graph, id: NodeId, layout: &Op) -> Result<NodeId, Fault> {
    if graph.ty(id).elements() == 1 {
        return graph.add_like(id, Reshape { shape: Vec::new() }, &[id]);
    }
    let Op::Transpose(Transpose { permutation }) = layout else { return Ok(id) };
    let rank = permutation.len();
    let mut shape = vec![1; rank.saturating_sub(graph.ty(id).rank())];
    shape.extend(&graph.ty(id).shape);
    let full = graph.add_like(id, Reshape { shape }, &[id])?;
    graph.add_like(id, Transpose { permutation: extend(permutation, rank) }, &[full])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, canonical};
    use crate::ops::binary::BinaryOp::{Div, Sub};

    #[test]
    fn normalisation_of_an_nchw_input_comes_behind_the_transpose() {
        let mut net = Net::new();
        let x = net.input(&[1, 3, 4, 5]);
        let (mean, deviation) = (net.weights(&[3, 1, 1]), net.weights(&[1, 3, 1, 1]));
        let centred = net.binary(Sub, x, mean);
        let scaled = net.binary(Div, centred, deviation);
        let padded =
            net.op("pad", Pad { before: vec![0; 4], after: vec![0, 0, 1, 1], value: 0.0 }, &[scaled]);
        let map = net.transpose(padded, [0, 2, 3, 1]);
        let y = net.conv(map, 2, 3, 0);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[1,3,4,5] = input()                                      x
        %1 f32[1,4,5,3] = transpose 0,2,3,1(%0)                        transpose5
        %2 f32[1,4,5,3] = affine(%1, f32[3] #6ff1, f32[3] #872a)       div4
        %3 f32[1,3,4,2] = conv2d 3x3 p0,0,1,1(%2, f32[2,3,3,3] #2ea8)  conv7
        return %3 as y
        ");
    }

    #[test]
    fn what_is_read_in_both_layouts_stays() {
        let mut net = Net::new();
        let x = net.input(&[1, 3, 4, 5]);
        let y = net.with_scalar(Div, x, 2.0);
        let map = net.transpose(y, [0, 2, 3, 1]);
        let z = net.conv(map, 2, 3, 0);
        net.graph.add_output("scaled", y);
        insta::assert_snapshot!(canonical(&net.returns(z)).text(), @r"
        %0 f32[1,3,4,5] = input()                             x
        %1 f32[1,3,4,5] = div(%0, f32[]{2})                   div1
        %2 f32[1,4,5,3] = transpose 0,2,3,1(%1)               transpose2
        %3 f32[1,2,3,2] = conv2d 3x3(%2, f32[2,3,3,3] #256b)  conv4
        return %1 as scaled
        return %3 as y
        ");
    }
}
