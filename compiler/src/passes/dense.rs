//! One spelling for fully connected layers: [`Dense`] on the last axis.

use super::each;
use super::transposes::transposed;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::conv2d::Conv2d;
use crate::ops::dense::Dense;
use crate::ops::reshape::Reshape;
use crate::ops::transpose::Transpose;
use crate::tensor::DType;

/// Rewrites what amounts to a dense layer.
pub fn unify(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| {
        Ok(product(graph, id)?
            || merge_rows(graph, id)?
            || pointwise_on_one_pixel(graph, id)?
            || flattened(graph, id)?)
    })
}

/// `MatMul(x, constant [K,N]) → Dense`
fn product(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Op::MatMul(_) = graph.op(id) else { return Ok(false) };
    let operands = graph.operands(id);
    let [x, weight] = operands[..] else { return Ok(false) };
    let matrix = is_fixed(graph, weight) && graph.ty(weight).rank() == 2;
    if !matrix || graph.ty(x).rank() == 0 || graph.ty(x).dtype != DType::F32 {
        return Ok(false);
    }
    let new = graph.add_like(id, Dense { epilogue: Default::default() }, &operands)?;
    replace_if_equal(graph, id, new)
}

/// Whether a value is a constant, as real numbers or as codes.
fn is_fixed(graph: &Graph, id: NodeId) -> bool {
    let codes = matches!(graph.op(id), Op::Dequantize(_));
    graph.tensor(id).is_some() || codes && graph.operands(id).iter().all(|&n| graph.tensor(n).is_some())
}

/// `[B,M,K] · [1,K,N] → [1,B·M,K] · [1,K,N]`: one product instead of one a batch.
fn merge_rows(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let (Op::MatMul(_), [a, b]) = (graph.op(id), &graph.operands(id)[..]) else { return Ok(false) };
    let (a, b, shape) = (*a, *b, graph.ty(id).shape.clone());
    let (Some((&depth, rows)), Some((_, batches))) =
        (graph.ty(a).shape.split_last(), graph.ty(b).shape.split_last_chunk::<2>().map(|(b, m)| (m, b)))
    else {
        return Ok(false);
    };
    let one_matrix = batches.iter().all(|&n| n == 1) && batches.len() < rows.len();
    let in_batches = rows.split_last().is_some_and(|(_, batches)| batches.iter().any(|&n| n != 1));
    if !one_matrix || !in_batches {
        return Ok(false);
    }
    let mut merged = vec![1; rows.len() - 1];
    merged.extend([rows.iter().product(), depth]);
    let op = graph.op(id).clone();
    let a = graph.add_like(id, Reshape { shape: merged }, &[a])?;
    let product = graph.add_like(id, op, &[a, b])?;
    let new = graph.add_like(id, Reshape { shape }, &[product])?;
    replace_if_equal(graph, id, new)
}

/// A 1×1 convolution of a 1×1 map is a dense layer on `[N,1,1,C]`.
fn pointwise_on_one_pixel(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Op::Conv2d(Conv2d { window, groups: 1, epilogue }) = graph.op(id) else { return Ok(false) };
    let (plain, epilogue) = (window.kernel == [1, 1] && window.pad == [0; 4], *epilogue);
    let mut operands = graph.operands(id);
    let [x, weight, ..] = operands[..] else { return Ok(false) };
    let [_, 1, 1, depth] = graph.ty(x).shape[..] else { return Ok(false) };
    if !plain || graph.tensor(weight).is_none() {
        return Ok(false);
    }
    let outputs = graph.ty(weight).shape.first().copied().unwrap_or(0);
    let flat = graph.add_like(weight, Reshape { shape: vec![outputs, depth] }, &[weight])?;
    operands[1] = graph.add_like(weight, Transpose { permutation: vec![1, 0] }, &[flat])?;
    let new = graph.add_like(id, Dense { epilogue }, &operands)?;
    replace_if_equal(graph, id, new)
}

