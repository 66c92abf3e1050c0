//! Operators that change nothing: `x·1`, `x+0`, a transpose in place, a slice of everything.

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::binary::{Binary, BinaryOp};

/// Removes nodes whose value is their first operand's (or, for `1·x` and `0+x`, their second's).
pub fn remove(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| match same_as(graph, id) {
        Some(value) => {
            graph.substitute(id, value);
            Ok(true)
        }
        None => Ok(false),
    })
}

/// The operand that a node only repeats, if it does.
pub(crate) fn same_as(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let operands = graph.operands(id);
    let first = *operands.first()?;
    let value = match (graph.op(id), operands.get(1)) {
        (Op::Binary(op), Some(&second)) if is_neutral_left(graph, op, first) => second,
        _ if repeats_first(graph, id, first, operands.get(1).copied()) => first,
        _ => return None,
    };
    (graph.ty(value) == graph.ty(id)).then_some(value)
}

fn repeats_first(graph: &Graph, id: NodeId, first: NodeId, second: Option<NodeId>) -> bool {
    let shape = &graph.ty(first).shape;
    match graph.op(id) {
        // Their types differ unless they change nothing.
        Op::Reshape(_) | Op::Cast(_) | Op::Expand(_) => true,
        Op::Concat(_) => second.is_none(),
        Op::Pad(pad) => pad.before.iter().chain(&pad.after).all(|&n| n == 0),
        Op::Slice(slice) => {
            slice.shape == *shape && slice.steps.iter().zip(shape).all(|(&s, &n)| s > 0 || n == 1)
        }
        Op::Transpose(op) => op.permutation.iter().enumerate().all(|(i, &p)| i == p),
        Op::Gather(op) => op.index_shape.len() == 1 && op.indices.iter().enumerate().all(|(i, &n)| i == n),
        Op::Interpolate(op) => {
            op.taps.iter().enumerate().all(|(i, &(a, b, w))| a == i && (w == 0.0 || b == i))
        }
        Op::Activate(op) => is_identity(op.activation),
        Op::Binary(op) => second.is_some_and(|second| is_neutral_right(graph, op, second)),
        Op::Affine(op) => op.activation == Activation::Identity && is_plain_affine(graph, id),
        Op::Pool2d(op) => op.window.is_point(),
        Op::GlobalPool(_) => matches!(shape[..], [_, 1, 1, _]),
        Op::Reduce(op) => op.keep && op.axes.iter().all(|&axis| shape.get(axis) == Some(&1)),
        Op::Input(_)
        | Op::Constant(_)
        | Op::Conv2d(_)
        | Op::PlanarConv2d(_)
        | Op::Depthwise(_)
        | Op::ConvTranspose2d(_)
        | Op::Dense(_)
        | Op::MatMul(_)
        | Op::Unary(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::ChannelScale(_)
        | Op::ArgReduce(_)
        | Op::Softmax(_)
        | Op::LayerNorm(_)
        | Op::QuantizedLayer(_)
        | Op::QuantizedMatMul(_)
        | Op::QuantizedBinary(_)
        | Op::QuantizedPool(_)
        | Op::QuantizedSoftmax(_)
        | Op::Lookup(_) => false,
    }
}

fn is_identity(activation: Activation) -> bool {
    match activation {
        Activation::Identity => true,
        Activation::Clamp { lo, hi } => lo == f32::NEG_INFINITY && hi == f32::INFINITY,
        Activation::LeakyRelu { alpha } => alpha == 1.0,
        Activation::HardSwish
        | Activation::HardSigmoid { .. }
        | Activation::Sigmoid
        | Activation::Silu
        | Activation::Gelu
        | Activation::GeluTanh
        | Activation::Tanh
        | Activation::Elu { .. }
        | Activation::Softplus => false,
    }
}

/// Whether all elements of a constant are `value`.
fn all_are(graph: &Graph, id: NodeId, value: i64) -> bool {
    const COMPARED: usize = 1 << 16;
    graph.ty(id).elements() <= COMPARED
        && graph.tensor(id).is_some_and(|tensor| tensor.to_f64().iter().all(|&v| v == value as f64))
}

fn is_neutral_right(graph: &Graph, op: &Binary, second: NodeId) -> bool {
    let neutral = match op.op {
        BinaryOp::Add | BinaryOp::Sub => 0,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Pow => 1,
        BinaryOp::Min | BinaryOp::Max | BinaryOp::Mod => return false,
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => return false,
    };
    op.activation == Activation::Identity && all_are(graph, second, neutral)
}

fn is_neutral_left(graph: &Graph, op: &Binary, first: NodeId) -> bool {
    let commutes = matches!(op.op, BinaryOp::Add | BinaryOp::Mul);
    commutes && is_neutral_right(graph, op, first)
}

fn is_plain_affine(graph: &Graph, id: NodeId) -> bool {
    match graph.operands(id)[..] {
        [_, scale, shift] => all_are(graph, scale, 1) && all_are(graph, shift, 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::testing::{Net, canonical};
    use crate::ops::binary::BinaryOp::{Add, Mul, Sub};
    use crate::ops::concat::Concat;
    use crate::ops::pad::Pad;
    use crate::ops::reshape::Reshape;
    use crate::ops::slice::Slice;
    use crate::tensor::Tensor;

    #[test]
    fn what_changes_nothing_goes() {
        let mut net = Net::new();
        let x = net.input(&[2, 3]);
        let y = net.op("reshape", Reshape { shape: vec![2, 3] }, &[x]);
        let y = net.op("concat", Concat { axis: 1 }, &[y]);
        let y = net.op("pad", Pad { before: vec![0; 2], after: vec![0; 2], value: 1.0 }, &[y]);
        let y = net.op("slice", Slice { starts: vec![0; 2], steps: vec![1; 2], shape: vec![2, 3] }, &[y]);
        let y = net.with_scalar(Mul, y, 1.0);
        let zeros = net.graph.add_constant("zeros", Tensor::from_f32([3], &[0.0; 3]));
        let y = net.binary(Add, zeros, y);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3] = input()  x
        return %0 as y
        ");
    }

    #[test]
    fn zero_minus_x_stays() {
        let mut net = Net::new();
        let x = net.input(&[2, 3]);
        let zero = net.scalar(0.0);
        let y = net.binary(Sub, zero, x);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3] = input()            x
        %1 f32[2,3] = sub(f32[]{0}, %0)  sub1
        return %1 as y
        ");
    }

    #[test]
    fn broadcasting_by_zeros_stays() {
        let mut net = Net::new();
        let x = net.input(&[1, 3]);
        let zeros = net.graph.add_constant("zeros", Tensor::from_f32([2, 3], &[0.0; 6]));
        let y = net.binary(Add, x, zeros);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[1,3] = input()                  x
        %1 f32[2,3] = add(%0, f32[2,3] #9d3c)  add1
        return %1 as y
        ");
    }
}
