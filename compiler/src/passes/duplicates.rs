//! Common sub-expressions: of equal operators on equal operands, one stays.

use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::tensor::DType;
use std::collections::BTreeMap;

/// Constants of at most this many bytes are compared by content; larger ones are weights.
const COMPARED_BYTES: usize = 1 << 12;

/// Merges equal nodes.
pub fn merge(graph: &mut Graph) -> Result<bool, Fault> {
    let mut constants: BTreeMap<(DType, Vec<usize>, Vec<u8>), NodeId> = BTreeMap::new();
    let mut seen: BTreeMap<Vec<NodeId>, Vec<NodeId>> = BTreeMap::new();
    let mut changed = false;
    for id in graph.order() {
        let first = match graph.op(id) {
            Op::Input(_) => id,
            Op::Constant(constant) if constant.tensor.bytes().len() > COMPARED_BYTES => id,
            Op::Constant(constant) => {
                let ty = &constant.tensor.ty;
                let key = (ty.dtype, ty.shape.clone(), constant.tensor.bytes().to_vec());
                *constants.entry(key).or_insert(id)
            }
            op => {
                let same = seen.entry(graph.operands(id)).or_default();
                let twin = same.iter().copied().find(|&twin| graph.op(twin) == op);
                twin.unwrap_or_else(|| {
                    same.push(id);
                    id
                })
            }
        };
        if first != id {
            graph.replace(id, first);
            changed = true;
        }
    }
    Ok(changed)
}
