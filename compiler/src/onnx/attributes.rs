//! Attributes of one ONNX node, with their defaults and the errors of a wrong type.

use super::external::Files;
use super::model::of_tensor;
use super::notes::Notes;
use super::proto::AttributeProto;
use super::weights;
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
    /// A type that no supported operator has, by name: `GRAPH`, or `?` for one that is not known.
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

    /// Reads the attributes of a node.
    ///
    /// # Errors
    ///
    /// Two attributes of one name, a tensor that cannot be read.
    pub(super) fn read(list: &[AttributeProto], files: Files<'_>, notes: &mut Notes) -> Result<Self, Fault> {
        let mut attributes = BTreeMap::new();
        for proto in list {
            let value = Attribute::read(proto, files, notes)?;
            if attributes.insert(proto.name.clone(), value).is_some() {
                return Err(Fault::model(format!("attribute {} is given twice", proto.name)));
            }
        }
        Ok(Self(attributes))
    }
}

impl Attribute {
    fn read(proto: &AttributeProto, files: Files<'_>, notes: &mut Notes) -> Result<Self, Fault> {
        if !proto.ref_attr_name.is_empty() {
            return Ok(Self::Other("reference"));
        }
        Ok(match kind(proto) {
            1 => Self::Float(proto.f.unwrap_or_default()),
            2 => Self::Int(proto.i.unwrap_or_default()),
            3 => Self::String(String::from_utf8_lossy(proto.s.as_deref().unwrap_or_default()).into_owned()),
            4 => {
                let tensor =
                    proto.t.as_ref().ok_or_else(|| Fault::model("an attribute without its tensor"))?;
                Self::Tensor(weights::tensor(tensor, files, notes).map_err(|fault| of_tensor(tensor, fault))?)
            }
            6 => Self::Floats(proto.floats.clone()),
            7 => Self::Ints(proto.ints.clone()),
            other => Self::Other(OTHERS.get(other as usize).copied().unwrap_or("?")),
        })
    }
}

/// Names of the attribute types (`AttributeProto.AttributeType`), by number.
const OTHERS: [&str; 15] = [
    "UNDEFINED",
    "FLOAT",
    "INT",
    "STRING",
    "TENSOR",
    "GRAPH",
    "FLOATS",
    "INTS",
    "STRINGS",
    "TENSORS",
    "GRAPHS",
    "SPARSE_TENSOR",
    "SPARSE_TENSORS",
    "TYPE_PROTO",
    "TYPE_PROTOS",
];

/// The attribute's type: as given, or by the field that is set where old files do not give it.
fn kind(proto: &AttributeProto) -> i32 {
    match proto {
        _ if proto.r#type != 0 => proto.r#type,
        _ if proto.f.is_some() => 1,
        _ if proto.i.is_some() => 2,
        _ if proto.s.is_some() => 3,
        _ if proto.t.is_some() => 4,
        _ if !proto.floats.is_empty() => 6,
        _ if !proto.ints.is_empty() => 7,
        _ => 0,
    }
}
