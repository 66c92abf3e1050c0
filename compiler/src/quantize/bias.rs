//! Bias correction: rounded weights shift a layer's mean result; its bias takes the shift back.
//!
//! `b'_o = b_o − Σ (ŵ − w) · E[x]` over the weights of output channel o, with the mean of what each tap reads
//! on the calibration samples, zeros of the padding included.

use super::layers::Layer;

/// The corrected biases of a layer whose weights become `rounded`; `means` are those of each tap and input
/// channel, taps first.
pub fn corrected(layer: &Layer, rounded: &[f64], means: &[f64]) -> Vec<f64> {
    let (output, input, tap) = (layer.output_of(), layer.input_of(), layer.tap_of());
    let taps = (0..rounded.len()).map(&tap).max().unwrap_or(0) + 1;
    let channels = means.len() / taps;
    let mut biases = layer.biases.clone();
    for (i, (rounded, weight)) in rounded.iter().zip(&layer.weights).enumerate() {
        biases[output(i)] -= (rounded - weight) * means[tap(i) * channels + input(i)];
    }
    biases
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Statistics;
    use super::*;
    use crate::graph::Graph;
    use crate::graph::testing::{Net, values};
    use crate::reference::{Array, run};

    /// The mean of each channel of the result.
    fn means(graph: &Graph, x: &[f64]) -> Vec<f64> {
        let (input, output) = (graph.inputs()[0], graph.outputs()[0].1);
        let array = Array::float(graph.ty(input).shape.clone(), x.to_vec());
        let result = &run(graph, &[array]).unwrap()[&output];
        let channels = result.ty.shape[3];
        let pixels = result.floats().len() / channels;
        (0..channels)
            .map(|c| result.floats().iter().skip(c).step_by(channels).sum::<f64>() / pixels as f64)
            .collect()
    }

    #[test]
    fn the_mean_of_every_channel_is_what_it_was() {
        for depthwise in [false, true] {
            let mut net = Net::new();
            let x = net.input(&[1, 5, 5, 4]);
            let y = if depthwise { net.depthwise(x, 1) } else { net.conv(x, 6, 3, 1) };
            let mut graph = net.returns(y);
            let sample: Vec<f32> = values(3, 100).iter().map(|v| v + 0.7).collect();
            let wanted = means(&graph, &sample.iter().map(|&v| v.into()).collect::<Vec<f64>>());

            let mut statistics = Statistics::new(&graph);
            statistics.add(&[(x, sample.clone())].into());
            let mut layer = Layer::of(&graph, y).unwrap();
            let rounded: Vec<f64> = layer.weights.iter().map(|w| (w * 4.0).round() / 4.0).collect();
            layer.biases = corrected(&layer, &rounded, &statistics.mean_inputs(y).unwrap());
            layer.weights = rounded;
            layer.store(&mut graph).unwrap();

            let found = means(&graph, &sample.iter().map(|&v| v.into()).collect::<Vec<f64>>());
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
            }
        }
    }
}
