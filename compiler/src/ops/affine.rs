//! A factor and a summand per channel of the last axis: batch-norm. Operands: input `[.., C]`, scale `[C]`, shift `[C]`.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::activation::Activation;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// A factor and a summand per channel of the last axis: batch-norm. Operands: input `[.., C]`, scale `[C]`, shift `[C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Applied to the result.
    pub activation: Activation,
}

impl Operator for Affine {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Affine"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "affine".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