/// `Dense(Reshape(T(x)), W) → Dense(Reshape(x), T⁻¹(W))`, where all that is transposed is flattened into
/// the last axis: the rows of the weight change their places instead.
fn flattened(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some((x, permutation, kept)) = flattened_operand(graph, id) else { return Ok(false) };
    let (op, mut operands) = (graph.op(id).clone(), graph.operands(id));
    let (flat, weight) = (operands[0], operands[1]);
    let [depth, width] = graph.ty(weight).shape[..] else { return Ok(false) };
    let shape = graph.ty(x).shape.clone();
    let folded = |order: &[usize]| order.iter().map(|&n| n - kept).collect::<Vec<_>>();
    let inverse = super::transposes::permutation::inverse(&permutation);
    let mut spread: Vec<usize> =
        permutation.iter().skip(kept).filter_map(|&n| shape.get(n).copied()).collect();
    spread.push(width);
    let mut order = folded(&inverse[kept..]);
    order.push(permutation.len() - kept);
    let rows = graph.add_like(weight, Reshape { shape: spread }, &[weight])?;
    let rows = graph.add_like(weight, Transpose { permutation: order }, &[rows])?;
    operands[1] = graph.add_like(weight, Reshape { shape: vec![depth, width] }, &[rows])?;
    let target = graph.ty(flat).shape.clone();
    operands[0] = graph.add_like(flat, Reshape { shape: target }, &[x])?;
    let new = graph.add_like(id, op, &operands)?;
    replace_if_equal(graph, id, new)
}

/// `x`, its permutation, and how many leading dimensions neither the transpose nor the reshape touches.
fn flattened_operand(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<usize>, usize)> {
    let Op::Dense(_) = graph.op(id) else { return None };
    let [flat, weight, ..] = graph.operands(id)[..] else { return None };
    let Op::Reshape(Reshape { shape }) = graph.op(flat) else { return None };
    let (x, permutation) = transposed(graph, graph.operand(flat, 0)?)?;
    graph.tensor(weight)?;
    let kept = shape.len().checked_sub(1)?;
    let leads = kept < permutation.len()
        && permutation.iter().take(kept).enumerate().all(|(i, &n)| i == n)
        && graph.ty(x).shape.get(..kept) == shape.get(..kept);
    leads.then_some((x, permutation, kept))
}

fn replace_if_equal(graph: &mut Graph, id: NodeId, new: NodeId) -> Result<bool, Fault> {
    if graph.ty(new) != graph.ty(id) {
        return Err(Fault::bug(format!("{} became {}", graph.ty(id), graph.ty(new))));
    }
    graph.substitute(id, new);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, canonical};
    use crate::ops::global_pool::GlobalPool;
    use crate::ops::matmul::MatMul;

    #[test]
    fn a_pointwise_convolution_of_one_pixel() {
        let mut net = Net::new();
        let x = net.input(&[2, 3, 3, 4]);
        let pooled = net.op("pool", GlobalPool { max: false }, &[x]);
        let y = net.conv(pooled, 6, 1, 0);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3,3,4] = input()                    x
        %1 f32[2,1,1,4] = global_average_pool(%0)    pool
        %2 f32[2,1,1,6] = dense(%1, f32[4,6] #935f)  conv2
        return %2 as y
        ");
    }

    #[test]
    fn flattening_from_nchw_permutes_the_weights_rows() {
        let mut net = Net::new();
        let x = net.input(&[2, 3, 5, 4]);
        let y = net.conv(x, 6, 1, 0);
        let nchw = net.transpose(y, [0, 3, 1, 2]);
        let flat = net.op("flatten", Reshape { shape: vec![2, 90] }, &[nchw]);
        let y = net.dense(flat, 7);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3,5,4] = input()                                   x
        %1 f32[2,3,5,6] = conv2d 1x1(%0, f32[6,1,1,4] #f537)        conv2
        %2 f32[2,90]    = reshape(%1)                               flatten
        %3 f32[2,7]     = dense(%2, f32[90,7] #03c0, f32[7] #5ac9)  dense6
        return %3 as y
        ");
    }

    #[test]
    fn a_product_with_one_matrix_has_no_batches() {
        let mut net = Net::new();
        let (a, b) = (net.input(&[2, 3, 4, 5]), net.input(&[1, 1, 5, 6]));
        let y = net.op("matmul", MatMul {}, &[a, b]);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3,4,5]  = input()         x
        %1 f32[1,1,5,6]  = input()         x1
        %2 f32[1,1,24,5] = reshape(%0)     matmul
        %3 f32[1,1,24,6] = matmul(%2, %1)  matmul
        %4 f32[2,3,4,6]  = reshape(%3)     matmul
        return %4 as y
        ");
    }
}
