//! Part of a tensor, with steps.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Part of a tensor, with steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// First index along each dimension.
    pub starts: Vec<usize>,
    /// Step along each dimension; may be negative.
    pub steps: Vec<isize>,
    /// The result's shape.
    pub shape: Vec<usize>,
}

impl Operator for Slice {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Slice"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "slice".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
