//! Attributes of one ONNX node, with their defaults and the errors of a wrong type.

use crate::error::Fault;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// `INT`
    Int(i64),
    /// `FLOAT`
    Float(f32),
    /// `STRING`
    String(String),
    /// `TENSOR`
    Tensor(Tensor),
    /// `INTS`
    Ints(Vec<i64>),
    /// `FLOATS`
    Floats(Vec<f32>),
    /// A type that no supported operator has, by name: `GRAPH`.
    Other(&'static str),
}

/// Attributes by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(pub BTreeMap<String, Attribute>);

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident -> $T:ty, $Variant:ident, $what:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// An attribute of another type.
            pub fn $name(&self, name: &str) -> Result<Option<$T>, Fault> {
                match self.0.get(name) {
                    None => Ok(None),
                    Some(Attribute::$Variant(value)) => Ok(Some(value.clone())),
                    Some(_) => Err(Fault::model(format!("attribute {name} must be {}", $what))),
                }
            }
        )*
    };
}

impl Attributes {
    getters! {
        /// An integer, if there.
        int -> i64, Int, "an integer";
        /// A number, if there.
        float -> f32, Float, "a number";
        /// A text, if there.
        string -> String, String, "a text";
        /// A tensor, if there.
        tensor -> Tensor, Tensor, "a tensor";
        /// Integers, if there.
        ints -> Vec<i64>, Ints, "a list of integers";
        /// Numbers, if there.
        floats -> Vec<f32>, Floats, "a list of numbers";
    }

    /// An integer, or the default.
    ///
    /// # Errors
    ///
    /// An attribute of another type.
    pub fn int_or(&self, name: &str, default: i64) -> Result<i64, Fault> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// A number, or the default.
    ///
    /// # Errors
    ///
    /// An attribute of another type.
    pub fn float_or(&self, name: &str, default: f32) -> Result<f32, Fault> {
        Ok(self.float(name)?.unwrap_or(default))
    }
}
