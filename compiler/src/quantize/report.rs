//! How much of each value is left when everything before it is stored in 8 bits.

use super::insert::{self, Inserted};
use super::observe::Values;
use crate::graph::{Graph, NodeId};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// One stored value, and the layer that makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNoise {
    /// The node's name in the model.
    pub name: String,
    /// Operator and attributes.
    pub operation: String,
    /// Signal to noise of the weights, in decibels; `None` where there are none.
    pub weights_db: Option<f64>,
    /// Signal to noise of the value, in decibels, with everything before it stored as well; `None` where it
    /// was 0 throughout.
    pub value_db: Option<f64>,
}

/// Power of signal and noise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Power {
    signal: f64,
    noise: f64,
}

impl AddAssign for Power {
    fn add_assign(&mut self, other: Self) {
        self.signal += other.signal;
        self.noise += other.noise;
    }
}

impl Power {
    /// Adds one element: what it should be, and what was found.
    pub fn add(&mut self, signal: f64, found: f64) {
        self.signal += signal * signal;
        self.noise += (signal - found) * (signal - found);
    }

    /// 10 log₁₀ of the ratio, at most 200; `None` of nothing.
    pub fn decibels(&self) -> Option<f64> {
        let decibels = 10.0 * (self.signal / self.noise).log10();
        (self.signal > 0.0 || self.noise > 0.0).then(|| decibels.clamp(-200.0, 200.0))
    }
}

/// Sums over all samples so far.
#[derive(Debug, Default)]
pub struct Noise {
    powers: BTreeMap<NodeId, Power>,
}

impl Noise {
    /// Compares the values of one sample, as far as their readers tell them apart.
    pub fn add(&mut self, inserted: &Inserted, floats: &Values, stored: &Values) {
        for (id, back) in &inserted.stored {
            let (Some(floats), Some(stored)) = (floats.get(id), stored.get(back)) else { continue };
            let power = self.powers.entry(*id).or_default();
            let told = inserted.told.get(id);
            for (&float, &stored) in floats.iter().zip(stored) {
                let float = told.map_or(float.into(), |range| range.nearest(float.into()));
                power.add(float, stored.into());
            }
        }
    }

    /// One row a value, in the order in which they are computed; not of those whose elements are only moved.
    pub fn layers(&self, float: &Graph, inserted: &Inserted) -> Vec<LayerNoise> {
        let row = |id: NodeId| {
            if insert::is_moved(float, id) {
                return None;
            }
            let power = self.powers.get(&id)?;
            let weights = inserted.weights.get(&id).and_then(|(weights, real)| {
                let mut power = Power::default();
                weights.iter().zip(real).for_each(|(&weight, &real)| power.add(weight, real));
                power.decibels()
            });
            Some(LayerNoise {
                name: float.name(id).to_owned(),
                operation: float.op(id).describe(),
                weights_db: weights,
                value_db: power.decibels(),
            })
        };
        float.order().into_iter().filter_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_amplitude_is_twenty_decibels() {
        let mut power = Power::default();
        power.add(10.0, 9.0);
        power.add(-10.0, -9.0);
        assert!(power.decibels().is_some_and(|db| (db - 20.0).abs() < 1e-9));
        assert_eq!(Power::default().decibels(), None);
    }
}
