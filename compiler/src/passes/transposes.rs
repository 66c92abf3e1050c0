//! Transposes sunk towards the outputs, `op(T(x)) → T(op(x))`, until they meet and cancel.
//!
//! Each step moves a transpose below its user or removes one, so sinking ends. An operator that is bound
//! to a layout (a convolution, a matrix product) is where a transpose stops.

mod broadcast;
pub(super) mod permutation;
mod reshape;
mod single;

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::reshape::Reshape;
use crate::ops::transpose::Transpose;

/// A node rewritten to come before the transpose: `T(op(operands))`.
struct Sunk {
    op: Op,
    operands: Vec<NodeId>,
    permutation: Vec<usize>,
}

/// Sinks, composes and cancels transposes.
pub fn sink(graph: &mut Graph) -> Result<bool, Fault> {
    let sunk = each(graph, step)?;
    if sunk { Ok(true) } else { each(graph, to_reshape) }
}

fn step(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    if compose(graph, id)? {
        return Ok(true);
    }
    let Some(sunk) = sunk(graph, id)? else { return Ok(false) };
    let inner = graph.add_like(id, sunk.op, &sunk.operands)?;
    let outer = if permutation::is_identity(&sunk.permutation) {
        inner
    } else {
        graph.add_like(id, Transpose { permutation: sunk.permutation }, &[inner])?
    };
    graph.substitute(id, outer);
    Ok(true)
}

fn sunk(graph: &mut Graph, id: NodeId) -> Result<Option<Sunk>, Fault> {
    if !graph.operands(id).iter().any(|&n| transposed(graph, n).is_some()) {
        return Ok(None);
    }
    match graph.op(id) {
        Op::Binary(_) | Op::Compare(_) | Op::Select(_) => broadcast::sunk(graph, id),
        Op::Concat(_) => broadcast::concat(graph, id),
        Op::Reshape(_) => Ok(reshape::sunk(graph, id)),
        _ => Ok(single::sunk(graph, id)),
    }
}

/// `T2(T1(x)) → T(x)`
fn compose(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some((inner, second)) = transposed(graph, id) else { return Ok(false) };
    let Some((x, first)) = transposed(graph, inner) else { return Ok(false) };
    let permutation = permutation::compose(&first, &second);
    let new = if permutation::is_identity(&permutation) {
        x
    } else {
        graph.add_like(id, Transpose { permutation }, &[x])?
    };
    graph.substitute(id, new);
    Ok(true)
}

/// `T(x) → Reshape(x)` where only dimensions of length 1 change their place.
fn to_reshape(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some((x, permutation)) = transposed(graph, id) else { return Ok(false) };
    if !permutation::moves_only_ones(&permutation, &graph.ty(x).shape) {
        return Ok(false);
    }
    let shape = graph.ty(id).shape.clone();
    let new = graph.add_like(id, Reshape { shape }, &[x])?;
    graph.substitute(id, new);
    Ok(true)
}

/// `x` and the permutation of a node `T(x)`.
pub(super) fn transposed(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
    match graph.op(id) {
        Op::Transpose(op) => Some((graph.operand(id, 0)?, op.permutation.clone())),
        _ => None,
    }
}
