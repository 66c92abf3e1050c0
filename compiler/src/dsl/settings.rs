//! What holds for a whole network.

use super::builder::LAST;
use super::layers::Padding;
use super::scale::{MAX_CHANNELS, Scaling};
use crate::error::Fault;
use crate::ops::activation::Activation;

/// What holds for a whole network. The defaults are TensorFlow's, where most of the family comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Height, width and channels of the input.
    pub input: [usize; 3],
    /// How input and feature maps lie for the caller; inside they are NHWC in any case.
    pub layout: Layout,
    /// Width multiplier and rounding.
    pub scaling: Scaling,
    /// Outputs of the classifier, where it does not say a number itself.
    pub classes: usize,
    /// How windows are padded.
    pub padding: Padding,
    /// Added to the variance of every batch-norm.
    pub bn_eps: f64,
    /// The activation of blocks that name none.
    pub activation: Activation,
    /// Strides beyond this product become dilations, as segmentation uses it.
    pub output_stride: Option<usize>,
    /// Names of the values that are the network's results; empty for those that it declares.
    pub outputs: Vec<String>,
}

/// Order of a map's dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[1, height, width, channels]`
    #[default]
    Nhwc,
    /// `[1, channels, height, width]`
    Nchw,
}

impl Default for Settings {
    /// 224×224 RGB, NHWC, alpha 1, multiples of 8, 1000 classes, TensorFlow's padding, ε = 0.001, ReLU6.
    fn default() -> Self {
        Self {
            input: [224, 224, 3],
            layout: Layout::Nhwc,
            scaling: Scaling::default(),
            classes: 1000,
            padding: Padding::Same,
            bn_eps: 1e-3,
            activation: Activation::RELU6,
            output_stride: None,
            outputs: Vec::new(),
        }
    }
}

impl Settings {
    /// Refuses what no network can have, with the option's name.
    pub(super) fn check(&self) -> Result<(), (&'static str, Fault)> {
        let range = |name, what: String, fits: bool| {
            if fits { Ok(()) } else { Err((name, Fault::model(what))) }
        };
        let Scaling { alpha, divisor, min_width } = self.scaling;
        let widths = 1..=MAX_CHANNELS;
        let [height, width, channels] = self.input;
        let sides = [height, width, channels].iter().all(|side| widths.contains(side));
        range("input", format!("an input of {height}x{width}x{channels}"), sides)?;
        range("alpha", format!("alpha = {alpha}"), alpha > 0.0 && alpha <= 1e3)?;
        range("divisor", format!("divisor = {divisor}"), widths.contains(&divisor))?;
        range("min_width", format!("min_width = {min_width}"), widths.contains(&min_width))?;
        range("classes", format!("classes = {}", self.classes), widths.contains(&self.classes))?;
        range("bn_eps", format!("bn_eps = {}", self.bn_eps), self.bn_eps > 0.0 && self.bn_eps < 1.0)?;
        let power = self.output_stride.is_none_or(usize::is_power_of_two);
        let stride = self.output_stride.unwrap_or(1);
        range("output_stride", format!("output_stride = {stride}; it takes a power of two"), power)?;
        let twice = self.outputs.iter().enumerate().find(|(i, name)| self.outputs[..*i].contains(name));
        let what = format!("outputs has {} twice", twice.map_or(LAST, |(_, name)| name));
        range("outputs", what, twice.is_none())
    }
}
