//! Random weights that a network can be tried with: uniformly distributed, as wide as keeps the variance of
//! activations through all layers, each tensor from a sequence of its own, so that no other one moves it.

use super::fill::set_norm;
use crate::dsl::{BatchNorm, Kind, Network, Parameter, Part};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::tensor::Tensor;

/// A seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    /// Equal seeds give equal weights.
    pub seed: u64,
}

impl Random {
    /// Fills one parameter; nothing can be wrong with it.
    pub fn fill(self, network: &mut Network, parameter: &Parameter) -> Vec<Fault> {
        let name = network.layer(parameter);
        let spread = parameter.spread;
        match parameter.kind {
            Kind::Conv(node) | Kind::Depthwise(node) | Kind::Dense(node) => {
                // Uniform over ±√3·σ has the standard deviation σ.
                let side = 3.0_f64.sqrt() * spread;
                self.put(network, node, &format!("{name}.weight"), [-side, side]);
            }
            Kind::Bias(node) => {
                // A gate of squeeze-and-excite is then between open and half open.
                let range = if parameter.part == Part::Excite { [0.5, 2.0] } else { [-0.2, 0.2] };
                self.put(network, node, &format!("{name}.bias"), range);
            }
            Kind::LayerScale(node) => {
                let range = [0.8 * spread, 1.2 * spread];
                self.put(network, node, &format!("{name}.layer_scale"), range);
            }
            Kind::Norm { node, scale, shift } => {
                let channels = network.graph.ty(scale).elements();
                let tensor =
                    |word: &str, range| self.tensor(&format!("{name}.bn.{word}"), &[channels], range);
                let numbers = BatchNorm {
                    weight: tensor("weight", [0.8 * spread, 1.2 * spread]),
                    bias: tensor("bias", [-0.2, 0.2]),
                    mean: tensor("running_mean", [-0.2, 0.2]),
                    variance: tensor("running_var", [0.8, 1.25]),
                };
                set_norm(network, [node, scale, shift], numbers);
            }
        }
        Vec::new()
    }

    fn put(self, network: &mut Network, node: NodeId, name: &str, range: [f64; 2]) {
        let shape = network.graph.ty(node).shape.clone();
        network.fill(node, self.tensor(name, &shape, range));
    }

    fn tensor(self, name: &str, shape: &[usize], [low, high]: [f64; 2]) -> Tensor {
        let mut state = name.bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| {
                // The upper 53 bits are a number below 1.
                let unit = (next(&mut state) >> 11) as f64 / (1_u64 << 53) as f64;
                (low + (high - low) * unit) as f32
            })
            .collect();
        Tensor::from_f32(shape, &values)
    }
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_and_names_give_equal_tensors() {
        let tensor = |seed, name| Random { seed }.tensor(name, &[100], [-1.0, 1.0]);
        assert_eq!(tensor(1, "a"), tensor(1, "a"));
        assert_ne!(tensor(1, "a"), tensor(2, "a"));
        assert_ne!(tensor(1, "a"), tensor(1, "b"));
    }

    #[test]
    fn values_fill_their_range() {
        let values = Random { seed: 7 }.tensor("x", &[10_000], [2.0, 4.0]).to_f64();
        assert!(values.iter().all(|v| (2.0..=4.0).contains(v)));
        // The mean of 10,000 such values has a standard deviation of 0.006.
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((mean - 3.0).abs() < 0.03, "{mean}");
    }
}
