//! Weights for networks of the [language](crate::dsl): from safetensors, from an ONNX model, or random.
//!
//! A tensor's name is its layer's and a word: `inverted_residual_3.expand.weight`. Layers are called by
//! the block, [`Block::path`](crate::dsl::Block), and the part in it, [`Part::name`](crate::dsl::Part); a
//! batch-norm by the layer before it and `.bn`. Shapes are PyTorch's, whatever the names:
//!
//! | of | tensors |
//! |---|---|
//! | convolution | `weight` `[O,C/groups,kh,kw]`, depthwise `[O,1,kh,kw]`; `bias` `[O]` |
//! | dense | `weight` `[N,K]`, `bias` `[N]` |
//! | batch-norm | `weight`, `bias`, `running_mean`, `running_var`, each `[C]` |
//! | layer scale | `layer_scale.weight` `[C]` |
//!
//! Dimensions of 1 may be there or not. [`Naming`] knows torchvision's and timm's names for the networks
//! of the zoo that they have as well.

mod fill;
mod model;
mod names;
mod random;
mod safetensors;

use crate::dsl::{Network, Options, Parameter, WeightsOptions};
use crate::error::{Error, Fault, Problem};
use crate::onnx::{self, ImportOptions};
use crate::tensor::Tensor;
use bytes::Bytes;
pub use model::of_graph;
pub use names::{Naming, of_network};
pub use random::Random;
pub use safetensors::read as read_safetensors;
use std::collections::BTreeMap;

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Where the tensors of a network come from.
#[derive(Clone, Debug)]
pub enum Weights {
    /// Random ones that keep activations within bounds; the same for the same seed, on every machine.
    Seed(u64),
    /// Given ones.
    Tensors(Tensors, Naming),
}

impl Weights {
    /// Fills every parameter of a network.
    ///
    /// # Errors
    ///
    /// All tensors that are missing or have another shape.
    pub fn load(&self, network: &mut Network) -> Result<(), Error> {
        let mut problems = Vec::new();
        for parameter in network.parameters.clone() {
            let filled = match self {
                Self::Seed(seed) => Random { seed: *seed }.fill(network, &parameter),
                Self::Tensors(tensors, naming) => fill::fill(network, &parameter, tensors, *naming),
            };
            problems.extend(filled.into_iter().map(|fault| problem(network, &parameter, fault)));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let count = problems.len();
        let summary = match count {
            1 => format!("a tensor of {} is missing or does not fit", network.graph.name),
            _ => format!("{count} tensors of {} are missing or do not fit", network.graph.name),
        };
        Err(Error::problems(summary, problems))
    }
}

/// The weights that a network's options ask for; `files` are those that were read, by their names there.
///
/// # Errors
///
/// A file that was not read or cannot be.
pub fn chosen(
    options: &Options,
    files: &BTreeMap<String, Bytes>,
    notes: &mut Vec<String>,
) -> Result<Weights, Error> {
    let WeightsOptions { file, names, seed } = &options.weights;
    let Some(file) = file else {
        if seed.is_none() {
            notes.push("no weights are given: they are random ones, of seed 1".into());
        }
        return Ok(Weights::Seed(seed.unwrap_or(1)));
    };
    let refuse = |fault| Error::whole(format!("weights {file} cannot be read"), fault);
    let naming = names.as_deref().map(Naming::of_word).transpose().map_err(refuse)?.unwrap_or_default();
    notes.extend(naming.caution(&options.settings));
    let Some(bytes) = files.get(file) else { return Err(refuse(Fault::model("the file was not read"))) };
    let tensors = if file.ends_with(".onnx") {
        of_graph(&onnx::import(file, bytes.clone(), &ImportOptions::default())?.graph)
    } else {
        read_safetensors(file, bytes)?
    };
    Ok(Weights::Tensors(tensors, naming))
}

fn problem(network: &Network, parameter: &Parameter, fault: Fault) -> Problem {
    let operator = network.blocks[parameter.block].word.to_owned();
    Problem { node: network.layer(parameter), operator, module: None, fault }
}
