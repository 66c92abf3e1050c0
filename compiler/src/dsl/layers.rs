//! The layers and blocks that a [`Builder`](super::Builder) adds, as data: what each computes and what
//! may be chosen about it. Their defaults are what the family uses most.

use super::scale::Width;
use crate::ops::activation::Activation;

/// How a window's border is padded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// TensorFlow's: `⌈input / stride⌉` outputs, the odd row or column of zeros at the bottom and right.
    #[default]
    Same,
    /// PyTorch's: `(kernel − 1) / 2` on every side.
    Symmetric,
    /// None.
    Valid,
}

/// Whether a block's input is added to its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Residual {
    /// Where it runs at stride 1 and the shapes are equal.
    #[default]
    IfFits,
    /// Always; shapes that differ are a fault.
    Always,
    /// Never.
    Never,
}

/// Convolution, then bias or batch-norm, then an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv {
    /// Output channels.
    pub width: Width,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Rows and columns from one output to the next.
    pub stride: usize,
    /// Rows and columns from one tap to the next.
    pub dilation: usize,
    /// Groups.
    pub groups: usize,
    /// Batch-norm behind it.
    pub norm: bool,
    /// A bias.
    pub bias: bool,
    /// Behind all that.
    pub activation: Activation,
    /// Another padding than the network's.
    pub padding: Option<Padding>,
}

impl Conv {
    /// Kernel 1×1, stride 1, batch-norm, no activation.
    pub const fn pointwise(width: Width) -> Self {
        Self {
            width,
            kernel: [1, 1],
            stride: 1,
            dilation: 1,
            groups: 1,
            norm: true,
            bias: false,
            activation: Activation::Identity,
            padding: None,
        }
    }

    /// A square kernel, stride 1, batch-norm, no activation.
    pub const fn square(kernel: usize, width: Width) -> Self {
        Self { kernel: [kernel, kernel], ..Self::pointwise(width) }
    }
}

/// Depthwise convolution, then bias or batch-norm, then an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depthwise {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Rows and columns from one output to the next.
    pub stride: usize,
    /// Rows and columns from one tap to the next.
    pub dilation: usize,
    /// Output channels per input channel.
    pub multiplier: usize,
    /// Batch-norm behind it.
    pub norm: bool,
    /// A bias.
    pub bias: bool,
    /// Behind all that.
    pub activation: Activation,
    /// Another padding than the network's.
    pub padding: Option<Padding>,
}

impl Default for Depthwise {
    /// 3×3, stride 1, batch-norm, no activation.
    fn default() -> Self {
        Self {
            kernel: [3, 3],
            stride: 1,
            dilation: 1,
            multiplier: 1,
            norm: true,
            bias: false,
            activation: Activation::Identity,
            padding: None,
        }
    }
}

/// V1's block: depthwise, batch-norm, activation; 1×1 convolution, batch-norm, activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Separable {
    /// Output channels.
    pub width: Width,
    /// Kernel height and width of the depthwise convolution.
    pub kernel: [usize; 2],
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Behind both.
    pub activation: Activation,
}

impl Separable {
    /// 3×3, stride 1, ReLU6.
    pub const fn new(width: Width) -> Self {
        Self { width, kernel: [3, 3], stride: 1, activation: Activation::RELU6 }
    }
}

/// A gate for each channel from the means of all: global average, 1×1 convolution with bias to `ratio` of
/// the channels, activation, 1×1 convolution with bias back, gate; multiplied to the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SqueezeExcite {
    /// Channels in between, of the map's.
    pub ratio: f64,
    /// Behind the first layer.
    pub activation: Activation,
    /// Behind the second.
    pub gate: Activation,
}

impl Default for SqueezeExcite {
    /// V3's: a quarter, ReLU, hard sigmoid.
    fn default() -> Self {
        Self { ratio: 0.25, activation: Activation::RELU, gate: Activation::HARD_SIGMOID }
    }
}

/// The bottleneck of V2 and V3: 1×1 expansion, depthwise, squeeze-and-excite, linear 1×1 projection, each
/// convolution with batch-norm; the input is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvertedResidual {
    /// Expanded channels per input channel; with 1 there is no expansion.
    pub expansion: f64,
    /// Output channels.
    pub width: Width,
    /// Kernel height and width of the depthwise convolution.
    pub kernel: [usize; 2],
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Behind the depthwise convolution's activation.
    pub squeeze: Option<SqueezeExcite>,
    /// Behind expansion and depthwise convolution.
    pub activation: Activation,
    /// Whether the input is added.
    pub residual: Residual,
}

