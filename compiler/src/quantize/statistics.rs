//! What calibration samples tell about a graph's values.

use super::histogram::Histogram;
use super::layers::{Form, Layer, is_sum};
use super::observe::Values;
use crate::graph::{Graph, NodeId};
use crate::ops::window::Window;
use std::collections::BTreeMap;

/// Sums over all samples so far.
#[derive(Debug)]
pub struct Statistics {
    /// How often values occur.
    pub histograms: BTreeMap<NodeId, Histogram>,
    /// For layers and [sums](is_sum): the largest magnitude in each channel.
    pub peaks: BTreeMap<NodeId, Vec<f64>>,
    /// For layers: what they read.
    inputs: BTreeMap<NodeId, Inputs>,
}

/// What a layer reads of its input.
#[derive(Debug)]
struct Inputs {
    value: NodeId,
    window: Option<Window>,
    input: Vec<usize>,
    output: Vec<usize>,
    /// Sums of what each tap reads of each input channel, padding included, taps first.
    sums: Vec<f64>,
    /// At how many positions.
    count: f64,
}

impl Inputs {
    fn of(graph: &Graph, layer: &Layer) -> Self {
        let window = match layer.form {
            Form::Conv2d(window, _) | Form::Depthwise(window, _) => Some(window),
            Form::Dense => None,
        };
        let input = graph.ty(layer.input()).shape.clone();
        let taps = window.map_or(1, |window| window.taps());
        let sums = vec![0.0; taps * input.last().copied().unwrap_or(1)];
        let output = graph.ty(layer.id()).shape.clone();
        Self { value: layer.input(), window, input, output, sums, count: 0.0 }
    }

    fn add(&mut self, values: &[f32]) {
        self.count += match self.window {
            Some(window) => add_window(&mut self.sums, values, &self.input, &window, &self.output),
            None => add_rows(&mut self.sums, values),
        };
    }
}

impl Statistics {
    /// Nothing yet of a graph's values.
    pub fn new(graph: &Graph) -> Self {
        let layers: Vec<Layer> = graph.order().into_iter().filter_map(|id| Layer::of(graph, id)).collect();
        let sums = graph.order().into_iter().filter(|&id| is_sum(graph, id));
        let channels = |id: NodeId| graph.ty(id).shape.last().copied().unwrap_or(1);
        let zeros = |id: NodeId| (id, vec![0.0; channels(id)]);
        Self {
            histograms: BTreeMap::new(),
            peaks: layers.iter().map(Layer::id).chain(sums).map(zeros).collect(),
            inputs: layers.iter().map(|layer| (layer.id(), Inputs::of(graph, layer))).collect(),
        }
    }

    /// Counts the values of one sample.
    pub fn add(&mut self, values: &Values) {
        for (&id, values) in values {
            self.histograms.entry(id).or_default().add(values);
        }
        for (id, peaks) in &mut self.peaks {
            let channels = peaks.len().max(1);
            for pixel in values.get(id).iter().flat_map(|values| values.chunks_exact(channels)) {
                peaks.iter_mut().zip(pixel).for_each(|(peak, v)| *peak = peak.max(v.abs().into()));
            }
        }
        for inputs in self.inputs.values_mut() {
            if let Some(values) = values.get(&inputs.value) {
                inputs.add(values);
            }
        }
    }

    /// The mean of what each tap of a layer reads of each input channel, taps first.
    pub fn mean_inputs(&self, layer: NodeId) -> Option<Vec<f64>> {
        let Inputs { sums, count, .. } = self.inputs.get(&layer)?;
        Some(sums.iter().map(|sum| sum / count.max(1.0)).collect())
    }
}

/// Adds rows of as many values as there are sums.
fn add_rows(sums: &mut [f64], values: &[f32]) -> f64 {
    for row in values.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    (values.len() / sums.len()) as f64
}

/// Adds what each tap reads at every output position; says at how many.
fn add_window(sums: &mut [f64], values: &[f32], input: &[usize], window: &Window, output: &[usize]) -> f64 {
    let (&[images, height, width, channels], &[_, rows, columns, _]) = (input, output) else { return 0.0 };
    for (tap, sums) in sums.chunks_exact_mut(channels).enumerate() {
        let (ky, kx) = (tap / window.kernel[1], tap % window.kernel[1]);
        for image in 0..images {
            for y in (0..rows).filter_map(|oy| window.tap(0, oy, ky, height)) {
                let row = &values[(image * height + y) * width * channels..][..width * channels];
                for x in (0..columns).filter_map(|ox| window.tap(1, ox, kx, width)) {
                    let pixel = &row[x * channels..][..channels];
                    sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += f64::from(value));
                }
            }
        }
    }
    (images * rows * columns) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::Net;

    #[test]
    fn taps_at_the_border_read_zeros() {
        let mut net = Net::new();
        let x = net.input(&[1, 3, 3, 1]);
        let y = net.depthwise(x, 1);
        let graph = net.returns(y);
        let mut statistics = Statistics::new(&graph);
        let values: Values = [(x, vec![1.0; 9]), (y, vec![0.0; 9])].into();
        statistics.add(&values);
        let means = statistics.mean_inputs(y).unwrap();
        // Of nine output positions six lie below an upper row, four of them right of a left column as well.
        let expected = [4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0].map(|count: f64| count / 9.0);
        assert_eq!(means, expected);
    }

    #[test]
    fn channels_have_their_own_peaks() {
        let mut net = Net::new();
        let x = net.input(&[1, 1, 2, 2]);
        let y = net.dense(x, 2);
        let graph = net.returns(y);
        let mut statistics = Statistics::new(&graph);
        for peak in [1.0, 3.0] {
            let values: Values = [(x, vec![0.5, peak, 0.0, 0.0]), (y, vec![peak, 0.0, -4.0, 0.5])].into();
            statistics.add(&values);
        }
        assert_eq!(statistics.peaks[&y], [4.0, 0.5]);
        assert_eq!(statistics.mean_inputs(y).unwrap(), [0.25, 1.0]);
        assert_eq!(statistics.histograms[&x].extremes(), (0.0, 3.0));
    }
}
