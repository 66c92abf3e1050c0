//! Linear interpolation along one axis.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Linear interpolation along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpolate {
    /// The axis.
    pub axis: usize,
    /// For each position of the result: two positions of the operand and the weight of the second.
    pub taps: Vec<(usize, usize, f32)>,
}

impl Operator for Interpolate {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Interpolate"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "interpolate".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
