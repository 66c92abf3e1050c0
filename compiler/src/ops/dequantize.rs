//! `(x − zero_point) · scale`. Operands: input, scale (scalar or `[C]`), zero point of the input's type.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// `(x − zero_point) · scale`. Operands: input, scale (scalar or `[C]`), zero point of the input's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantize {
    /// The axis of a scale per channel.
    pub axis: usize,
}

impl Operator for Dequantize {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Dequantize"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "dequantize".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
