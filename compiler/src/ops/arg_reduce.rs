//! Index of the largest or smallest element along an axis, as `i64`.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Index of the largest or smallest element along an axis, as `i64`.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgReduce {
    /// The axis.
    pub axis: usize,
    /// The smallest instead of the largest.
    pub min: bool,
    /// Of equal ones the last instead of the first.
    pub last: bool,
    /// Whether the axis stays with length 1.
    pub keep: bool,
}

impl Operator for ArgReduce {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("ArgReduce"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "arg_reduce".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
