//! The tensors of a network under their own names, as a file of weights has them.

use super::Tensors;
use super::names::Naming;
use crate::dsl::{BatchNorm, Kind, Network, Parameter};
use crate::error::Fault;
use crate::ops::Operator as _;
use crate::ops::transpose::Transpose;
use crate::reference::Array;
use crate::tensor::Tensor;
use safetensors::tensor::{Dtype, TensorView, serialize};

/// A network's weights as a safetensors file.
///
/// # Errors
///
/// A network without weights; what the format does not hold.
pub fn to_safetensors(network: &Network) -> Result<Vec<u8>, Fault> {
    let mut views = Vec::new();
    let tensors = tensors(network)?;
    for (name, tensor) in &tensors {
        let view = TensorView::new(Dtype::F32, tensor.ty.shape.clone(), tensor.bytes());
        views.push((name, view.map_err(|error| Fault::bug(error.to_string()))?));
    }
    serialize(views, None).map_err(|error| Fault::bug(error.to_string()))
}

/// The tensors of a network that has weights, by their own names.
///
/// # Errors
///
/// A batch-norm whose numbers were not loaded.
pub fn tensors(network: &Network) -> Result<Tensors, Fault> {
    let mut tensors = Tensors::new();
    for parameter in &network.parameters {
        put(network, parameter, &mut tensors)?;
    }
    Ok(tensors)
}

fn put(network: &Network, parameter: &Parameter, tensors: &mut Tensors) -> Result<(), Fault> {
    let names = Naming::Own.names(network, parameter)?;
    let constant = network.graph.tensor(parameter.kind.constant());
    let tensor = constant.ok_or_else(|| Fault::bug("a parameter is a constant"))?;
    let mut insert = |layer: &str, word: &str, tensor: Tensor| {
        tensors.insert(format!("{layer}.{word}"), tensor);
    };
    match parameter.kind {
        Kind::Conv(_) => insert(&names.layer, "weight", permuted(tensor, &[0, 3, 1, 2])?),
        Kind::Depthwise(_) => {
            let weight = permuted(tensor, &[2, 0, 1])?;
            let [o, kh, kw] = weight.ty.shape[..] else { return Err(Fault::bug("a weight is [kh,kw,O]")) };
            insert(&names.layer, "weight", weight.reshaped([o, 1, kh, kw]).unwrap_or(weight));
        }
        Kind::Dense(_) => insert(&names.layer, "weight", permuted(tensor, &[1, 0])?),
        Kind::Bias(_) => insert(&names.layer, "bias", tensor.clone()),
        Kind::LayerScale(_) => insert(&names.scale, names.scale_word, tensor.clone()),
        Kind::Norm { node, .. } => {
            let loaded = network.norms.iter().find(|(other, _)| *other == node);
            let Some((_, BatchNorm { weight, bias, mean, variance })) = loaded else {
                let fault =
                    Fault::model(format!("the numbers of the batch-norm {} are not known", names.norm));
                return Err(fault.help("they went into a convolution when the weights were exported"));
            };
            insert(&names.norm, "weight", weight.clone());
            insert(&names.norm, "bias", bias.clone());
            insert(&names.norm, "running_mean", mean.clone());
            insert(&names.norm, "running_var", variance.clone());
        }
    }
    Ok(())
}

/// A constant with its dimensions in another order.
pub(super) fn permuted(tensor: &Tensor, permutation: &[usize]) -> Result<Tensor, Fault> {
    let op = Transpose { permutation: permutation.to_vec() };
    let ty = op.infer(std::slice::from_ref(&tensor.ty))?;
    Ok(Tensor::from(&op.eval(&[&Array::from(tensor)], &ty)))
}
