//! Minimum and maximum with a constant as a clamp, and clamps of clamps as one.

use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::{Activate, Activation};
use crate::ops::binary::BinaryOp;

/// Rewrites one node.
pub fn simplify(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some((x, lo, hi)) = of_constant(graph, id).or_else(|| of_clamp(graph, id)) else { return Ok(false) };
    let new = graph.add_like(id, Activate { activation: Activation::Clamp { lo, hi } }, &[x])?;
    graph.substitute(id, new);
    Ok(true)
}

/// `max(x, lo)` or `min(x, hi)`
fn of_constant(graph: &Graph, id: NodeId) -> Option<(NodeId, f32, f32)> {
    let Op::Binary(op) = graph.op(id) else { return None };
    let operands = graph.operands(id);
    let (slot, bound) = operands.iter().enumerate().find_map(|(i, &n)| Some((i, graph.scalar(n)? as f32)))?;
    let x = *operands.get(1 - slot)?;
    let fits = graph.ty(x) == graph.ty(id) && !bound.is_nan() && op.activation == Activation::Identity;
    match op.op {
        BinaryOp::Max if fits => Some((x, bound, f32::INFINITY)),
        BinaryOp::Min if fits => Some((x, f32::NEG_INFINITY, bound)),
        _ => None,
    }
}

/// `clamp(clamp(x, lo₁, hi₁), lo₂, hi₂) = clamp(x, clamp(lo₁, lo₂, hi₂), clamp(hi₁, lo₂, hi₂))`
fn of_clamp(graph: &Graph, id: NodeId) -> Option<(NodeId, f32, f32)> {
    let (inner, lo2, hi2) = bounds(graph, id)?;
    let (x, lo1, hi1) = bounds(graph, inner)?;
    Some((x, lo1.clamp(lo2, hi2), hi1.clamp(lo2, hi2)))
}

fn bounds(graph: &Graph, id: NodeId) -> Option<(NodeId, f32, f32)> {
    match graph.op(id) {
        Op::Activate(Activate { activation: Activation::Clamp { lo, hi } }) if lo <= hi => {
            Some((graph.operand(id, 0)?, *lo, *hi))
        }
        _ => None,
    }
}
