//! A reduction over neighbouring axes.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// A reduction over neighbouring axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// Which.
    pub op: ReduceOp,
    /// The axes, ascending and neighbours.
    pub axes: Vec<usize>,
    /// Whether the reduced axes stay with length 1.
    pub keep: bool,
}

impl Operator for Reduce {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Reduce"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "reduce".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}

/// A reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ReduceOp {
    Sum,
    Mean,
    Max,
    Min,
    Product,
}
