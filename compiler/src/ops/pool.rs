//! Pooling over a window, NHWC.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::window::Window;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// Pooling over a window, NHWC.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool2d {
    /// The sliding window.
    pub window: Window,
    /// How a window is pooled.
    pub pooling: Pooling,
}

impl Operator for Pool2d {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Pool2d"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "pool".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}

/// How a window is pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value inside the map.
    Max,
    /// The mean over the window's positions inside the map.
    Average,
    /// The mean over the window's positions inside the padded map.
    AveragePadded,
}
