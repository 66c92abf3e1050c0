//! Mean or maximum over the whole map: `[N,H,W,C]` → `[N,1,1,C]`.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Mean or maximum over the whole map: `[N,H,W,C]` → `[N,1,1,C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPool {
    /// The largest value instead of the mean.
    pub max: bool,
}

impl Operator for GlobalPool {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("GlobalPool"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "global_pool".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
