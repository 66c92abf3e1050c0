//! Fully connected: `y[.., n] = Σ_k x[.., k] · w[k, n] + bias[n]`.
//!
//! ONNX's `Gemm` is read here; a `MatMul` by a constant becomes this operator too.

use super::conv2d::pointwise;
use super::{Operator, compose, epilogue};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::binary::BinaryOp;
use crate::ops::epilogue::Epilogue;
use crate::ops::expand::Expand;
use crate::ops::matmul::MatMul;
use crate::plan::request::{Arg, MapShape, Packed, Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// `Gemm`.
pub const ONNX: &[Spelling] = &[("Gemm", import)];

/// Fully connected. Operands: input `[.., K]`, weight `[K,N]`, then bias `[N]` and residual where there
/// are any (a residual comes with a bias).
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// What is done before storing.
    pub epilogue: Epilogue,
}

impl Operator for Dense {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        self.epilogue.check_operands("a dense layer", operands)?;
        let (input, weight) = (&operands[0], &operands[1]);
        match (&input.shape[..], &weight.shape[..]) {
            ([rows @ .., k], [depth, n]) if k == depth && !weight.shape.contains(&0) => {
                let shape = rows.iter().chain([n]).copied().collect();
                self.epilogue.check_result("a dense layer", operands, shape)
            }
            _ => Err(Fault::model(format!("{input} cannot be multiplied by the weight {weight}"))),
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (input, weight) = (operands[0], operands[1]);
        let [k, n] = [weight.ty.shape[0], weight.ty.shape[1]];
        let mut sums = vec![0.0; ty.elements()];
        for (out, row) in sums.chunks_exact_mut(n).zip(input.floats().chunks_exact(k)) {
            add_product(out, row, weight.floats());
        }
        self.epilogue.finish(sums, operands, ty)
    }

    fn macs(&self, operands: &[TensorType], ty: &TensorType) -> u64 {
        ty.elements() as u64 * operands.get(1).map_or(0, |weight| weight.shape[0]) as u64
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("dense{}", self.epilogue.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let weight = site.constant(1, "the weight of a dense layer")?;
        let [k, n] = [weight.ty.shape[0], weight.ty.shape[1]];
        let maps = [&site.operands[0], site.output].map(|ty| MapShape::pixels(&ty.shape));
        let weights = Arg::Weights(Packed::Matrix { values: weight.to_f32(), k, n });
        Ok(vec![pointwise(maps, weights, epilogue::bias(site, n)?, &self.epilogue)])
    }
}

/// `out[n] += Σ_k row[k] · matrix[k, n]`
pub(super) fn add_product(out: &mut [f64], row: &[f64], matrix: &[f64]) {
    for (value, matrix_row) in row.iter().zip(matrix.chunks_exact(out.len())) {
        out.iter_mut().zip(matrix_row).for_each(|(sum, weight)| *sum += value * weight);
    }
}

/// `alpha · A' · B' + beta · C`
fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    let beta = call.attributes.float_or("beta", 1.0)?;
    let (a, b) = (matrix(call, 0, "transA")?, matrix(call, 1, "transB")?);
    let c = match call.optional(2).filter(|_| beta != 0.0) {
        Some(c) => Some(compose::scaled(call, c, beta)?),
        None => None,
    };
    if !compose::is_fixed(call, b) {
        let product = call.emit(MatMul {}, &[a, b])?;
        let product = compose::scaled(call, product, alpha)?;
        return Ok(vec![add(call, product, c)?]);
    }
    let width = call.ty(b).shape[1];
    let weight = compose::scaled(call, b, alpha)?;
    let dense = Dense { epilogue: Epilogue::default() };
    match bias_row(call, c, width)? {
        Some(bias) => Ok(vec![call.emit(dense, &[a, weight, bias])?]),
        None => {
            let product = call.emit(dense, &[a, weight])?;
            Ok(vec![add(call, product, c)?])
        }
    }
}

