//! Fully connected: `[.., K] · [K, N] + [N]`. Operands: input, weight `[K,N]`, then bias and residual where there are any.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::epilogue::Epilogue;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Fully connected: `[.., K] · [K, N] + [N]`. Operands: input, weight `[K,N]`, then bias and residual where there are any.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// What is done before storing.
    pub epilogue: Epilogue,
}

impl Operator for Dense {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Dense"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "dense".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
