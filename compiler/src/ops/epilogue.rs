//! What a convolution, a dense layer or a sum does with a value before storing it.
//!
//! `y = after(activation(sum + bias) + residual)`: MobileNetV2 adds behind a linear projection, other
//! networks activate behind the add. Fusions fill it; the imported graph has it empty.
//!
//! The operators that have one take their operands in one order: input, weight, then the bias, then the
//! residual. A bias is there whenever a residual is.

use super::expect;
use crate::error::Fault;
use crate::ops::activation::Activation;
use crate::plan::request::{Arg, MapShape, Packed, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

/// Position of the bias.
const BIAS: usize = 2;
/// Position of the residual.
const RESIDUAL: usize = 3;

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

    /// Checks number and element type of the operands of `operator`.
    pub(super) fn check_operands(&self, operator: &str, operands: &[TensorType]) -> Result<(), Fault> {
        if !self.residual && self.after != Activation::Identity {
            return Err(Fault::bug(format!("{operator} activates behind a residual that it does not have")));
        }
        let count = if self.residual { RESIDUAL + 1..=RESIDUAL + 1 } else { BIAS..=BIAS + 1 };
        expect::floats(operator, operands, count)
    }

    /// Checks the shapes of bias and residual, and gives the result's type.
    pub(super) fn check_result(
        &self,
        operator: &str,
        operands: &[TensorType],
        shape: Vec<usize>,
    ) -> Result<TensorType, Fault> {
        let channels = shape.last().copied().unwrap_or(1);
        if let Some(bias) = operands.get(BIAS) {
            expect::shape(operator, "the bias", bias, &[channels])?;
        }
        if let Some(residual) = operands.get(RESIDUAL) {
            expect::shape(operator, "the residual", residual, &shape)?;
        }
        Ok(TensorType::f32(shape))
    }

    /// Turns the sums of a whole result into what is stored. `operands` are all of the node's.
    pub(super) fn finish(&self, mut sums: Vec<f64>, operands: &[&Array], ty: &TensorType) -> Array {
        let channels = ty.shape.last().copied().unwrap_or(1).max(1);
        if let Some(bias) = operands.get(BIAS) {
            for row in sums.chunks_exact_mut(channels) {
                row.iter_mut().zip(bias.floats()).for_each(|(sum, bias)| *sum += bias);
            }
        }
        match operands.get(RESIDUAL) {
            Some(residual) => {
                let pairs = sums.iter_mut().zip(residual.floats());
                pairs.for_each(|(sum, &residual)| *sum = self.apply(*sum, Some(residual)));
            }
            None => sums.iter_mut().for_each(|sum| *sum = self.apply(*sum, None)),
        }
        Array { ty: ty.clone(), data: crate::reference::Data::Float(sums) }
    }

    /// The step's field `epilogue`; `output` is the result as the kernel sees it.
    pub(super) fn argument(&self, output: MapShape) -> Arg {
        Arg::Epilogue(*self, self.residual.then_some((RESIDUAL, output)))
    }
}

/// The step's field `bias`: `n` values, zeros where the node has no bias.
pub(super) fn bias(site: &Site<'_>, n: usize) -> Result<Arg, Fault> {
    let values = match site.operands.get(BIAS) {
        Some(_) => site.constant(BIAS, "the bias")?.to_f32(),
        None => vec![0.0; n],
    };
    Ok(channels(values))
}

/// One value a channel, packed.
pub(super) fn channels(values: Vec<f32>) -> Arg {
    let n = values.len();
    Arg::Weights(Packed::Channels { values, taps: 1, n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residual_is_added_between_the_two_activations() {
        let epilogue = Epilogue { activation: Activation::RELU, residual: true, after: Activation::RELU6 };
        assert_eq!(epilogue.apply(-3.0, Some(5.0)), 5.0);
        assert_eq!(epilogue.apply(4.0, Some(5.0)), 6.0);
        assert_eq!(epilogue.describe(), " relu +residual relu6");
    }
}
