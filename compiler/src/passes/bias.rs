//! A bias of zeros goes: exporters leave it out or write it down, and a batch-norm may leave one behind.

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;

/// `layer(x, W, 0) → layer(x, W)`
pub fn drop_zeros(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| {
        let Some(operands) = without_zeros(graph, id) else { return Ok(false) };
        let op = graph.op(id).clone();
        graph.rewrite(id, op, &operands)?;
        Ok(true)
    })
}

/// The operands without a bias of zeros. A layer with a residual has one operand more, and keeps it.
fn without_zeros(graph: &Graph, id: NodeId) -> Option<Vec<NodeId>> {
    let layer =
        matches!(graph.op(id), Op::Conv2d(_) | Op::Depthwise(_) | Op::ConvTranspose2d(_) | Op::Dense(_));
    let [x, weight, bias] = graph.operands(id)[..] else { return None };
    let zeros = layer && graph.floats(bias)?.iter().all(|&v| v == 0.0);
    zeros.then(|| vec![x, weight])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, assert_same};
    use crate::ops::dense::Dense;
    use crate::tensor::Tensor;

    #[test]
    fn only_zeros_go() {
        let mut net = Net::new();
        let x = net.input(&[2, 3]);
        let (weight, kept) = (net.weights(&[3, 4]), net.weights(&[4]));
        let zeros = net.graph.add_constant("zeros", Tensor::from_f32([4], &[0.0, -0.0, 0.0, 0.0]));
        let dense = || Dense { epilogue: Default::default() };
        let y = net.op("zeros", dense(), &[x, weight, zeros]);
        let more = net.weights(&[4, 4]);
        let y = net.op("kept", dense(), &[y, more, kept]);
        let before = net.returns(y);
        let mut after = before.clone();
        assert!(drop_zeros(&mut after).unwrap());
        let arity = |graph: &Graph| -> Vec<usize> {
            graph.order().iter().map(|&id| graph.operands(id).len()).filter(|&n| n > 0).collect()
        };
        assert_eq!(arity(&before), [3, 3]);
        assert_eq!(arity(&after), [2, 3]);
        assert_same(&before, &after);
    }
}
