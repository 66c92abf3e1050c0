//! Slices that see only one operand of a concatenation.

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::slice::Slice;

/// `Slice(Concat(a, b)) → Slice(b)`, where the range lies in `b`.
pub fn past_concat(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| {
        let Some((part, slice)) = one_part(graph, id) else { return Ok(false) };
        let new = graph.add_like(id, slice, &[part])?;
        graph.substitute(id, new);
        Ok(true)
    })
}

/// The operand of the concatenation that a slice reads, and the slice as it reads it.
fn one_part(graph: &Graph, id: NodeId) -> Option<(NodeId, Slice)> {
    let Op::Slice(slice) = graph.op(id) else { return None };
    let concat = graph.operand(id, 0)?;
    let Op::Concat(op) = graph.op(concat) else { return None };
    let (start, count) = (*slice.starts.get(op.axis)?, *slice.shape.get(op.axis)?);
    if *slice.steps.get(op.axis)? != 1 || count == 0 {
        return None;
    }
    let mut first = 0;
    for part in graph.operands(concat) {
        let size = *graph.ty(part).shape.get(op.axis)?;
        if start >= first && start + count <= first + size {
            let mut moved = slice.clone();
            *moved.starts.get_mut(op.axis)? -= first;
            return Some((part, moved));
        }
        first += size;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, canonical};
    use crate::ops::concat::Concat;

    #[test]
    fn a_part_of_a_concatenation_is_read_directly() {
        let mut net = Net::new();
        let (a, b) = (net.input(&[2, 3]), net.input(&[2, 4]));
        let both = net.op("concat", Concat { axis: 1 }, &[a, b]);
        let y = net.op("slice", Slice { starts: vec![0, 4], steps: vec![1, 1], shape: vec![2, 3] }, &[both]);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3] = input()         x
        %1 f32[2,4] = input()         x1
        %2 f32[2,3] = slice :,1:(%1)  slice
        return %2 as y
        ");
    }

    #[test]
    fn a_range_over_both_parts_stays() {
        let mut net = Net::new();
        let (a, b) = (net.input(&[2, 3]), net.input(&[2, 4]));
        let both = net.op("concat", Concat { axis: 1 }, &[a, b]);
        let y = net.op("slice", Slice { starts: vec![0, 2], steps: vec![1, 1], shape: vec![2, 3] }, &[both]);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3] = input()                x
        %1 f32[2,4] = input()                x1
        %2 f32[2,7] = concat axis=1(%0, %1)  concat
        %3 f32[2,3] = slice :,2:(%2)         slice
        return %3 as y
        ");
    }
}
