//! Batched matrix product of two computed tensors: `y[.., i, j] = Σ_k a[.., i, k] · b[.., k, j]`, with
//! ONNX broadcasting of the batch dimensions.
//!
//! ONNX's `MatMul` and `Einsum` are read here; a product by a constant matrix becomes
//! [`Dense`].

mod einsum;

use super::dense::{Dense, add_product};
use super::{Operator, compose, expect, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::epilogue::Epilogue;
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `MatMul`, and the forms of `Einsum` that are one matrix product.
pub const ONNX: &[Spelling] = &[("MatMul", import), ("Einsum", einsum::import)];

/// Batched matrix product. Operands: `[.., M, K]` and `[.., K, N]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMul {}

impl Operator for MatMul {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats("a matrix product", operands, 2..=2)?;
        result([&operands[0], &operands[1]], DType::F32)
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let mut sums = vec![0.0; ty.elements()];
        let Some(sizes) = Sizes::of([&operands[0].ty, &operands[1].ty], ty) else {
            return Array::zeros(ty);
        };
        let (a, b) = (operands[0].floats(), operands[1].floats());
        for (index, out) in sums.chunks_exact_mut(sizes.m * sizes.n).enumerate() {
            let a = &a[sizes.offset(index, &sizes.a_strides)..][..sizes.m * sizes.k];
            let b = &b[sizes.offset(index, &sizes.b_strides)..][..sizes.k * sizes.n];
            for (out, row) in out.chunks_exact_mut(sizes.n).zip(a.chunks_exact(sizes.k)) {
                add_product(out, row, b);
            }
        }
        Array { ty: ty.clone(), data: Data::Float(sums) }
    }

    fn macs(&self, operands: &[TensorType], ty: &TensorType) -> u64 {
        let depth = operands.first().and_then(|a| a.shape.last()).copied().unwrap_or(0);
        ty.elements() as u64 * depth as u64
    }

    fn describe(&self) -> String {
        "matmul".into()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(vec![request(site)?])
    }
}

/// The type of a product, of elements of `dtype`.
pub(super) fn result([a, b]: [&TensorType; 2], dtype: DType) -> Result<TensorType, Fault> {
    let fault = || Fault::model(format!("{a} cannot be multiplied by {b}"));
    let ([a_batch @ .., m, k], [b_batch @ .., depth, n]) = (&a.shape[..], &b.shape[..]) else {
        return Err(fault());
    };
    if k != depth {
        return Err(fault());
    }
    let mut shape = shape::broadcast(a_batch, b_batch).map_err(|_| fault())?;
    shape.extend([*m, *n]);
    TensorType::checked(dtype, shape)
}

/// A product of real numbers at a site, whatever the site's types are.
pub(super) fn request(site: &Site<'_>) -> Result<Request, Fault> {
    let [a, b] = [&site.operands[0], &site.operands[1]];
    let Some(sizes) = Sizes::of([a, b], site.output) else {
        return Err(Fault::unsupported(format!("a matrix product of {a} and {b}, which is empty")));
    };
    let ([batch, a_strides, b_strides], Sizes { m, n, k, .. }) = (sizes.four()?, sizes);
    Ok(Request {
        family: Family::MatMul,
        dtype: DType::F32,
        shape: Shape { width: m, ..Shape::new(site.output.elements() / n, n, k) },
        fields: vec![
            ("a", Arg::Place(Operand::Input(0), 0)),
            ("b", Arg::Place(Operand::Input(1), 0)),
            ("output", Arg::Place(Operand::Output, 0)),
            ("batch", Arg::Usizes(batch)),
            ("a_strides", Arg::Usizes(a_strides)),
            ("b_strides", Arg::Usizes(b_strides)),
            ("m", Arg::Usize(m)),
            ("n", Arg::Usize(n)),
            ("k", Arg::Usize(k)),
        ],
        rows: Rows::Whole,
        in_place: false,
    })
}

/// A product's sizes and how its operands lie. No dimension is 0.
struct Sizes {
    m: usize,
    n: usize,
    k: usize,
    batch: Vec<usize>,
    a_strides: Vec<usize>,
    b_strides: Vec<usize>,
}

impl Sizes {
    /// `None` where some dimension is 0.
    fn of([a, b]: [&TensorType; 2], output: &TensorType) -> Option<Self> {
        let ([batch @ .., m, n], [a_batch @ .., _, k], [b_batch @ .., _, _]) =
            (&output.shape[..], &a.shape[..], &b.shape[..])
        else {
            return None;
        };
        (output.elements() > 0 && *k > 0).then(|| Self {
            m: *m,
            n: *n,
            k: *k,
            batch: batch.to_vec(),
            a_strides: strides(a_batch, batch.len(), m * k),
            b_strides: strides(b_batch, batch.len(), k * n),
        })
    }

