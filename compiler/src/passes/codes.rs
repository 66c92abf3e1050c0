//! Quantised values in one spelling.
//!
//! Integer weights stand directly below their scales: `move(DQ(w)) → DQ(move(w))` for constants. A value
//! whose elements are multiples of a scale already is not quantised by that scale again:
//! `DQ(Q(move(DQ(x)))) → move(DQ(x))`.

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::dequantize::Dequantize;
use crate::ops::pad::Pad;
use crate::ops::pool::Pooling;
use crate::reference::Array;
use crate::tensor::{Tensor, TensorType};

/// Does both.
pub fn unify(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| Ok(below_scales(graph, id)? || twice(graph, id)))
}

fn below_scales(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some(above) = graph.operand(id, 0) else { return Ok(false) };
    let Op::Dequantize(dequantize) = graph.op(above) else { return Ok(false) };
    let (axis, scales) = (dequantize.axis, graph.operands(above));
    let [codes, scale, zero_point] = scales[..] else { return Ok(false) };
    let single = graph.ty(scale).elements() == 1;
    let moved = match graph.op(id) {
        Op::Transpose(op) => op.permutation.iter().position(|&from| from == axis),
        Op::Reshape(op) => kept_axis(&graph.ty(codes).shape, &op.shape, axis),
        _ => return Ok(false),
    };
    let Some(axis) = moved.or(single.then_some(0)) else { return Ok(false) };
    let Some(tensor) = graph.tensor(codes).map(Array::from) else { return Ok(false) };
    let moved = graph.op(id).eval(&[&tensor], &TensorType::new(tensor.ty.dtype, graph.ty(id).shape.clone()));
    let codes = graph.add_constant_like(codes, Tensor::from(&moved));
    let new = graph.add_like(id, Dequantize { axis }, &[codes, scale, zero_point])?;
    graph.substitute(id, new);
    Ok(true)
}

/// Where an axis is found behind a reshape that leaves it whole.
fn kept_axis(from: &[usize], to: &[usize], axis: usize) -> Option<usize> {
    let length = *from.get(axis)?;
    let outer: usize = from[..axis].iter().product();
    (0..to.len()).find(|&at| to[at] == length && to[..at].iter().product::<usize>() == outer)
}

fn twice(graph: &mut Graph, id: NodeId) -> bool {
    let (Op::Dequantize(_), Some(q)) = (graph.op(id), graph.operand(id, 0)) else { return false };
    let (Op::Quantize(_), Some(value)) = (graph.op(q), graph.operand(q, 0)) else { return false };
    let scales = |n: NodeId| graph.operands(n).get(1..3).map(<[NodeId]>::to_vec);
    let same = scales(id).zip(scales(q)).is_some_and(|(a, b)| {
        a.iter()
            .zip(&b)
            .all(|(&a, &b)| a == b || (graph.tensor(a).is_some() && graph.tensor(a) == graph.tensor(b)))
    });
    let stays = same && is_multiple(graph, value, id);
    if stays {
        graph.substitute(id, value);
    }
    stays
}

/// Whether all elements of a value are what codes of the same scale and zero point as those of `of` stand
/// for.
fn is_multiple(graph: &Graph, value: NodeId, of: NodeId) -> bool {
    let operands = graph.operands(value);
    let first = || operands.first().is_some_and(|&n| is_multiple(graph, n, of));
    match graph.op(value) {
        Op::Dequantize(_) => {
            let scales = |n: NodeId| {
                let [_, scale, zero_point] = graph.operands(n)[..] else { return None };
                let single = graph.ty(scale).elements() == 1;
                Some((graph.scalar(scale)?.to_bits(), graph.tensor(zero_point)?.clone())).filter(|_| single)
            };
            let key = |n: NodeId| scales(n).map(|(scale, zero)| (scale, zero.ty.dtype, zero.to_i64()));
            key(value).is_some() && key(value) == key(of)
        }
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Gather(_) | Op::Expand(_) => first(),
        Op::Pad(Pad { value: 0.0, .. }) => first(),
        Op::Activate(op) => op.activation == Activation::RELU && first(),
        Op::Pool2d(op) => op.pooling == Pooling::Max && first(),
        Op::GlobalPool(op) => op.max && first(),
        Op::Concat(_) => operands.iter().all(|&n| is_multiple(graph, n, of)),
        _ => false,
    }
}