/// A matrix operand, transposed where the attribute says so.
fn matrix(call: &mut Call<'_>, position: usize, transposed: &str) -> Result<NodeId, Fault> {
    let value = call.input(position)?;
    let ty = call.ty(value);
    if ty.rank() != 2 {
        return Err(Fault::model(format!("operand {position} of Gemm is {ty}; it takes matrices")));
    }
    let permutation = if call.attributes.int_or(transposed, 0)? == 0 { [0, 1] } else { [1, 0] };
    compose::transpose(call, value, permutation)
}

/// C as one value a column, where it is constant and the same in every row.
fn bias_row(call: &mut Call<'_>, c: Option<NodeId>, width: usize) -> Result<Option<NodeId>, Fault> {
    let Some(c) = c.filter(|&c| compose::is_fixed(call, c)) else { return Ok(None) };
    match call.ty(c).shape[..] {
        [n] | [1, n] if n == width => Ok(Some(compose::reshape(call, c, [width])?)),
        [] | [1] | [1, 1] => {
            let scalar = compose::reshape(call, c, [1])?;
            Ok(Some(call.emit(Expand { shape: vec![width] }, &[scalar])?))
        }
        _ => Ok(None),
    }
}

/// `product + C`, where C broadcasts to the product.
fn add(call: &mut Call<'_>, product: NodeId, c: Option<NodeId>) -> Result<NodeId, Fault> {
    let Some(c) = c else { return Ok(product) };
    let sum = compose::binary(call, BinaryOp::Add, product, c)?;
    if call.ty(sum) == call.ty(product) {
        return Ok(sum);
    }
    let (c, product) = (call.ty(c), call.ty(product));
    Err(Fault::model(format!("operand C of Gemm is {c}, which does not broadcast to {product}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    fn gemm() -> Case {
        Case::new("Gemm", 13).input(Array::float([2, 2], vec![1.0, 2.0, 3.0, 4.0]))
    }

    fn weight() -> Array {
        Array::float([2, 3], vec![1.0, 0.0, 2.0, 0.0, 1.0, 2.0])
    }

    fn check(case: Case, operators: &[&str], values: [f64; 6]) {
        let became = case.run().unwrap();
        let found: Vec<&str> = ["dense(", "matmul(", "mul(", "add("]
            .into_iter()
            .filter(|op| became.text.contains(&format!("= {op}")))
            .collect();
        assert_eq!(found, operators, "{}", became.text);
        assert_eq!(became.values, [Array::float([2, 3], values.to_vec())]);
    }

    #[test]
    fn factors_are_folded_into_constants() {
        let bias = |shape: &[usize], values: &[f64]| Array::float(shape, values.to_vec());
        let case = || gemm().constant(weight());
        check(case(), &["dense("], [1.0, 2.0, 6.0, 3.0, 4.0, 14.0]);
        let half = case().with("alpha", crate::onnx::Attribute::Float(0.5));
        check(half.constant(bias(&[], &[1.0])), &["dense("], [1.5, 2.0, 4.0, 2.5, 3.0, 8.0]);
        let row = case().constant(bias(&[1, 3], &[1.0, 2.0, 3.0]));
        check(row, &["dense("], [2.0, 4.0, 9.0, 4.0, 6.0, 17.0]);
        let column = case().constant(bias(&[2, 1], &[1.0, 2.0]));
        check(column, &["dense(", "add("], [2.0, 3.0, 7.0, 5.0, 6.0, 16.0]);
    }

    #[test]
    fn two_computed_matrices_are_a_matrix_product() {
        let (twice, computed) = (crate::onnx::Attribute::Float(2.0), gemm().input(weight()));
        check(computed.with("alpha", twice), &["matmul(", "mul("], [2.0, 4.0, 12.0, 6.0, 8.0, 28.0]);
    }

    #[test]
    fn a_bias_with_more_rows_than_the_product_is_a_fault() {
        let case = gemm().constant(weight()).constant(Array::float([4, 3], vec![0.0; 12]));
        assert!(case.run().is_err());
    }
}
