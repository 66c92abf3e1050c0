//! Convolution, dense or in groups, NHWC. Operands: input `[N,H,W,C]`, weight `[O,kh,kw,C/groups]` (OHWI), then bias `[O]` and residual where there are any (a residual comes with a bias).

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

/// Convolution, dense or in groups, NHWC. Operands: input `[N,H,W,C]`, weight `[O,kh,kw,C/groups]` (OHWI), then bias `[O]` and residual where there are any (a residual comes with a bias).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// The sliding window.
    pub window: Window,
    /// Groups.
    pub groups: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
}

impl Operator for Conv2d {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Conv2d"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "conv2d".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}
