//! Transposes and reshapes behind elementwise preprocessing moved up to the input that it starts from:
//! `T(f(input)) → f(T(input))`. Normalisation then stands beside the first convolution and folds into it.

use super::each;
use super::transposes::permutation::extend;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
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

/// The streamed operand of a node that works element by element with constants only.
fn elementwise_on(graph: &Graph, id: NodeId, layout: &Op) -> Option<NodeId> {
    let operands = graph.operands(id);
    match graph.op(id) {
        Op::Activate(_) | Op::Unary(_) | Op::Cast(_) => operands.first().copied(),
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
        let op = graph.op(n).clone();
        value = graph.add_like(n, op, &operands)?;
        above = n;
    }
    graph.substitute(id, value);
    Ok(())
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
