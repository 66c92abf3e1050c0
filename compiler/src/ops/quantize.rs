//! `saturate(round_half_even(x / scale) + zero_point)`. Operands: input, scale (scalar or `[C]`), zero point of the result's type.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// `saturate(round_half_even(x / scale) + zero_point)`. Operands: input, scale (scalar or `[C]`), zero point of the result's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize {
    /// The axis of a scale per channel.
    pub axis: usize,
}

impl Operator for Quantize {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Quantize"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "quantize".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
