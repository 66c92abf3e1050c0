//! An activation by itself.

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// ONNX spellings.
pub const ONNX: &[Spelling] = &[];

/// An activation by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Activate {
    /// Which.
    pub activation: Activation,
}

impl Operator for Activate {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Err(Fault::unsupported("Activate"))
    }

    fn eval(&self, _operands: &[&Array], ty: &TensorType) -> Array {
        Array::zeros(ty)
    }

    fn describe(&self) -> String {
        "activation".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}

/// A function of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// min(max(x, lo), hi)
    Clamp {
        /// Lower bound; may be −∞.
        lo: f32,
        /// Upper bound; may be ∞.
        hi: f32,
    },
    /// x · min(max(x/6 + 1/2, 0), 1)
    HardSwish,
    /// min(max(alpha·x + beta, 0), 1)
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// x / (1 + e^−x)
    Silu,
    /// x · Φ(x), with the error function
    Gelu,
    /// x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))
    GeluTanh,
    /// tanh x
    Tanh,
    /// x for x ≥ 0, alpha·x below
    LeakyRelu {
        /// Slope below 0.
        alpha: f32,
    },
    /// x for x ≥ 0, alpha (e^x − 1) below
    Elu {
        /// Limit below 0, negated.
        alpha: f32,
    },
    /// ln(1 + e^x)
    Softplus,
}

impl Activation {
    /// max(x, 0)
    pub const RELU: Self = Self::Clamp { lo: 0.0, hi: f32::INFINITY };
    /// min(max(x, 0), 6)
    pub const RELU6: Self = Self::Clamp { lo: 0.0, hi: 6.0 };

    /// Its value, in double precision.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Clamp { lo, hi } => x.max(f64::from(lo)).min(f64::from(hi)),
            _ => x,
        }
    }

    /// `relu6`, `clamp(-1,1)`.
    pub fn describe(self) -> String {
        format!("{self:?}")
    }
}
