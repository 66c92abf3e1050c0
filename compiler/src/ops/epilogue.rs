//! What a convolution, a dense layer or a sum does with a value before storing it.
//!
//! `y = after(activation(sum + bias) + residual)`: MobileNetV2 adds behind a linear projection, other
//! networks activate behind the add. Fusions fill it; the imported graph has it empty.

use crate::ops::activation::Activation;

/// See the [module documentation](self). The residual, where there is one, is the node's last operand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Epilogue {
    /// Applied to the sum with its bias.
    pub activation: Activation,
    /// Whether the node's last operand, of the result's type, is added behind `activation`.
    pub residual: bool,
    /// Applied behind the residual; identity without one.
    pub after: Activation,
}

impl Epilogue {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The value to store for a `sum` that has its bias.
    pub fn apply(&self, sum: f64, residual: Option<f64>) -> f64 {
        let value = self.activation.apply(sum);
        match residual {
            Some(residual) => self.after.apply(value + residual),
            None => value,
        }
    }

    /// `" relu6"`, `" +residual relu"`; empty when there is nothing to do.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        if self.activation != Activation::Identity {
            text += &format!(" {}", self.activation.describe());
        }
        if self.residual {
            text += " +residual";
        }
        if self.after != Activation::Identity {
            text += &format!(" {}", self.after.describe());
        }
        text
    }
}
