//! e^(x − max) / Σ along an axis, or its logarithm.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// e^(x − max) / Σ along an axis, or its logarithm.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// The axis.
    pub axis: usize,
    /// The logarithm of the result.
    pub log: bool,
}

impl Operator for Softmax {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Softmax"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "softmax".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