impl InvertedResidual {
    /// 3×3, stride 1, ReLU6, no squeeze-and-excite.
    pub const fn new(expansion: f64, width: Width) -> Self {
        Self {
            expansion,
            width,
            kernel: [3, 3],
            stride: 1,
            squeeze: None,
            activation: Activation::RELU6,
            residual: Residual::IfFits,
        }
    }
}

/// How the expansion of a [`FusedInvertedResidual`] is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// So many groups.
    Count(usize),
    /// Groups of so many output channels.
    OfSize(usize),
}

/// The bottleneck of the EdgeTPU networks and of V4: a full convolution expands, a linear 1×1 projects,
/// each with batch-norm; the input is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusedInvertedResidual {
    /// Expanded channels per input channel; with 1 there is only the projection.
    pub expansion: f64,
    /// Output channels.
    pub width: Width,
    /// Kernel height and width of the expansion.
    pub kernel: [usize; 2],
    /// Stride of the expansion.
    pub stride: usize,
    /// Groups of the expansion.
    pub groups: Groups,
    /// Behind the expansion.
    pub activation: Activation,
    /// Whether the input is added.
    pub residual: Residual,
}

impl FusedInvertedResidual {
    /// 3×3, stride 1, ReLU, one group.
    pub const fn new(expansion: f64, width: Width) -> Self {
        Self {
            expansion,
            width,
            kernel: [3, 3],
            stride: 1,
            groups: Groups::Count(1),
            activation: Activation::RELU,
            residual: Residual::IfFits,
        }
    }
}

/// Which depthwise convolution of a [`Uib`] strides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strided {
    /// The one before the expansion.
    Start,
    /// The one behind the expansion.
    Middle,
}

/// V4's universal inverted bottleneck: a linear depthwise convolution, 1×1 expansion with activation,
/// depthwise convolution with activation, linear 1×1 projection, each with batch-norm; layer scale; the
/// input is added. Either depthwise convolution may be absent:
///
/// | start | middle | is |
/// |---|---|---|
/// | yes | yes | extra depthwise |
/// | no | yes | inverted bottleneck |
/// | yes | no | ConvNeXt-like |
/// | no | no | feed-forward |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uib {
    /// Expanded channels per input channel.
    pub expansion: f64,
    /// Output channels.
    pub width: Width,
    /// Kernel of the depthwise convolution before the expansion.
    pub start: Option<[usize; 2]>,
    /// Kernel of the depthwise convolution behind the expansion.
    pub middle: Option<[usize; 2]>,
    /// Stride of one of them.
    pub stride: usize,
    /// Which; the middle one where there is one, otherwise the start.
    pub strided: Option<Strided>,
    /// Behind the expansion and the middle depthwise convolution.
    pub activation: Activation,
    /// A trained factor a channel behind the projection.
    pub layer_scale: bool,
    /// Whether the input is added.
    pub residual: Residual,
}

impl Uib {
    /// Feed-forward, ReLU, no layer scale.
    pub const fn new(expansion: f64, width: Width) -> Self {
        Self {
            expansion,
            width,
            start: None,
            middle: None,
            stride: 1,
            strided: None,
            activation: Activation::RELU,
            layer_scale: false,
            residual: Residual::IfFits,
        }
    }
}

/// V4's mobile multi-query attention: batch-norm; queries for every head, one key and one value for all of
/// them, each by a 1×1 convolution; `softmax(q·kᵀ / √key) · v` for each head; 1×1 convolution back; layer
/// scale; the input is added. No bias, no activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mqa {
    /// Heads of the query.
    pub heads: usize,
    /// Channels of a query and of the key.
    pub key: usize,
    /// Channels of the value.
    pub value: usize,
    /// Above 1: key and value each come from a 3×3 depthwise convolution of this stride with batch-norm.
    pub kv_stride: usize,
    /// Above 1: queries come from averages over squares of this size with batch-norm, and the result is
    /// interpolated back.
    pub query_stride: usize,
    /// A trained factor a channel behind the last convolution.
    pub layer_scale: bool,
    /// Whether the input is added.
    pub residual: Residual,
}

impl Default for Mqa {
    /// V4 Hybrid-M's: 4 heads, keys and values of 64, no strides, layer scale.
    fn default() -> Self {
        Self {
            heads: 4,
            key: 64,
            value: 64,
            kv_stride: 1,
            query_stride: 1,
            layer_scale: true,
            residual: Residual::Always,
        }
    }
}