    /// Where the matrix of batch entry `index` starts.
    fn offset(&self, mut index: usize, strides: &[usize]) -> usize {
        let mut offset = 0;
        for (&length, &stride) in self.batch.iter().zip(strides).rev() {
            offset += index % length * stride;
            index /= length;
        }
        offset
    }

    /// Batch and both strides with neighbouring dimensions merged where they lie densely, 1 in front.
    fn four(&self) -> Result<[Vec<usize>; 3], Fault> {
        let mut merged: Vec<[usize; 3]> = Vec::new();
        let dimensions = self.batch.iter().zip(&self.a_strides).zip(&self.b_strides);
        for ((&length, &a), &b) in dimensions.filter(|((length, _), _)| **length > 1) {
            match merged.last_mut() {
                Some(last) if last[1] == a * length && last[2] == b * length => {
                    *last = [last[0] * length, a, b];
                }
                _ => merged.push([length, a, b]),
            }
        }
        if merged.len() > 4 {
            let batch = crate::tensor::dims(&self.batch);
            return Err(Fault::unsupported(format!("a matrix product with the batch dimensions {batch}"))
                .help("reshape the operands to at most four batch dimensions"));
        }
        merged.splice(0..0, vec![[1, 0, 0]; 4 - merged.len()]);
        Ok([0, 1, 2].map(|column| merged.iter().map(|row| row[column]).collect()))
    }
}

/// Elements from one matrix to the next along each of `rank` batch dimensions; 0 where `batch` is
/// broadcast.
fn strides(batch: &[usize], rank: usize, matrix: usize) -> Vec<usize> {
    let mut strides = vec![0; rank];
    let mut stride = matrix;
    for (&length, slot) in batch.iter().rev().zip(strides.iter_mut().rev()) {
        if length != 1 {
            *slot = stride;
        }
        stride *= length;
    }
    strides
}

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let [a_shape, b_shape] = [a, b].map(|value| call.ty(value).shape);
    let left = if let [k] = a_shape[..] { compose::reshape(call, a, [1, k])? } else { a };
    let right = if let [k] = b_shape[..] { compose::reshape(call, b, [k, 1])? } else { b };
    let result = product(call, left, right)?;
    let mut shape = call.ty(result).shape;
    if b_shape.len() == 1 {
        shape.pop();
    }
    if a_shape.len() == 1 {
        shape.remove(shape.len() - if b_shape.len() == 1 { 1 } else { 2 });
    }
    Ok(vec![compose::reshape(call, result, shape)?])
}

/// `a · b` for tensors of rank 2 and more: dense where `b` is one constant matrix.
fn product(call: &mut Call<'_>, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
    let (a_rank, b_shape) = (call.ty(a).rank(), call.ty(b).shape);
    let one_matrix = b_shape.iter().rev().skip(2).all(|&length| length == 1) && b_shape.len() <= a_rank;
    match (compose::is_fixed(call, b), &b_shape[..]) {
        (true, &[.., k, n]) if one_matrix => {
            let weight = compose::reshape(call, b, [k, n])?;
            call.emit(Dense { epilogue: Epilogue::default() }, &[a, weight])
        }
        _ => call.emit(MatMul {}, &[a, b]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &[usize], b: &[usize], result: Option<&[usize]>) {
        let found = MatMul {}.infer(&[TensorType::f32(a), TensorType::f32(b)]);
        assert_eq!(found.ok().map(|ty| ty.shape), result.map(<[usize]>::to_vec));
    }

    #[test]
    fn batches_broadcast() {
        check(&[2, 1, 3, 4], &[5, 4, 6], Some(&[2, 5, 3, 6]));
        check(&[2, 3, 4], &[3, 4, 6], None);
        check(&[3, 4], &[5, 6], None);
        check(&[4], &[4, 6], None);
    }

    #[test]
    fn broadcast_operand_is_read_again_for_each_batch_entry() {
        let a = Array::float([2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let b = Array::float([2, 2], vec![1.0, 10.0, 100.0, 1000.0]);
        let ty = MatMul {}.infer(&[a.ty.clone(), b.ty.clone()]).unwrap();
        let value = MatMul {}.eval(&[&a, &b], &ty);
        assert_eq!(value.floats(), [201.0, 2010.0, 403.0, 4030.0]);
    }

    #[test]
    fn dense_batch_dimensions_are_merged() {
        let (a, b) = (TensorType::f32([2, 3, 4, 5, 6]), TensorType::f32([2, 3, 4, 6, 7]));
        let output = MatMul {}.infer(&[a.clone(), b.clone()]).unwrap();
        let four = Sizes::of([&a, &b], &output).unwrap().four().unwrap();
        assert_eq!(four, [vec![1, 1, 1, 24], vec![0, 0, 0, 30], vec![0, 0, 0, 42]]);
    }
}
