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

#[cfg(test)]
mod tests {
    use crate::graph::testing::{Net, canonical};
    use crate::ops::activation::Activation;
    use crate::ops::binary::BinaryOp::{Add, Div, Mul};

    #[test]
    fn equal_expressions_are_computed_once() {
        let mut net = Net::new();
        let x = net.input(&[2, 3]);
        let branch = |net: &mut Net| {
            let scaled = net.with_scalar(Div, x, 3.0);
            net.activate(Activation::Tanh, scaled)
        };
        let (a, b) = (branch(&mut net), branch(&mut net));
        let c = net.activate(Activation::Sigmoid, x);
        let product = net.binary(Mul, a, b);
        let y = net.binary(Add, product, c);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3] = input()            x
        %1 f32[2,3] = div(%0, f32[]{3})  div1
        %2 f32[2,3] = tanh(%1)           act2
        %3 f32[2,3] = mul(%2, %2)        mul6
        %4 f32[2,3] = sigmoid(%0)        act5
        %5 f32[2,3] = add(%3, %4)        add7
        return %5 as y
        ");
    }
}
