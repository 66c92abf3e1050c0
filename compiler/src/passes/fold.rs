//! Constant folding: a node whose operands are all constants becomes a constant.
//!
//! A tensor of quantized weights stays as it is behind its [`Dequantize`](crate::ops::dequantize), so
//! that kernels for integers find it.

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::reference::Array;
use crate::tensor::Tensor;

/// A result larger than its operands is folded up to this many elements.
const GROWTH_LIMIT: usize = 1 << 16;

/// Multiply-adds of the largest product that is folded.
const WORK_LIMIT: u64 = 1 << 26;

/// Replaces constant expressions by their values.
pub fn fold(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| {
        if !foldable(graph, id) {
            return Ok(false);
        }
        let operands: Vec<Array> =
            graph.operands(id).iter().filter_map(|&n| graph.tensor(n).map(Array::from)).collect();
        let value = graph.op(id).eval(&operands.iter().collect::<Vec<_>>(), graph.ty(id));
        let constant = graph.add_constant_like(id, Tensor::from(&value));
        graph.substitute(id, constant);
        Ok(true)
    })
}

/// Whether a node is an expression of constants that folding replaces.
pub(crate) fn foldable(graph: &Graph, id: NodeId) -> bool {
    let operands = graph.operands(id);
    let constant = !operands.is_empty() && operands.iter().all(|&n| graph.tensor(n).is_some());
    let elements = graph.ty(id).elements();
    let read: usize = operands.iter().map(|&n| graph.ty(n).elements()).sum();
    let weights = matches!(graph.op(id), Op::Dequantize(_)) && elements != 1;
    constant && !weights && elements <= read.max(GROWTH_LIMIT) && graph.node_macs(id) <= WORK_LIMIT
}

#[cfg(test)]
mod tests {
    use crate::graph::testing::{Net, canonical};
    use crate::ops::binary::BinaryOp::{Add, Mul};

    #[test]
    fn arithmetic_of_constants_becomes_one_constant() {
        let mut net = Net::new();
        let x = net.input(&[2, 2, 3]);
        let (a, b) = (net.weights(&[2, 2, 3]), net.weights(&[2, 1, 3]));
        let product = net.binary(Mul, a, b);
        let y = net.binary(Add, x, product);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,2,3] = input()                    x
        %1 f32[2,2,3] = add(%0, f32[2,2,3] #cdb7)  add4
        return %1 as y
        ");
    }
}
