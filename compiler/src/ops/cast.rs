//! Conversion to another element type.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Conversion to another element type.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// Type of the result.
    pub to: DType,
}

impl Operator for Cast {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Cast"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "cast".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
