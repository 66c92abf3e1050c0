//! A graph input: a value that the caller gives.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// No ONNX operator: inputs are declared by the graph.
pub const ONNX: &[Spelling] = &[];

/// A graph input.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its type, with every dimension known.
    pub ty: TensorType,
}

impl Operator for Input {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Ok(self.ty.clone())
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "input".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
