//! Transposed convolution, NHWC. Operands: input `[N,H,W,C]`, weight `[kh,kw,C/groups,O]`, bias `[O]` where there is one.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::window::Window;
use crate::ops::activation::Activation;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Transposed convolution, NHWC. Operands: input `[N,H,W,C]`, weight `[kh,kw,C/groups,O]`, bias `[O]` where there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose2d {
    /// The window of the convolution that this transposes; its padding is cut off the result.
    pub window: Window,
    /// Rows and columns added below and to the right.
    pub output_pad: [usize; 2],
    /// Groups.
    pub groups: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl Operator for ConvTranspose2d {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("ConvTranspose2d"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "conv_transpose".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
