//! A parameter from named tensors: look up, check, and rearrange as the graph has it.

use super::Tensors;
use super::model::ABSENT_BIAS;
use super::names::{Names, Naming};
use super::save::permuted;
use crate::dsl::{BatchNorm, Kind, Network, Parameter};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::reference::Array;
use crate::tensor::{DType, Tensor, TensorType};

/// Fills one parameter; what is missing or misshapen is left as it is.
pub fn fill(network: &mut Network, parameter: &Parameter, tensors: &Tensors, naming: Naming) -> Vec<Fault> {
    let names = match naming.names(network, parameter) {
        Ok(names) => names,
        Err(fault) => return vec![fault],
    };
    let shape = |node: NodeId| network.graph.ty(node).shape.clone();
    match parameter.kind {
        Kind::Conv(node) => {
            let [o, kh, kw, i] = shape(node)[..] else { return Vec::new() };
            let found = find(tensors, names.folded(tensors), "weight", &[o, i, kh, kw]);
            put(network, node, found, |tensor| arranged(&tensor, [o, i, kh, kw], [0, 2, 3, 1]))
        }
        Kind::Depthwise(node) => {
            let [kh, kw, o] = shape(node)[..] else { return Vec::new() };
            let found = find(tensors, names.folded(tensors), "weight", &[o, 1, kh, kw]);
            put(network, node, found, |tensor| arranged(&tensor, [o, kh, kw], [1, 2, 0]))
        }
        Kind::Dense(node) => {
            let [k, n] = shape(node)[..] else { return Vec::new() };
            let found = find(tensors, &names.layer, "weight", &[n, k]);
            put(network, node, found, |tensor| arranged(&tensor, [n, k], [1, 0]))
        }
        Kind::Bias(node) => {
            let shape = shape(node);
            let absent = find(tensors, &names.layer, ABSENT_BIAS, &shape);
            let found =
                find(tensors, &names.layer, "bias", &shape).or_else(|fault| absent.map_err(|_| fault));
            put(network, node, found, Some)
        }
        Kind::LayerScale(node) => {
            let found = find(tensors, &names.scale, names.scale_word, &shape(node));
            put(network, node, found, Some)
        }
        Kind::Norm { node, scale, shift } => {
            let channels = network.graph.ty(scale).elements();
            norm(network, [node, scale, shift], tensors, &names, channels)
        }
    }
}

impl Names {
    /// The layer that has a convolution's weight. PyTorch's dynamo exporter puts a batch-norm into the
    /// convolution before it and gives what is left the batch-norm's module.
    fn folded(&self, tensors: &Tensors) -> &str {
        let has = |layer: &str, rank: usize| {
            tensors.get(&format!("{layer}.weight")).is_some_and(|tensor| tensor.ty.rank() > rank)
        };
        if !has(&self.layer, 0) && has(&self.norm, 1) { &self.norm } else { &self.layer }
    }
}

/// A tensor of that name with as many elements along the same dimensions, ones aside.
fn find(tensors: &Tensors, layer: &str, word: &str, shape: &[usize]) -> Result<Tensor, Fault> {
    let name = format!("{layer}.{word}");
    let wanted = TensorType::f32(shape);
    let Some(tensor) = tensors.get(&name) else {
        return Err(Fault::model(format!("tensor {name} is missing; it would be {wanted}")));
    };
    let long = |shape: &[usize]| shape.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    let fits = tensor.ty.dtype == DType::F32 && long(&tensor.ty.shape) == long(shape);
    let reshaped = if fits { tensor.reshaped(shape) } else { None };
    reshaped.ok_or_else(|| Fault::model(format!("tensor {name} is {}; the layer takes {wanted}", tensor.ty)))
}

fn arranged<const N: usize>(tensor: &Tensor, shape: [usize; N], order: [usize; N]) -> Option<Tensor> {
    permuted(&tensor.reshaped(shape)?, &order).ok()
}

fn put(
    network: &mut Network,
    node: NodeId,
    found: Result<Tensor, Fault>,
    arrange: impl FnOnce(Tensor) -> Option<Tensor>,
) -> Vec<Fault> {
    match found.map(arrange) {
        Ok(Some(tensor)) => {
            network.fill(node, tensor);
            Vec::new()
        }
        Ok(None) => vec![Fault::bug("a tensor cannot be arranged as the graph has it")],
        Err(fault) => vec![fault],
    }
}

/// A batch-norm: as it is, or gone into the bias of the convolution before it, as exporters leave it.
fn norm(
    network: &mut Network,
    [node, scale, shift]: [NodeId; 3],
    tensors: &Tensors,
    names: &Names,
    channels: usize,
) -> Vec<Fault> {
    if names.layer != names.norm && names.folded(tensors) == names.norm {
        network.fill(scale, Tensor::from_f32([channels], &vec![1.0; channels]));
        return put(network, shift, find(tensors, &names.norm, "bias", &[channels]), Some);
    }
    let has = |layer: &str, word: &str| tensors.contains_key(&format!("{layer}.{word}"));
    let statistics = ["running_mean", "running_var"].map(|word| has(&names.norm, word));
    if !has(&names.norm, "weight") && statistics == [false; 2] {
        let affine = ["scale", "shift"].map(|word| find(tensors, &names.norm, word, &[channels]));
        if let [Ok(factors), Ok(summands)] = affine {
            network.fill(scale, factors);
            network.fill(shift, summands);
            return Vec::new();
        }
        let folded = ["bias", "weight_bias"].into_iter().find(|word| has(&names.layer, word));
        if let Some(word) = folded.filter(|_| names.layer != names.norm) {
            network.fill(scale, Tensor::from_f32([channels], &vec![1.0; channels]));
            return put(network, shift, find(tensors, &names.layer, word, &[channels]), Some);
        }
    }
    let words = ["weight", "bias", "running_mean", "running_var"];
    match words.map(|word| find(tensors, &names.norm, word, &[channels])) {
        [Ok(weight), Ok(bias), Ok(mean), Ok(variance)] => {
            let numbers = BatchNorm { weight, bias, mean, variance };
            set_norm(network, [node, scale, shift], numbers);
            Vec::new()
        }
        found => found.into_iter().filter_map(Result::err).collect(),
    }
}

/// Factors and summands of a batch-norm, in double precision.
pub(super) fn set_norm(network: &mut Network, [node, scale, shift]: [NodeId; 3], numbers: BatchNorm) {
    let epsilon = f64::from(network.epsilon as f32);
    let [weight, bias, mean, variance] =
        [&numbers.weight, &numbers.bias, &numbers.mean, &numbers.variance].map(Tensor::to_f64);
    let factors: Vec<f64> = weight.iter().zip(&variance).map(|(w, v)| w / (v + epsilon).sqrt()).collect();
    let summands = bias.iter().zip(&mean).zip(&factors).map(|((b, m), f)| b - m * f).collect();
    for (node, values) in [(scale, factors), (shift, summands)] {
        network.fill(node, Tensor::from(&Array::float([values.len()], values)));
    }
    network.norms.push((node, numbers));
}
