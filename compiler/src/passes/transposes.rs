//! Transposes sunk towards the outputs, `op(T(x)) → T(op(x))`, until they meet and cancel.
//!
//! Each step moves a transpose below its user or removes one, so sinking ends. An operator that is bound
//! to a layout (a convolution, a matrix product) is where a transpose stops.

mod broadcast;
pub(super) mod permutation;
mod reshape;
mod single;

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::reshape::Reshape;
use crate::ops::transpose::Transpose;

/// A node rewritten to come before the transpose: `T(op(operands))`.
struct Sunk {
    op: Op,
    operands: Vec<NodeId>,
    permutation: Vec<usize>,
}

/// Sinks, composes and cancels transposes.
pub fn sink(graph: &mut Graph) -> Result<bool, Fault> {
    let sunk = each(graph, step)?;
    if sunk { Ok(true) } else { each(graph, to_reshape) }
}

fn step(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    if compose(graph, id)? {
        return Ok(true);
    }
    let Some(sunk) = sunk(graph, id)? else { return Ok(false) };
    let inner = graph.add_like(id, sunk.op, &sunk.operands)?;
    let outer = if permutation::is_identity(&sunk.permutation) {
        inner
    } else {
        graph.add_like(id, Transpose { permutation: sunk.permutation }, &[inner])?
    };
    graph.substitute(id, outer);
    Ok(true)
}

fn sunk(graph: &mut Graph, id: NodeId) -> Result<Option<Sunk>, Fault> {
    if !graph.operands(id).iter().any(|&n| transposed(graph, n).is_some()) {
        return Ok(None);
    }
    match graph.op(id) {
        Op::Binary(_) | Op::Compare(_) | Op::Select(_) => broadcast::sunk(graph, id),
        Op::Concat(_) => broadcast::concat(graph, id),
        Op::Reshape(_) => Ok(reshape::sunk(graph, id)),
        _ => Ok(single::sunk(graph, id)),
    }
}

/// `T2(T1(x)) → T(x)`
fn compose(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some((inner, second)) = transposed(graph, id) else { return Ok(false) };
    let Some((x, first)) = transposed(graph, inner) else { return Ok(false) };
    let permutation = permutation::compose(&first, &second);
    let new = if permutation::is_identity(&permutation) {
        x
    } else {
        graph.add_like(id, Transpose { permutation }, &[x])?
    };
    graph.substitute(id, new);
    Ok(true)
}

/// `T(x) → Reshape(x)` where only dimensions of length 1 change their place.
fn to_reshape(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some((x, permutation)) = transposed(graph, id) else { return Ok(false) };
    if !permutation::moves_only_ones(&permutation, &graph.ty(x).shape) {
        return Ok(false);
    }
    let shape = graph.ty(id).shape.clone();
    let new = graph.add_like(id, Reshape { shape }, &[x])?;
    graph.substitute(id, new);
    Ok(true)
}

