//! Transposes below operators of one streamed operand: attributes move to the operand's dimensions.

use super::permutation::{between, compose, unpermute};
use super::{Sunk, transposed};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::arg_reduce::ArgReduce;
use crate::ops::dequantize::Dequantize;
use crate::ops::expand::Expand;
use crate::ops::gather::Gather;
use crate::ops::interpolate::Interpolate;
use crate::ops::pad::Pad;
use crate::ops::quantize::Quantize;
use crate::ops::reduce::Reduce;
use crate::ops::slice::Slice;
use crate::ops::softmax::Softmax;

/// `op(T(x)) → T(op'(x))`, where operand 0 is the transposed one.
pub(super) fn sunk(graph: &Graph, id: NodeId) -> Option<Sunk> {
    let operands = graph.operands(id);
    let (x, p) = transposed(graph, *operands.first()?)?;
    let (op, permutation) = moved(graph, id, &p)?;
    let operands = std::iter::once(x).chain(operands.into_iter().skip(1)).collect();
    Some(Sunk { op, operands, permutation })
}

/// The operator on `x` instead of `T(x)`, and the transpose of its result.
fn moved(graph: &Graph, id: NodeId, p: &[usize]) -> Option<(Op, Vec<usize>)> {
    let op = graph.op(id);
    let keeps_last = p.last() == Some(&(p.len().wrapping_sub(1)));
    let same = || Some((op.clone(), p.to_vec()));
    match op {
        Op::Activate(_) | Op::Unary(_) | Op::Cast(_) => same(),
        Op::LayerNorm(_) | Op::Affine(_) => keeps_last.then(same).flatten(),
        Op::Dense(dense) => (keeps_last && dense.epilogue.is_empty()).then(same).flatten(),
        Op::MatMul(_) => (keeps_last && is_one_matrix(graph, id, p.len())).then(same).flatten(),
        Op::Quantize(op) => Some((Quantize { axis: axis(p, op.axis) }.into(), p.to_vec())),
        Op::Dequantize(op) => Some((Dequantize { axis: axis(p, op.axis) }.into(), p.to_vec())),
        Op::Softmax(op) => Some((Softmax { axis: axis(p, op.axis), log: op.log }.into(), p.to_vec())),
        Op::Interpolate(op) => {
            Some((Interpolate { axis: axis(p, op.axis), taps: op.taps.clone() }.into(), p.to_vec()))
        }
        Op::Pad(op) => {
            let (before, after) = (unpermute(p, &op.before), unpermute(p, &op.after));
            Some((Pad { before, after, value: op.value }.into(), p.to_vec()))
        }
        Op::Slice(op) => {
            let (starts, steps) = (unpermute(p, &op.starts), unpermute(p, &op.steps));
            Some((Slice { starts, steps, shape: unpermute(p, &op.shape) }.into(), p.to_vec()))
        }
        Op::Expand(op) => expand(op, p),
        Op::Gather(op) => gather(op, p),
        Op::Reduce(op) => reduce(op, p),
        Op::ArgReduce(op) => {
            let moved = ArgReduce { axis: axis(p, op.axis), ..op.clone() };
            Some((moved.into(), without(p, &[op.axis], op.keep)?))
        }
        Op::Input(_)
        | Op::Constant(_)
        | Op::Conv2d(_)
        | Op::PlanarConv2d(_)
        | Op::Depthwise(_)
        | Op::ConvTranspose2d(_)
        | Op::Pool2d(_)
        | Op::GlobalPool(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::ChannelScale(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Concat(_)
        | Op::QuantizedLayer(_)
        | Op::QuantizedMatMul(_)
        | Op::QuantizedBinary(_)
        | Op::QuantizedPool(_)
        | Op::QuantizedSoftmax(_)
        | Op::Lookup(_) => None,
    }
}

/// Whether a product multiplies every row of an operand of that rank by the same matrix.
fn is_one_matrix(graph: &Graph, id: NodeId, rank: usize) -> bool {
    let Some(matrix) = graph.operand(id, 1).map(|n| &graph.ty(n).shape) else { return false };
    let batches = matrix.len().saturating_sub(2);
    (2..=rank).contains(&matrix.len()) && matrix.iter().take(batches).all(|&n| n == 1)
}

/// The operand's axis; the axis of a scalar scale may be any number and stays.
fn axis(p: &[usize], axis: usize) -> usize {
    p.get(axis).copied().unwrap_or(axis)
}

fn reduce(op: &Reduce, p: &[usize]) -> Option<(Op, Vec<usize>)> {
    let mut axes: Vec<usize> = op.axes.iter().map(|&n| axis(p, n)).collect();
    axes.sort_unstable();
    let neighbours = axes.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let permutation = without(p, &op.axes, op.keep)?;
    neighbours.then(|| (Reduce { axes, ..op.clone() }.into(), permutation))
}

/// What is left of a permutation when `removed` dimensions of its result vanish.
fn without(p: &[usize], removed: &[usize], keep: bool) -> Option<Vec<usize>> {
    if keep {
        return Some(p.to_vec());
    }
    let wanted: Vec<usize> =
        p.iter().enumerate().filter(|(i, _)| !removed.contains(i)).map(|(_, &n)| n).collect();
    let mut given = wanted.clone();
    given.sort_unstable();
    between(&given, &wanted)
}

fn expand(op: &Expand, p: &[usize]) -> Option<(Op, Vec<usize>)> {
    let permutation = super::permutation::extend(p, op.shape.len());
    let shape = unpermute(&permutation, &op.shape);
    (permutation.len() == op.shape.len()).then(|| (Expand { shape }.into(), permutation))
}

/// A dimension of a gather's result.
#[derive(Clone, Copy, PartialEq)]
enum Dim {
    Operand(usize),
    Index(usize),
}

fn gather(op: &Gather, p: &[usize]) -> Option<(Op, Vec<usize>)> {
    let dims = |axis: usize, order: &[usize]| -> Vec<Dim> {
        let index = (0..op.index_shape.len()).map(Dim::Index);
        order
            .iter()
            .flat_map(|&n| {
                let own = (n != axis).then_some(Dim::Operand(n));
                let replaced = index.clone().take(if n == axis { usize::MAX } else { 0 });
                own.into_iter().chain(replaced)
            })
            .collect()
    };
    let moved = *p.get(op.axis)?;
    let operand_order = compose(p, &super::permutation::inverse(p));
    let permutation = between(&dims(moved, &operand_order), &dims(moved, p))?;
    Some((Gather { axis: moved, ..op.clone() }.into(), permutation))
}
