//! Cross-layer equalisation: channels of a value between layers are brought to the same reach.
//!
//! `layer₂(f(layer₁(x))) = layer₂'(f(layer₁'(x)))` where channel c of the value is multiplied by `r_c` in
//! layer₁ and divided by it in layer₂, since `f(r·x) = r·f(x)` for the identity and ReLU. The value has one
//! scale for all channels, and those of a small reach have few steps without it; weights have a scale for
//! each output channel, so that layer₁ does not mind, nor does a depthwise layer₂. Values that are added have
//! their factors in common, and with them all that a chain of inverted residuals adds up.
//!
//! ReLU6 is no such function. Through a clamp a channel is multiplied only if no value of it came to the
//! clamp's upper end on the calibration samples, and by so little that none does afterwards: for those
//! samples the network computes what it did before. On others it may clamp earlier, at what calibration
//! took for the channel's reach, as the range of any stored value does.

use super::layers::{Form, Layer, is_sum};
use super::split::activation;
use super::statistics::Statistics;
use crate::error::Fault;
use crate::fusions::linear::epilogue;
use crate::graph::{Graph, NodeId};
use crate::ops::activation::Activation;
use std::collections::BTreeSet;

/// Largest factor: a channel that calibration hardly saw must not decide over more than that.
const LARGEST: f64 = 16.0;

