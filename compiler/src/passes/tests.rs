//! Networks at random: canonicalisation and fusion keep what they compute, and add no transposes.

use crate::fusions;
use crate::graph::testing::{Net, assert_same};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::arg_reduce::ArgReduce;
use crate::ops::binary::BinaryOp;
use crate::ops::cast::Cast;
use crate::ops::concat::Concat;
use crate::ops::expand::Expand;
use crate::ops::gather::Gather;
use crate::ops::global_pool::GlobalPool;
use crate::ops::matmul::MatMul;
use crate::ops::pad::Pad;
use crate::ops::reduce::{Reduce, ReduceOp};
use crate::ops::reshape::Reshape;
use crate::ops::slice::Slice;
use crate::ops::softmax::Softmax;
use crate::ops::transpose::Transpose;
use crate::passes;
use crate::tensor::{DType, TensorType};
use proptest::prelude::*;

/// Adds the operator that `choice` stands for behind `x`; `other` is any earlier value.
fn grow(net: &mut Net, x: NodeId, other: NodeId, [choice, a, b]: [usize; 3]) -> NodeId {
    let shape = net.graph.ty(x).shape.clone();
    let rank = shape.len();
    let axis = a % rank;
    let binary = [BinaryOp::Add, BinaryOp::Mul, BinaryOp::Sub][b % 3];
    match choice % 20 {
        0..4 => net.op("t", Transpose { permutation: permutation(rank, a) }, &[x]),
        4 => net.activate([Activation::RELU6, Activation::HardSwish, Activation::Tanh][a % 3], x),
        5 => net.with_scalar(binary, x, a as f32 / 4.0),
        6 => {
            let mut along = vec![1; rank];
            along[axis] = shape[axis];
            let constant = net.weights(&along);
            net.binary(binary, x, constant)
        }
        7 if net.graph.ty(other).shape == shape => net.binary(binary, x, other),
        7 => net.binary(binary, x, x),
        8 => {
            let keep = rank <= 3 || b.is_multiple_of(2);
            net.op("mean", Reduce { op: ReduceOp::Mean, axes: vec![axis], keep }, &[x])
        }
        9 => net.op("softmax", Softmax { axis, log: false }, &[x]),
        10 => net.op("concat", Concat { axis }, &[x, x]),
        11 => {
            let mut op = Slice { starts: vec![0; rank], steps: vec![1; rank], shape };
            op.starts[axis] = (op.shape[axis] - 1).min(1);
            op.shape[axis] -= op.starts[axis];
            net.op("slice", op, &[x])
        }
        12 => {
            let mut after = vec![0; rank];
            after[axis] = 1;
            net.op("pad", Pad { before: vec![0; rank], after, value: 0.0 }, &[x])
        }
        13 => net.op("reshape", Reshape { shape: reshaped(&shape, a) }, &[x]),
        14 if rank == 4 => [Net::conv3, Net::narrow, Net::deep, Net::nchw][b % 4](net, x),
        15 if rank == 4 => net.op("pool", GlobalPool { max: a.is_multiple_of(2) }, &[x]),
        16 => {
            let (indices, index_shape) = ((0..shape[axis]).rev().collect(), vec![shape[axis]]);
            net.op("gather", Gather { axis, indices, index_shape }, &[x])
        }
        17 if shape[axis] == 1 => {
            let mut shape = shape;
            shape[axis] = 2;
            net.op("expand", Expand { shape }, &[x])
        }
        17 if rank > 3 => {
            let op = ArgReduce { axis, min: false, last: false, keep: true };
            let index = net.op("arg", op, &[x]);
            net.op("float", Cast { to: DType::F32 }, &[index])
        }
        18 if rank == 4 => Net::nchw(net, x),
        18 if rank > 1 => {
            let matrix = net.graph.add_input("matrix", TensorType::f32([shape[rank - 1], 2]));
            net.op("matmul", MatMul {}, &[x, matrix])
        }
        _ => net.dense(x, 3),
    }
}

impl Net {
    fn conv3(&mut self, x: NodeId) -> NodeId {
        self.conv(x, 3, 3, 1)
    }

    fn narrow(&mut self, x: NodeId) -> NodeId {
        let y = self.conv(x, 2, 1, 0);
        self.affine(y)
    }

    /// A convolution as it is imported from an NCHW model.
    fn nchw(&mut self, x: NodeId) -> NodeId {
        let map = self.transpose(x, [0, 2, 3, 1]);
        let y = self.conv(map, 2, 1, 0);
        self.transpose(y, [0, 3, 1, 2])
    }

    fn deep(&mut self, x: NodeId) -> NodeId {
        let y = self.affine(x);
        self.depthwise(y, 1)
    }
}

fn permutation(rank: usize, seed: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..rank).collect();
    let mut seed = seed;
    let mut taken = Vec::new();
    while !left.is_empty() {
        taken.push(left.remove(seed % left.len()));
        seed /= rank;
    }
    taken
}

/// Two dimensions merged, one split, or ones added.
fn reshaped(shape: &[usize], seed: usize) -> Vec<usize> {
    let mut new = shape.to_vec();
    let axis = seed % new.len();
    if seed.is_multiple_of(3) && axis + 1 < new.len() && new.len() > 2 {
        let merged = new.remove(axis);
        new[axis] *= merged;
    } else if new[axis].is_multiple_of(2) && new.len() < 5 {
        new[axis] /= 2;
        new.insert(axis, 2);
    } else if new.len() < 4 {
        new.insert(axis, 1);
    }
    new
}

fn transposes(graph: &Graph) -> usize {
    graph.order().into_iter().filter(|&id| matches!(graph.op(id), Op::Transpose(_))).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passes_keep_what_a_network_computes(
        steps in prop::collection::vec([0_usize..1000, 0..1000, 0..1000], 1..12),
        back in prop::collection::vec(0_usize..12, 12),
        extra in 0_usize..12,
    ) {
        let mut net = Net::new();
        let mut values = vec![net.input(&[1, 4, 3, 2])];
        for (i, step) in steps.iter().enumerate() {
            let x = values[values.len() - 1 - back[i] / 6 % values.len().min(2)];
            let other = values[back[i] % values.len()];
            if net.graph.ty(x).elements() < 4000 {
                values.push(grow(&mut net, x, other, *step));
            }
        }
        net.graph.add_output("extra", values[extra % values.len()]);
        let last = values[values.len() - 1];
        let before = net.returns(last);
        let mut after = before.clone();
        let notes = passes::canonicalize(&mut after).and_then(|_| {
            assert_same(&before, &after);
            fusions::fuse(&mut after)
        });
        prop_assert!(notes.is_ok(), "{}\n{}\n{}", notes.unwrap_err(), before.text(), after.text());
        assert_same(&before, &after);
        prop_assert!(transposes(&after) <= transposes(&before) + 2, "{}\n{}", before.text(), after.text());
    }
}
