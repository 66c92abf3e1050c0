//! Tensors of an imported ONNX model, by the module that made them.
//!
//! Exporters keep or drop the names of initializers and put batch-norms into convolutions; the module path
//! of a node is what they all record. So a convolution in module `features.0.0` gives
//! `features.0.0.weight` and `features.0.0.bias`, wherever its initializers got their names. A batch-norm
//! that is still there gives `scale` and `shift`.

use super::Tensors;
use super::save::permuted;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::binary::BinaryOp;
use crate::tensor::Tensor;

/// The word of the zeros that a layer without a bias gets: exporters drop a bias of zeros.
pub(super) const ABSENT_BIAS: &str = "absent_bias";

/// The trained tensors of a graph, in PyTorch's shapes. Nodes without a module go by their own name.
pub fn of_graph(graph: &Graph) -> Tensors {
    let mut tensors = Tensors::new();
    for node in graph.order() {
        let module = graph.module(node).unwrap_or_else(|| graph.name(node)).to_owned();
        let mut put = |word: &str, tensor: Option<Tensor>| {
            if let Some(tensor) = tensor {
                tensors.entry(format!("{module}.{word}")).or_insert(tensor);
            }
        };
        let constant = |slot: usize| graph.operand(node, slot).and_then(|n| graph.tensor(n)).cloned();
        if let Op::Conv2d(_) | Op::Depthwise(_) | Op::Dense(_) = graph.op(node)
            && graph.operand(node, 2).is_none()
        {
            let channels = graph.ty(node).shape.last();
            put(ABSENT_BIAS, channels.map(|&n| Tensor::from_f32([n], &vec![0.0; n])));
        }
        match graph.op(node) {
            Op::Conv2d(_) => {
                put("weight", constant(1).and_then(|weight| permuted(&weight, &[0, 3, 1, 2]).ok()));
                put("bias", constant(2));
            }
            Op::Depthwise(_) => {
                put("weight", constant(1).and_then(|weight| permuted(&weight, &[2, 0, 1]).ok()));
                put("bias", constant(2));
            }
            Op::Dense(_) => {
                put("weight", constant(1).and_then(|weight| permuted(&weight, &[1, 0]).ok()));
                put("bias", constant(2));
            }
            Op::Affine(_) => {
                put("scale", constant(1));
                put("shift", constant(2));
            }
            Op::Binary(op) if op.op == BinaryOp::Mul => {
                put("gamma", factors(graph, node));
                put("weight", factors(graph, node));
            }
            _ => {}
        }
    }
    tensors
}

/// The constant of a product, one factor a channel.
fn factors(graph: &Graph, product: NodeId) -> Option<Tensor> {
    let constant = graph.operands(product).into_iter().find_map(|n| graph.tensor(n))?;
    let long = constant.ty.shape.iter().filter(|&&d| d != 1).count();
    (long == 1).then(|| constant.clone())
}
