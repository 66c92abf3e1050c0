//! Squeeze-and-excite: a map times a gate that is computed from the map's own means.

use super::{Note, channel_scale};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::global_pool::GlobalPool;

/// The fusion's name.
pub const NAME: &str = "squeeze_excite";

/// What becomes what.
pub const PATTERN: &str = "x · gate(dense(dense(global_pool(x)))) → channel_scale(x, gate)";

/// The longest way from the pool to the gate: two layers with an activation each, and reshapes.
const CHAIN: usize = 12;

/// See [`PATTERN`]. Layers and activations of the gate fuse on their own.
pub fn apply(graph: &mut Graph, id: NodeId) -> Result<Option<Note>, Fault> {
    let Some((map, factor, activation)) = channel_scale::matched(graph, id) else { return Ok(None) };
    let pooled = match pooled(graph, factor) {
        Ok(pooled) => pooled,
        Err(reason) => return Ok(Some(Note::refused(NAME, graph, &[factor, id], reason))),
    };
    if pooled != map {
        let reason = format!("the gate pools {}, but scales {}", graph.name(pooled), graph.name(map));
        return Ok(Some(Note::refused(NAME, graph, &[factor, id], reason)));
    }
    let note = Note::fired(NAME, graph, &[map, factor, id]);
    channel_scale::replace(graph, id, map, factor, activation)?;
    Ok(Some(note))
}

/// The map whose means a gate is computed from, or why there is none.
fn pooled(graph: &Graph, gate: NodeId) -> Result<NodeId, String> {
    let mut at = gate;
    let mut layers = 0;
    for _ in 0..CHAIN {
        match graph.op(at) {
            Op::GlobalPool(GlobalPool { max: false }) if layers > 0 => {
                return graph.operand(at, 0).ok_or_else(|| "the pool pools nothing".to_owned());
            }
            Op::GlobalPool(_) => return Err("the gate is no mean behind layers".into()),
            Op::Dense(_) | Op::Conv2d(_) => layers += 1,
            Op::Activate(_) | Op::Affine(_) | Op::Reshape(_) => {}
            other => return Err(format!("the gate is computed by {}", other.describe())),
        }
        at = graph.operand(at, 0).ok_or("the gate is computed from nothing")?;
    }
    Err(format!("no global pool within {CHAIN} operators before the gate"))
}
