//! Padding with one value.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Padding with one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Elements in front, along each dimension.
    pub before: Vec<usize>,
    /// Elements behind, along each dimension.
    pub after: Vec<usize>,
    /// The value.
    pub value: f64,
}

impl Operator for Pad {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Pad"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "pad".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
