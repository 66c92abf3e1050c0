//! Transposes below operators of several operands: sums and products with broadcasting, concatenation.

use super::permutation::{compose, extend, inverse, is_identity};
use super::{Sunk, transposed};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::concat::Concat;
use crate::ops::reshape::Reshape;
use crate::ops::transpose::Transpose;

/// `op(T(a), b) → T(op(a, T⁻¹(b)))`
///
/// The largest transposed operand leads. An operand that is transposed likewise loses its transpose, a
/// constant is permuted, and a smaller one gets the inverse transpose. One as large as the leader gets
/// it only where that pays: all users of the result would undo the transpose.
pub(super) fn sunk(graph: &mut Graph, id: NodeId) -> Result<Option<Sunk>, Fault> {
    let operands = graph.operands(id);
    let rank = graph.ty(id).rank();
    let Some((leader, permutation)) = leading(graph, &operands, rank) else { return Ok(None) };
    let size = graph.ty(leader).elements();
    let pays = cancels_below(graph, id, leader, &permutation);
    let fits = |&n: &NodeId| {
        let elements = graph.ty(n).elements();
        elements < size || is_free(graph, n, &permutation) || (pays && elements == size)
    };
    if !operands.iter().all(fits) {
        return Ok(None);
    }
    let op = graph.op(id).clone();
    let operands: Result<Vec<NodeId>, Fault> =
        operands.into_iter().map(|n| untransposed(graph, id, n, &permutation)).collect();
    Ok(Some(Sunk { op, operands: operands?, permutation }))
}

/// `concat(T(a), T(b), constant) → T(concat(a, b, T⁻¹(constant)))`
pub(super) fn concat(graph: &mut Graph, id: NodeId) -> Result<Option<Sunk>, Fault> {
    let Op::Concat(Concat { axis }) = *graph.op(id) else { return Ok(None) };
    let operands = graph.operands(id);
    let Some((_, permutation)) = leading(graph, &operands, graph.ty(id).rank()) else { return Ok(None) };
    let Some(&axis) = permutation.get(axis) else { return Ok(None) };
    if !operands.iter().all(|&n| is_free(graph, n, &permutation)) {
        return Ok(None);
    }
    let operands: Result<Vec<NodeId>, Fault> =
        operands.into_iter().map(|n| untransposed(graph, id, n, &permutation)).collect();
    Ok(Some(Sunk { op: Concat { axis }.into(), operands: operands?, permutation }))
}

/// The transposed operand of most elements, and its permutation in the result's rank.
fn leading(graph: &Graph, operands: &[NodeId], rank: usize) -> Option<(NodeId, Vec<usize>)> {
    let mut best: Option<(NodeId, Vec<usize>)> = None;
    for &n in operands {
        let Some((_, p)) = transposed(graph, n) else { continue };
        let larger = |(m, _): &(NodeId, Vec<usize>)| graph.ty(n).elements() > graph.ty(*m).elements();
        if best.as_ref().is_none_or(larger) {
            best = Some((n, extend(&p, rank)));
        }
    }
    best
}

/// Whether an operand needs no computed transpose to stand above `permutation`.
fn is_free(graph: &Graph, n: NodeId, permutation: &[usize]) -> bool {
    let likewise = transposed(graph, n).is_some_and(|(_, p)| extend(&p, permutation.len()) == permutation);
    likewise || graph.tensor(n).is_some() || graph.ty(n).elements() == 1
}

/// Whether the transpose below would vanish altogether and the one above with it.
fn cancels_below(graph: &Graph, id: NodeId, leader: NodeId, permutation: &[usize]) -> bool {
    let undone =
        |user: &NodeId| transposed(graph, *user).is_some_and(|(_, p)| is_identity(&compose(permutation, &p)));
    let users = graph.users(id);
    graph.only_user(leader).is_some() && !graph.is_output(id) && !users.is_empty() && users.iter().all(undone)
}

/// The operand as it stands above the transpose.
fn untransposed(graph: &mut Graph, id: NodeId, n: NodeId, permutation: &[usize]) -> Result<NodeId, Fault> {
    let rank = permutation.len();
    match transposed(graph, n) {
        Some((x, p)) if extend(&p, rank) == permutation => return Ok(x),
        _ if graph.ty(n).elements() == 1 => return Ok(n),
        _ => {}
    }
    let mut full = n;
    if graph.ty(n).rank() < rank {
        let mut shape = vec![1; rank - graph.ty(n).rank()];
        shape.extend(&graph.ty(n).shape);
        full = graph.add_like(id, Reshape { shape }, &[n])?;
    }
    graph.add_like(id, Transpose { permutation: inverse(permutation) }, &[full])
}
