//! From the messages of a model to an imported graph.

use crate::error::Error;
use crate::graph::Graph;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// What the user decides about a model that it leaves open.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Shapes of inputs with symbolic dimensions, by input name.
    pub input_shapes: BTreeMap<String, Vec<usize>>,
    /// Graph inputs that become constants, by name.
    pub constants: BTreeMap<String, Tensor>,
    /// External data files, by the location that the model names.
    pub external: BTreeMap<String, bytes::Bytes>,
}

/// An imported model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network.
    pub graph: Graph,
    /// What was assumed, for the user to read: `batch N of input x is taken as 1`.
    pub notes: Vec<String>,
}

/// Reads a model.
///
/// # Errors
///
/// All problems of the model at once.
pub fn import(_name: &str, _model: bytes::Bytes, _options: &ImportOptions) -> Result<Imported, Error> {
    Err(Error::Usage("not written".into()))
}
