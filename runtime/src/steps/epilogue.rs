//! What is done to a sum before it is stored.

use super::Map;

/// A function of one number, applied before a value is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x
    Identity,
    /// min(max(x, lo), hi): ReLU, ReLU6 and every other clamp
    Clamp {
        /// Lower bound.
        lo: f32,
        /// Upper bound; may be infinite.
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
}

/// `y = after(activation(sum + bias) + residual)`; `after` is applied only with a residual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epilogue {
    /// Applied to the sum with its bias.
    pub activation: Activation,
    /// A map of the output's shape that is added; it may be the output itself.
    pub residual: Option<Map>,
    /// Applied behind the residual.
    pub after: Activation,
}

impl Epilogue {
    /// An activation and nothing else.
    pub const fn new(activation: Activation) -> Self {
        Self { activation, residual: None, after: Activation::Identity }
    }

    /// `activation(sum + bias) + residual`
    pub const fn add(activation: Activation, residual: Map) -> Self {
        Self { activation, residual: Some(residual), after: Activation::Identity }
    }
}