/// Equalises the value behind every layer where the network allows it; says how many, sums counted once.
///
/// # Errors
///
/// Only bugs.
pub fn equalize(graph: &mut Graph, statistics: &Statistics) -> Result<usize, Fault> {
    let mut count = 0;
    let mut seen = BTreeSet::new();
    for id in graph.order() {
        // Constants of layers before are no longer there.
        if !graph.contains(id) || seen.contains(&id) {
            continue;
        }
        let Some(stream) = Stream::of(graph, id) else { continue };
        seen.extend(stream.values.iter().copied());
        let Some(factors) = stream.factors(graph, statistics) else { continue };
        if factors.iter().any(|&factor| factor != 1.0) {
            stream.scale(graph, &factors)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Values that must be multiplied alike, and all layers that make or read them.
#[derive(Default)]
struct Stream {
    values: BTreeSet<NodeId>,
    makers: BTreeSet<NodeId>,
    readers: BTreeSet<NodeId>,
    /// Upper end of what a value is clamped to; of sums there is none.
    ceiling: f64,
}

impl Stream {
    /// What belongs to a layer's value, unless something else makes or reads a part of it.
    fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        Layer::of(graph, id)?;
        let mut stream = Self { ceiling: f64::INFINITY, ..Self::default() };
        let mut open = vec![id];
        while let Some(value) = open.pop() {
            if !stream.values.insert(value) {
                continue;
            }
            if graph.is_output(value) || graph.inputs().contains(&value) {
                return None;
            }
            if is_sum(graph, value) {
                open.extend(graph.operands(value));
            } else {
                stream.makers.insert(Layer::of(graph, value)?.id());
            }
            stream.ceiling = stream.ceiling.min(ceiling(graph, value)?);
            for user in graph.users(value) {
                if is_sum(graph, user) {
                    open.push(user);
                } else {
                    stream
                        .readers
                        .insert(Layer::of(graph, user).filter(|layer| layer.input() == value)?.id());
                }
            }
        }
        (stream.values.len() == 1 || stream.ceiling.is_infinite()).then_some(stream)
    }

    /// What each channel is multiplied by, at least 1: before depthwise layers what brings it to the reach of
    /// the largest. Any other layer pays for a channel r times as fine with weights that are r times smaller
    /// than their neighbours, so the factor lies in the middle.
    fn factors(&self, graph: &Graph, statistics: &Statistics) -> Option<Vec<f64>> {
        let mut peaks: Vec<f64> = Vec::new();
        for value in &self.values {
            let found = statistics.peaks.get(value)?;
            peaks.resize(found.len(), 0.0);
            peaks.iter_mut().zip(found).for_each(|(peak, &found)| *peak = peak.max(found));
        }
        let reach = peaks.iter().fold(0.0, |m: f64, &peak| m.max(peak));
        let shares = self.shares(graph, peaks.len());
        let factor = |(channel, &peak): (usize, &f64)| {
            if peak == 0.0 || peak >= self.ceiling {
                return 1.0;
            }
            let wanted = match &shares {
                None => reach / peak,
                Some(shares) => (reach / peak * shares[channel]).sqrt(),
            };
            wanted.clamp(1.0, LARGEST)
        };
        Some(peaks.iter().enumerate().map(factor).collect())
    }

    /// For each channel the largest share that a weight on it has of the largest one of its output channel;
    /// `None` where only depthwise layers read it.
    fn shares(&self, graph: &Graph, channels: usize) -> Option<Vec<f64>> {
        let readers = self.readers.iter().filter_map(|&id| Layer::of(graph, id));
        let mixing = readers.filter(|layer| !matches!(layer.form, Form::Depthwise(..)));
        mixing.map(|layer| shares(&layer, channels)).reduce(|mut all, shares| {
            all.iter_mut().zip(shares).for_each(|(all, share)| *all = all.max(share));
            all
        })
    }

    /// A layer may both read and make a value of the stream, so that each is looked at as it then stands.
    fn scale(&self, graph: &mut Graph, factors: &[f64]) -> Result<(), Fault> {
        for &maker in &self.makers {
            let Some(mut layer) = Layer::of(graph, maker) else { continue };
            let output = layer.output_of();
            for (i, weight) in layer.weights.iter_mut().enumerate() {
                *weight *= factors[output(i)];
            }
            layer.biases.iter_mut().zip(factors).for_each(|(bias, factor)| *bias *= factor);
            layer.store(graph)?;
        }
        for &reader in &self.readers {
            let Some(mut layer) = Layer::of(graph, reader) else { continue };
            let input = layer.input_of();
            for (i, weight) in layer.weights.iter_mut().enumerate() {
                *weight /= factors[input(i)];
            }
            layer.store(graph)?;
        }
        Ok(())
    }
}

/// The upper end of what a layer or a sum clamps its value to, if it goes through a factor at all.
fn ceiling(graph: &Graph, id: NodeId) -> Option<f64> {
    if epilogue(graph.op(id)).is_some_and(|epilogue| epilogue.residual) {
        return None;
    }
    match activation(graph.op(id)) {
        Activation::Identity => Some(f64::INFINITY),
        Activation::Clamp { lo: 0.0, hi } => Some(hi.into()),
        _ => None,
    }
}

/// For each input channel the largest share that a weight has of the largest one of its output channel.
fn shares(layer: &Layer, channels: usize) -> Vec<f64> {
    let (output, input) = (layer.output_of(), layer.input_of());
    let mut largest = vec![f64::MIN_POSITIVE; layer.biases.len()];
    for (i, weight) in layer.weights.iter().enumerate() {
        largest[output(i)] = largest[output(i)].max(weight.abs());
    }
    let mut shares = vec![0.0_f64; channels];
    for (i, weight) in layer.weights.iter().enumerate() {
        shares[input(i)] = shares[input(i)].max(weight.abs() / largest[output(i)]);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, assert_same, values};
    use crate::ops::binary::BinaryOp;
    use crate::reference::{Array, run};
    use crate::{fusions, passes};

    /// Pointwise, depthwise and pointwise again, with an activation behind the first two.
    fn network(activation: Activation) -> Graph {
        let mut net = Net::new();
        let x = net.input(&[1, 6, 6, 3]);
        let y = net.conv(x, 8, 1, 0);
        let y = net.affine(y);
        let y = net.activate(activation, y);
        let y = net.depthwise(y, 1);
        let y = net.activate(activation, y);
        let y = net.conv(y, 4, 1, 0);
        let mut graph = net.returns(y);
        passes::canonicalize(&mut graph).unwrap();
        fusions::fuse(&mut graph).unwrap();
        graph
    }

    fn sample(size: f64) -> Vec<f64> {
        values(9, 108).iter().map(|&v| f64::from(v) * size).collect()
    }

    /// Statistics of one sample, and the result for it.
    fn observed(graph: &Graph, x: &[f64]) -> (Statistics, Vec<f64>) {
        let array = Array::float(graph.ty(graph.inputs()[0]).shape.clone(), x.to_vec());
        let trace = run(graph, &[array]).unwrap();
        let floats = |array: &Array| array.floats().iter().map(|&v| v as f32).collect();
        let mut statistics = Statistics::new(graph);
        statistics.add(&trace.iter().map(|(&id, array)| (id, floats(array))).collect());
        (statistics, trace[&graph.outputs()[0].1].to_floats())
    }

    /// The largest peak of a channel over the smallest, of the layers' values but the last.
    fn spreads(graph: &Graph, x: &[f64]) -> Vec<f64> {
        let (statistics, _) = observed(graph, x);
        let layers = graph.order().into_iter().filter_map(|id| statistics.peaks.get(&id));
        let spread = |peaks: &Vec<f64>| {
            let seen = peaks.iter().filter(|&&peak| peak > 0.0);
            let (least, most) =
                seen.fold((f64::MAX, 0.0), |(a, b): (f64, f64), &peak| (a.min(peak), b.max(peak)));
            most / least
        };
        let mut spreads: Vec<f64> = layers.map(spread).collect();
        spreads.pop();
        spreads
    }

    #[test]
    fn through_relu_nothing_changes_whatever_the_input() {
        let before = network(Activation::RELU);
        let mut after = before.clone();
        let (statistics, _) = observed(&before, &sample(1.0));
        assert_eq!(equalize(&mut after, &statistics), Ok(2));
        assert_same(&before, &after);
        assert_ne!(before.text(), after.text());
        for (before, after) in spreads(&before, &sample(1.0)).iter().zip(spreads(&after, &sample(1.0))) {
            assert!(after < 0.7 * before, "{before} {after}");
        }
    }

    #[test]
    fn through_relu6_nothing_changes_on_the_calibration_samples() {
        for size in [1.0, 8.0] {
            let before = network(Activation::RELU6);
            let mut after = before.clone();
            let (statistics, expected) = observed(&before, &sample(size));
            let clamped = statistics.peaks.values().flatten().filter(|&&peak| peak == 6.0).count();
            assert_eq!(clamped > 0, size > 1.0, "{clamped} channels come to the clamp");
            assert!(equalize(&mut after, &statistics).unwrap() > 0);
            let (_, found) = observed(&after, &sample(size));
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }

    #[test]
    fn what_is_added_has_its_factors_in_common() {
        let mut net = Net::new();
        let x = net.input(&[1, 6, 6, 3]);
        let start = net.conv(x, 5, 1, 0);
        let wide = net.conv(start, 8, 1, 0);
        let wide = net.activate(Activation::RELU, wide);
        let end = net.conv(wide, 5, 1, 0);
        let sum = net.binary(BinaryOp::Add, start, end);
        let y = net.conv(sum, 4, 1, 0);
        let before = net.returns(y);
        let mut after = before.clone();
        let (statistics, _) = observed(&before, &sample(1.0));
        let stream = Stream::of(&before, start).unwrap();
        assert_eq!(stream.values, [start, end, sum].into());
        assert_eq!(stream.makers, [start, end].into());
        assert_eq!(stream.readers.len(), 2);
        assert!(equalize(&mut after, &statistics).unwrap() > 0);
        assert_same(&before, &after);
        assert_ne!(before.text(), after.text());
    }

    #[test]
    fn a_sum_with_the_input_is_left_alone() {
        let mut net = Net::new();
        let x = net.input(&[1, 6, 6, 3]);
        let start = net.conv(x, 3, 1, 0);
        let sum = net.binary(BinaryOp::Add, start, x);
        let y = net.conv(sum, 4, 1, 0);
        let graph = net.returns(y);
        assert!(Stream::of(&graph, start).is_none(), "the input has no factor");
    }

    #[test]
    fn hard_swish_is_left_alone() {
        let mut after = network(Activation::HardSwish);
        let (statistics, _) = observed(&after, &sample(1.0));
        assert_eq!(equalize(&mut after, &statistics), Ok(0));
    }
}
