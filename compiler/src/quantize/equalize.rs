//! Cross-layer equalisation: channels of a value between two layers are brought to the same reach.
//!
//! `layer₂(f(layer₁(x))) = layer₂'(f(layer₁'(x)))` where channel c of the value is multiplied by `r_c` in
//! layer₁ and divided by it in layer₂, since `f(r·x) = r·f(x)` for the identity and ReLU. The value has one
//! scale for all channels, and those of a small reach have few steps without it; weights have a scale for
//! each output channel, so that layer₁ does not mind, nor does a depthwise layer₂.
//!
//! ReLU6 is no such function. Through a clamp a channel is multiplied only if no value of it came to the
//! clamp's upper end on the calibration samples, and by so little that none does afterwards: for those
//! samples the network computes what it did before. On others it may clamp earlier, at what calibration
//! took for the channel's reach, as the range of any stored value does.

use super::layers::{Form, Layer};
use super::statistics::Statistics;
use crate::error::Fault;
use crate::fusions::linear::epilogue;
use crate::graph::{Graph, NodeId};
use crate::ops::activation::Activation;
use crate::ops::epilogue::Epilogue;

/// Largest factor: a channel that calibration hardly saw must not decide over more than that.
const LARGEST: f64 = 16.0;

/// Equalises every pair of layers that allows it; says how many.
///
/// # Errors
///
/// Only bugs.
pub fn equalize(graph: &mut Graph, statistics: &Statistics) -> Result<usize, Fault> {
    let mut count = 0;
    for id in graph.order() {
        // Constants of layers before are no longer there.
        let Some(pair) = graph.contains(id).then(|| pair(graph, id)).flatten() else { continue };
        let Some(peaks) = statistics.peaks.get(&id) else { continue };
        let factors = factors(&pair, peaks);
        if factors.iter().all(|&factor| factor == 1.0) {
            continue;
        }
        scale(graph, pair, &factors)?;
        count += 1;
    }
    Ok(count)
}

/// Two layers with only a value between them, and the upper end of what it is clamped to.
struct Pair {
    first: Layer,
    second: Layer,
    ceiling: f64,
}

fn pair(graph: &Graph, id: NodeId) -> Option<Pair> {
    let first = Layer::of(graph, id)?;
    let Epilogue { activation, residual: false, .. } = epilogue(graph.op(id))? else { return None };
    let ceiling = match activation {
        Activation::Identity => f64::INFINITY,
        Activation::Clamp { lo: 0.0, hi } => hi.into(),
        _ => return None,
    };
    let second = Layer::of(graph, graph.only_user(id)?)?;
    (second.input() == id).then_some(Pair { first, second, ceiling })
}

/// What each channel is multiplied by, at least 1: before a depthwise layer what brings it to the reach of
/// the largest. Any other layer pays for a channel r times as fine with weights that are r times smaller than
/// their neighbours, so the factor lies in the middle.
fn factors(pair: &Pair, peaks: &[f64]) -> Vec<f64> {
    let reach = peaks.iter().fold(0.0, |m: f64, &peak| m.max(peak));
    let shares = match pair.second.form {
        Form::Depthwise(..) => None,
        Form::Conv2d(..) | Form::Dense => Some(shares(&pair.second, peaks.len())),
    };
    let factor = |(channel, &peak): (usize, &f64)| {
        if peak == 0.0 || peak >= pair.ceiling {
            return 1.0;
        }
        let wanted = match &shares {
            None => reach / peak,
            Some(shares) => (reach / peak * shares[channel]).sqrt(),
        };
        wanted.clamp(1.0, LARGEST)
    };
    peaks.iter().enumerate().map(factor).collect()
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

fn scale(graph: &mut Graph, pair: Pair, factors: &[f64]) -> Result<(), Fault> {
    let Pair { mut first, mut second, .. } = pair;
    let output = first.output_of();
    for (i, weight) in first.weights.iter_mut().enumerate() {
        *weight *= factors[output(i)];
    }
    first.biases.iter_mut().zip(factors).for_each(|(bias, factor)| *bias *= factor);
    let input = second.input_of();
    for (i, weight) in second.weights.iter_mut().enumerate() {
        *weight /= factors[input(i)];
    }
    first.store(graph)?;
    second.store(graph)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, assert_same, values};
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
    fn hard_swish_and_sums_are_left_alone() {
        let mut after = network(Activation::HardSwish);
        let (statistics, _) = observed(&after, &sample(1.0));
        assert_eq!(equalize(&mut after, &statistics), Ok(0));
    }
}
