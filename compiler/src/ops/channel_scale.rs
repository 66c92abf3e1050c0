//! Each channel times a computed factor: the second half of squeeze-and-excite. Operands: input `[N,H,W,C]`, factor `[N,1,1,C]`.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::activation::Activation;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Each channel times a computed factor: the second half of squeeze-and-excite. Operands: input `[N,H,W,C]`, factor `[N,1,1,C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelScale {
    /// Applied to the result.
    pub activation: Activation,
}

impl Operator for ChannelScale {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("ChannelScale"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "channel_scale".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
