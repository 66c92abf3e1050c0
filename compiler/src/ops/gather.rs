//! Indices along an axis, known when compiling.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Indices along an axis, known when compiling.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The axis, which the result replaces by `index_shape`.
    pub axis: usize,
    /// The indices, row-major, each inside the axis.
    pub indices: Vec<usize>,
    /// The shape of the indices; empty for a single one.
    pub index_shape: Vec<usize>,
}

impl Operator for Gather {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Gather"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "gather".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
