//! Depthwise convolution, NHWC: output channel `o` reads input channel `o / multiplier`. Operands: input `[N,H,W,C]`, weight `[kh,kw,C·multiplier]`, then bias and residual where there are any.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::window::Window;
use crate::ops::epilogue::Epilogue;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Depthwise convolution, NHWC: output channel `o` reads input channel `o / multiplier`. Operands: input `[N,H,W,C]`, weight `[kh,kw,C·multiplier]`, then bias and residual where there are any.
#[derive(Clone, Debug, PartialEq)]
pub struct Depthwise {
    /// The sliding window.
    pub window: Window,
    /// Output channels per input channel.
    pub multiplier: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
}

impl Operator for Depthwise {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Depthwise"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "depthwise".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
