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
mod save;

use crate::dsl::{Network, Options, Parameter, WeightsOptions};
use crate::error::{Error, Fault, Problem};
use crate::onnx::{self, ImportOptions};
use crate::tensor::Tensor;
use bytes::Bytes;
pub use model::of_graph;
pub use names::{Naming, of_network};
pub use random::Random;
pub use safetensors::read as read_safetensors;
pub use save::{tensors, to_safetensors};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsl::describe;
    use crate::reference::Array;

    /// Every kind of parameter.
    const TEXT: &str = "
        block twice(c) {
            residual { depthwise 3x3 bias relu; batch_norm; layer_scale; }
            pointwise c=c bn relu;
        }
        mod net(input = [8, 8, 3], activation = relu) {
            stem: conv 3x3 c8 s2 bn relu;
            inverted_residual t2 c8 se;
            twice c16;
            mqa h2 k4 v4 kv2 layer_scale;
            uib t2 c16 start=3x3 layer_scale;
            global_avg_pool;
            dense 4;
        }";

    fn network() -> Network {
        describe("net", TEXT, &[]).unwrap().network
    }

    fn seeded() -> Network {
        let mut network = network();
        Weights::Seed(5).load(&mut network).unwrap();
        network
    }

    #[test]
    fn tensors_come_back_through_a_safetensors_file() {
        let seeded = seeded();
        let read = read_safetensors("net.safetensors", &to_safetensors(&seeded).unwrap().into()).unwrap();
        for name in ["stem.weight", "stem.bn.running_var", "twice_2.depthwise_0.bias", "mqa_3.norm.weight"] {
            assert!(read.contains_key(name), "{name} of {:?}", read.keys());
        }
        let mut loaded = network();
        Weights::Tensors(read, Naming::Own).load(&mut loaded).unwrap();
        assert_eq!(loaded.graph.text(), seeded.graph.text());
    }

    #[test]
    fn tensors_come_back_through_an_export() {
        let seeded = seeded();
        let exported = Bytes::from(seeded.to_onnx().unwrap());
        let mut loaded = network();
        let imported = onnx::import("net.onnx", exported, &ImportOptions::default()).unwrap();
        let tensors = of_graph(&imported.graph);
        Weights::Tensors(tensors, Naming::Own).load(&mut loaded).unwrap();
        assert_eq!(loaded.graph.text(), seeded.graph.text());
    }

    #[test]
    fn what_is_missing_or_misshapen_is_told_all_at_once() {
        let mut tensors = tensors(&seeded()).unwrap();
        tensors.remove("stem.weight");
        tensors.remove("mqa_3.norm.running_mean");
        tensors.insert("dense_6.bias".into(), Tensor::from_f32([3], &[0.0; 3]));
        tensors
            .insert("inverted_residual_1.expand.weight".into(), Tensor::from_f32([8, 16, 1, 1], &[0.0; 128]));
        let error = Weights::Tensors(tensors, Naming::Own).load(&mut network()).unwrap_err().to_string();
        for told in [
            "4 tensors of net",
            "tensor stem.weight is missing; it would be f32[8,3,3,3]",
            "tensor mqa_3.norm.running_mean is missing",
            "tensor dense_6.bias is f32[3]; the layer takes f32[4]",
            "tensor inverted_residual_1.expand.weight is f32[8,16,1,1]; the layer takes f32[16,8,1,1]",
        ] {
            assert!(error.contains(told), "{told} in {error}");
        }
    }

    #[test]
    fn activations_of_random_networks_stay_within_bounds() {
        let largest = |name: &str| {
            let options = [("rho".to_owned(), "32".to_owned()), ("alpha".to_owned(), "0.25".to_owned())];
            let mut network = crate::zoo::by_name(name).unwrap().describe(&options).unwrap().network;
            Weights::Seed(1).load(&mut network).unwrap();
            let ty = network.graph.ty(network.graph.inputs()[0]).clone();
            let values = (0..ty.elements()).map(|i| (i % 17) as f64 / 8.0 - 1.0).collect();
            let trace = crate::reference::run(&network.graph, &[Array::float(ty.shape, values)]).unwrap();
            let (_, output) = &network.graph.outputs()[0];
            trace[output].floats().iter().fold(0.0_f64, |m, v| m.max(v.abs()))
        };
        for name in ["MobileNetV1", "MobileNetV2", "MobileNetV3Small", "MobileNetV4ConvSmall"] {
            let largest = largest(name);
            assert!((0.1..100.0).contains(&largest), "{name}: {largest}");
        }
    }
}
