//! Activations: functions of one number, by themselves or in an epilogue. How ONNX spells them stands in
//! `activation/onnx.rs`.

mod onnx;

use super::{Operator, expect, unary::erf};
use crate::error::Fault;
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};
pub use onnx::ONNX;

/// An activation by itself. Operand: any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Activate {
    /// Which.
    pub activation: Activation,
}

impl Operator for Activate {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats(&self.describe(), operands, 1..=1)?;
        Ok(operands[0].clone())
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let values = operands[0].floats().iter().map(|&x| self.activation.apply(x)).collect();
        Array { ty: ty.clone(), data: Data::Float(values) }
    }

    fn describe(&self) -> String {
        self.activation.describe()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let map = MapShape::flat(&site.output.shape);
        Ok(vec![Request {
            family: Family::Activate,
            dtype: DType::F32,
            shape: Shape::elements(site.output.elements()),
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), map)),
                ("output", Arg::Map(Operand::Output, map)),
                ("activation", Arg::Activation(self.activation)),
            ],
            rows: Rows::SAME,
            in_place: true,
        }])
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
    /// min(max(x/6 + 1/2, 0), 1)
    pub const HARD_SIGMOID: Self = Self::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };

    /// Its value, in double precision.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Clamp { lo, hi } => x.max(f64::from(lo)).min(f64::from(hi)),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
            Self::Sigmoid => sigmoid(x),
            Self::Silu => x * sigmoid(x),
            Self::Gelu => x / 2.0 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let slope = (2.0 / std::f64::consts::PI).sqrt();
                x / 2.0 * (1.0 + (slope * (x + 0.044715 * x * x * x)).tanh())
            }
            Self::Tanh => x.tanh(),
            Self::LeakyRelu { alpha } => if x >= 0.0 { x } else { f64::from(alpha) * x },
            Self::Elu { alpha } => if x >= 0.0 { x } else { f64::from(alpha) * x.exp_m1() },
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        }
    }

    /// `relu6`, `clamp(-1,1)`, `hard_sigmoid(0.2,0.5)`; the usual parameters are left out.
    pub fn describe(self) -> String {
        match self {
            Self::Identity => "identity".into(),
            Self::RELU => "relu".into(),
            Self::RELU6 => "relu6".into(),
            Self::Clamp { lo, hi } => format!("clamp({lo},{hi})"),
            Self::HardSwish => "hard_swish".into(),
            Self::HardSigmoid { .. } if self.is_hard_sigmoid() => "hard_sigmoid".into(),
            Self::HardSigmoid { alpha, beta } => format!("hard_sigmoid({alpha},{beta})"),
            Self::Sigmoid => "sigmoid".into(),
            Self::Silu => "silu".into(),
            Self::Gelu => "gelu".into(),
            Self::GeluTanh => "gelu_tanh".into(),
            Self::Tanh => "tanh".into(),
            Self::LeakyRelu { alpha } => format!("leaky_relu({alpha})"),
            Self::Elu { alpha } => format!("elu({alpha})"),
            Self::Softplus => "softplus".into(),
        }
    }

    /// `" relu6"`; empty for the identity.
    pub fn suffix(self) -> String {
        match self {
            Self::Identity => String::new(),
            other => format!(" {}", other.describe()),
        }
    }

    /// Whether it is MobileNetV3's min(max(x/6 + 1/2, 0), 1), its parameters as exact as exporters write
    /// them: within 1e-6, relatively.
    pub fn is_hard_sigmoid(self) -> bool {
        let near = |value: f32, exact: f32| (value / exact - 1.0).abs() <= 1e-6;
        matches!(self, Self::HardSigmoid { alpha, beta } if near(alpha, 1.0 / 6.0) && near(beta, 0.5))
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(activation: Activation, x: f64, expected: f64) {
        let found = activation.apply(x);
        assert!((found - expected).abs() <= 1e-15 * expected.abs().max(1.0), "{activation:?}({x}) = {found}");
    }

    #[test]
    #[rustfmt::skip]
    fn values() {
        check(Activation::RELU,                            -3.0, 0.0);
        check(Activation::RELU6,                            9.0, 6.0);
        check(Activation::Clamp { lo: 2.0, hi: 1.0 },       0.0, 1.0);
        check(Activation::HardSwish,                        1.5, 1.125);
        check(Activation::HARD_SIGMOID,                     9.0, 1.0);
        check(Activation::Sigmoid,                          0.0, 0.5);
        check(Activation::Sigmoid,                       -800.0, 0.0);
        check(Activation::Silu,                             1.0, 0.731_058_578_630_004_9);
        check(Activation::Gelu,                             1.0, 0.841_344_746_068_542_9);
        check(Activation::GeluTanh,                         1.0, 0.841_191_990_608_276_8);
        check(Activation::Tanh,                             1.0, 0.761_594_155_955_764_9);
        check(Activation::LeakyRelu { alpha: 0.5 },        -3.0, -1.5);
        check(Activation::Elu { alpha: 2.0 },              -1.0, -1.264_241_117_657_115_3);
        check(Activation::Softplus,                         0.0, std::f64::consts::LN_2);
        check(Activation::Softplus,                       900.0, 900.0);
    }

    #[test]
    fn text_leaves_the_usual_parameters_out() {
        let describe = |alpha, beta| Activation::HardSigmoid { alpha, beta }.describe();
        assert_eq!(describe(0.166_666_7, 0.5), "hard_sigmoid");
        assert_eq!(describe(0.2, 0.5), "hard_sigmoid(0.2,0.5)");
        assert_eq!(Activation::RELU.describe(), "relu");
        assert_eq!(Activation::Clamp { lo: -1.0, hi: 1.0 }.describe(), "clamp(-1,1)");
    }
}
