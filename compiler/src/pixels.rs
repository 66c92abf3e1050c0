//! Pictures as they come from a camera or a decoder: `u8` pixels, normalised inside the network.
//!
//! A network's first float input is replaced by one of `u8`, `[1, H, W, C]`, followed by the conversion,
//! the normalisation and, for NCHW models, a transpose; the passes then fold what can be folded into the
//! first convolution.

use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::activation::Activation;
use crate::ops::affine::Affine;
use crate::ops::cast::Cast;
use crate::ops::transpose::Transpose;
use crate::tensor::{DType, Tensor, TensorType};

/// How pixels become what the network was trained on: `(pixel / 255 − mean) / deviation` per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    channels: usize,
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Input {
    /// Red, green, blue; values 0 to 1 unless a normalisation follows.
    pub fn rgb8() -> Self {
        Self { channels: 3, mean: vec![0.0; 3], deviation: vec![1.0; 3] }
    }

    /// One channel of grey; values 0 to 1 unless a normalisation follows.
    pub fn grey8() -> Self {
        Self { channels: 1, mean: vec![0.0], deviation: vec![1.0] }
    }

    /// Mean and deviation of ImageNet, as torchvision's and most of timm's networks are trained.
    #[must_use]
    pub fn imagenet(self) -> Self {
        self.normalize(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
    }

    /// −1 to 1, as TensorFlow's networks are trained.
    #[must_use]
    pub fn tf(self) -> Self {
        self.normalize(&[0.5], &[0.5])
    }

    /// 0 to 255, as they are.
    #[must_use]
    pub fn raw(self) -> Self {
        self.normalize(&[0.0], &[1.0 / 255.0])
    }

    /// A mean and a deviation for each channel, on the scale of 0 to 1; the last one given holds for the
    /// channels behind it.
    #[must_use]
    pub fn normalize(mut self, mean: &[f32], deviation: &[f32]) -> Self {
        let spread = |values: &[f32], default: f32| -> Vec<f32> {
            (0..self.channels).map(|c| values.get(c).or(values.last()).copied().unwrap_or(default)).collect()
        };
        (self.mean, self.deviation) = (spread(mean, 0.0), spread(deviation, 1.0));
        self
    }

    /// Puts the conversion in front of the graph's only input.
    ///
    /// # Errors
    ///
    /// A graph with several inputs, an input that is no picture of these channels, a deviation of 0.
    pub fn apply(&self, graph: &mut Graph) -> Result<(), Fault> {
        let [old] = *graph.inputs() else {
            return Err(Fault::model(format!(
                "pixels need a single input, the model has {}",
                graph.inputs().len()
            )));
        };
        let ty = graph.ty(old).clone();
        let (height, width, channels_first) = match ty.shape[..] {
            [1, c, h, w] if c == self.channels => (h, w, true),
            [1, h, w, c] if c == self.channels => (h, w, false),
            _ => {
                return Err(Fault::model(format!(
                    "input {} is {ty}, no picture of {} channels",
                    graph.name(old),
                    self.channels
                )));
            }
        };
        if ty.dtype != DType::F32 {
            return Err(Fault::model(format!("input {} takes {} as it is", graph.name(old), ty.dtype))
                .help("leave the pixels' normalisation out"));
        }
        if self.deviation.iter().any(|d| *d == 0.0 || !d.is_finite()) {
            return Err(Fault::model("a deviation of 0"));
        }
        let name = graph.name(old).to_owned();
        let pixels = graph.exchange_input(old, TensorType::new(DType::U8, [1, height, width, self.channels]));
        let value = self.normalized(graph, &name, pixels, channels_first)?;
        graph.replace(old, value);
        graph.sweep();
        Ok(())
    }

    fn normalized(
        &self,
        graph: &mut Graph,
        name: &str,
        pixels: NodeId,
        channels_first: bool,
    ) -> Result<NodeId, Fault> {
        let pairs = || self.mean.iter().zip(&self.deviation);
        let scale: Vec<f32> = pairs().map(|(_, d)| (1.0 / (255.0 * f64::from(*d))) as f32).collect();
        let shift: Vec<f32> = pairs().map(|(m, d)| (-f64::from(*m) / f64::from(*d)) as f32).collect();
        let float = graph.add(format!("{name}.float"), Cast { to: DType::F32 }, &[pixels])?;
        let scale = graph.add_constant(format!("{name}.scale"), Tensor::from_f32([self.channels], &scale));
        let shift = graph.add_constant(format!("{name}.shift"), Tensor::from_f32([self.channels], &shift));
        let affine = Affine { activation: Activation::Identity };
        let value = graph.add(format!("{name}.normalized"), affine, &[float, scale, shift])?;
        if !channels_first {
            return Ok(value);
        }
        graph.add(format!("{name}.channels_first"), Transpose { permutation: vec![0, 3, 1, 2] }, &[value])
    }
}