/// `x` and the permutation of a node `T(x)`.
pub(super) fn transposed(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
    match graph.op(id) {
        Op::Transpose(op) => Some((graph.operand(id, 0)?, op.permutation.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, canonical};
    use crate::ops::activation::Activation;
    use crate::ops::binary::BinaryOp::{Add, Mul};
    use crate::ops::concat::Concat;
    use crate::ops::global_pool::GlobalPool;
    use crate::ops::matmul::MatMul;
    use crate::ops::reduce::{Reduce, ReduceOp};
    use crate::ops::slice::Slice;
    use crate::ops::softmax::Softmax;

    const TO_NHWC: [usize; 4] = [0, 2, 3, 1];
    const TO_NCHW: [usize; 4] = [0, 3, 1, 2];

    /// A convolution as it is imported from an NCHW model.
    fn conv(net: &mut Net, x: NodeId, outputs: usize) -> NodeId {
        let map = net.transpose(x, TO_NHWC);
        let y = net.conv(map, outputs, 1, 0);
        net.transpose(y, TO_NCHW)
    }

    #[test]
    fn a_residual_block_keeps_the_transposes_of_input_and_output() {
        let mut net = Net::new();
        let x = net.input(&[1, 3, 4, 5]);
        let a = conv(&mut net, x, 6);
        let b = net.activate(Activation::RELU6, a);
        let b = conv(&mut net, b, 6);
        let bias = net.weights(&[6, 1, 1]);
        let b = net.binary(Add, b, bias);
        let y = net.binary(Add, a, b);
        let y = conv(&mut net, y, 2);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[1,3,4,5] = input()                                 x
        %1 f32[1,4,5,3] = transpose 0,2,3,1(%0)                   transpose1
        %2 f32[1,4,5,6] = conv2d 1x1(%1, f32[6,1,1,3] #f583)      conv3
        %3 f32[1,4,5,6] = relu6(%2)                               act5
        %4 f32[1,4,5,6] = conv2d 1x1(%3, f32[6,1,1,6] #8bcf)      conv8
        %5 f32[1,4,5,6] = affine(%4, f32[6] #b666, f32[6] #2e9e)  add11
        %6 f32[1,4,5,6] = add(%2, %5)                             add12
        %7 f32[1,4,5,2] = conv2d 1x1(%6, f32[2,1,1,6] #e218)      conv15
        %8 f32[1,2,4,5] = transpose 0,3,1,2(%7)                   transpose16
        return %8 as y
        ");
    }

    #[test]
    fn axes_move_with_concat_slice_and_reduce() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 5, 3]);
        let a = net.transpose(x, TO_NCHW);
        let b = net.activate(Activation::Tanh, a);
        let both = net.op("concat", Concat { axis: 1 }, &[a, b]);
        let op = Slice { starts: vec![0, 1, 0, 0], steps: vec![1; 4], shape: vec![1, 4, 4, 5] };
        let part = net.op("slice", op, &[both]);
        let y = net.op("mean", Reduce { op: ReduceOp::Mean, axes: vec![2, 3], keep: false }, &[part]);
        let y = net.op("softmax", Softmax { axis: 1, log: false }, &[y]);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[1,4,5,3] = input()                  x
        %1 f32[1,4,5,3] = tanh(%0)                 act2
        %2 f32[1,4,5,6] = concat axis=3(%0, %1)    concat
        %3 f32[1,4,5,4] = slice :,:,:,1:(%2)       slice
        %4 f32[1,1,1,4] = global_average_pool(%3)  mean
        %5 f32[1,1,1,4] = softmax axis 3(%4)       softmax
        %6 f32[1,4]     = reshape(%5)              softmax
        return %6 as y
        ");
    }

    #[test]
    fn a_smaller_operand_is_transposed_instead() {
        let mut net = Net::new();
        let (x, gate) = (net.input(&[2, 4, 5, 3]), net.input(&[2, 3]));
        let a = net.transpose(x, TO_NCHW);
        let gate = net.op("unflatten", Reshape { shape: vec![2, 3, 1, 1] }, &[gate]);
        let y = net.binary(Mul, gate, a);
        let y = net.transpose(y, TO_NHWC);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,4,5,3] = input()      x
        %1 f32[2,3]     = input()      x1
        %2 f32[2,1,1,3] = reshape(%1)  mul3
        %3 f32[2,4,5,3] = mul(%2, %0)  mul3
        return %3 as y
        ");
    }

    #[test]
    fn an_equal_operand_is_transposed_where_the_result_comes_back() {
        let mut net = Net::new();
        let (x, other) = (net.input(&[2, 4, 5, 3]), net.input(&[2, 3, 4, 5]));
        let a = net.transpose(x, TO_NCHW);
        let sum = net.binary(Add, a, other);
        let y = conv(&mut net, sum, 2);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,4,5,3] = input()                             x
        %1 f32[2,3,4,5] = input()                             x1
        %2 f32[2,4,5,3] = transpose 0,2,3,1(%1)               add3
        %3 f32[2,4,5,3] = add(%0, %2)                         add3
        %4 f32[2,4,5,2] = conv2d 1x1(%3, f32[2,1,1,3] #92f4)  conv6
        %5 f32[2,2,4,5] = transpose 0,3,1,2(%4)               transpose7
        return %5 as y
        ");
    }

    #[test]
    fn an_equal_operand_stays_where_nothing_is_gained() {
        let mut net = Net::new();
        let (x, other) = (net.input(&[2, 4, 5, 3]), net.input(&[2, 3, 4, 5]));
        let a = net.transpose(x, TO_NCHW);
        let y = net.binary(Add, a, other);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,4,5,3] = input()                x
        %1 f32[2,3,4,5] = input()                x1
        %2 f32[2,3,4,5] = transpose 0,3,1,2(%0)  transpose2
        %3 f32[2,3,4,5] = add(%2, %1)            add3
        return %3 as y
        ");
    }

    #[test]
    fn flattening_a_pooled_map_needs_no_transpose() {
        let mut net = Net::new();
        let x = net.input(&[2, 4, 5, 3]);
        let pooled = net.op("pool", GlobalPool { max: false }, &[x]);
        let nchw = net.transpose(pooled, TO_NCHW);
        let y = net.op("flatten", Reshape { shape: vec![2, 3] }, &[nchw]);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,4,5,3] = input()                  x
        %1 f32[2,1,1,3] = global_average_pool(%0)  pool
        %2 f32[2,3]     = reshape(%1)              flatten
        return %2 as y
        ");
    }

    #[test]
    fn queries_of_all_heads_are_rows_of_one_product_with_shared_keys() {
        let mut net = Net::new();
        let (x, keys) = (net.input(&[1, 4, 4, 6]), net.input(&[1, 1, 3, 5]));
        let values = net.input(&[1, 1, 5, 3]);
        let nchw = net.transpose(x, TO_NCHW);
        let heads = net.op("heads", Reshape { shape: vec![1, 2, 3, 16] }, &[nchw]);
        let queries = net.transpose(heads, [0, 1, 3, 2]);
        let scores = net.op("scores", MatMul {}, &[queries, keys]);
        let weights = net.op("softmax", Softmax { axis: 3, log: false }, &[scores]);
        let mixed = net.op("mix", MatMul {}, &[weights, values]);
        let back = net.transpose(mixed, [0, 1, 3, 2]);
        let map = net.op("map", Reshape { shape: vec![1, 6, 4, 4] }, &[back]);
        let y = net.transpose(map, TO_NHWC);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[1,4,4,6]  = input()             x
        %1 f32[1,1,3,5]  = input()             x1
        %2 f32[1,1,5,3]  = input()             x2
        %3 f32[1,1,32,3] = reshape(%0)         scores
        %4 f32[1,1,32,5] = matmul(%3, %1)      scores
        %5 f32[1,1,32,5] = softmax axis 3(%4)  softmax
        %6 f32[1,1,32,3] = matmul(%5, %2)      mix
        %7 f32[1,4,4,6]  = reshape(%6)         map
        return %7 as y
        ");
    }
}
