//! What a builder makes: a graph and the list of its parameters, which no front end has filled yet.

use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::onnx::{self, Norm};
use crate::ops::constant::Constant;
use crate::tensor::Tensor;

/// A network whose weights may still be missing: a graph, and what of it is trained.
#[derive(Clone, Debug)]
pub struct Network {
    /// The imported graph; parameters are zeros until weights are loaded.
    pub graph: Graph,
    /// The blocks, in the order in which they run.
    pub blocks: Vec<Block>,
    /// What is trained, in the order in which it is used.
    pub parameters: Vec<Parameter>,
    /// The batch-norms by their node, once weights are loaded.
    pub norms: Vec<(NodeId, BatchNorm)>,
    /// Added to the variance of every batch-norm.
    pub epsilon: f64,
}

/// A layer or block as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name, unique in the network: `inverted_residual_3`, or what it was called.
    pub path: String,
    /// Its word in the language.
    pub word: &'static str,
}

/// What a parameter belongs to in its block. The words are part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The block itself, where it is a single layer.
    Whole,
    /// 1×1 or full convolution that widens.
    Expand,
    /// The depthwise convolution of a separable or inverted residual block.
    Depthwise,
    /// The 1×1 convolution of a separable block.
    Pointwise,
    /// Linear 1×1 convolution that narrows.
    Project,
    /// First layer of squeeze-and-excite.
    Reduce,
    /// Second layer of squeeze-and-excite.
    Excite,
    /// Depthwise convolution before the expansion of a UIB.
    Start,
    /// Depthwise convolution behind the expansion of a UIB.
    Middle,
    /// Batch-norm before attention.
    Norm,
    /// Projection to queries.
    Query,
    /// Batch-norm of the averaged input of the queries.
    QueryDown,
    /// Projection to the key.
    Key,
    /// Strided depthwise convolution before the key.
    KeyDown,
    /// Projection to the value.
    Value,
    /// Strided depthwise convolution before the value.
    ValueDown,
    /// Projection of the attention's result.
    Output,
}

impl Part {
    /// Its word in names; empty for the whole block.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Expand => "expand",
            Self::Depthwise => "depthwise",
            Self::Pointwise => "pointwise",
            Self::Project => "project",
            Self::Reduce => "se.reduce",
            Self::Excite => "se.expand",
            Self::Start => "start",
            Self::Middle => "middle",
            Self::Norm => "norm",
            Self::Query => "query",
            Self::QueryDown => "query_down",
            Self::Key => "key",
            Self::KeyDown => "key_down",
            Self::Value => "value",
            Self::ValueDown => "value_down",
            Self::Output => "output",
        }
    }
}

/// What a parameter is, and the constants of the graph that hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `[O,kh,kw,C/groups]` in the graph, `[O,C/groups,kh,kw]` in files.
    Conv(NodeId),
    /// `[kh,kw,O]` in the graph, `[O,1,kh,kw]` in files.
    Depthwise(NodeId),
    /// `[K,N]` in the graph, `[N,K]` in files.
    Dense(NodeId),
    /// `[O]`
    Bias(NodeId),
    /// Four tensors `[C]` in files: weight, bias, running mean, running variance. In the graph an affine
    /// map, its factors and its summands.
    Norm {
        /// The affine map.
        node: NodeId,
        /// Its factors.
        scale: NodeId,
        /// Its summands.
        shift: NodeId,
    },
    /// `[C]`
    LayerScale(NodeId),
}

impl Kind {
    /// The first constant of the graph that it fills.
    pub const fn constant(self) -> NodeId {
        match self {
            Self::Conv(node)
            | Self::Depthwise(node)
            | Self::Dense(node)
            | Self::Bias(node)
            | Self::LayerScale(node) => node,
            Self::Norm { scale, .. } => scale,
        }
    }
}

/// Something that is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Index of its block.
    pub block: usize,
    /// What it belongs to there.
    pub part: Part,
    /// What it is.
    pub kind: Kind,
    /// For weights: the standard deviation that keeps the variance of activations when they are random.
    /// For norms and layer scales: the size of their factors.
    pub spread: f64,
}

/// The numbers of a batch-norm: `(x − mean) / √(variance + ε) · weight + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Factors.
    pub weight: Tensor,
    /// Summands.
    pub bias: Tensor,
    /// Means.
    pub mean: Tensor,
    /// Variances.
    pub variance: Tensor,
}

impl Network {
    /// Trained numbers: weights, biases, factors and summands of batch-norms, layer scales. Moving means
    /// and variances are statistics and do not count.
    pub fn count_parameters(&self) -> usize {
        let elements = |parameter: &Parameter| {
            let count = self.graph.ty(parameter.kind.constant()).elements();
            match parameter.kind {
                Kind::Norm { .. } => 2 * count,
                Kind::Conv(_) | Kind::Depthwise(_) | Kind::Dense(_) | Kind::Bias(_) | Kind::LayerScale(_) => {
                    count
                }
            }
        };
        self.parameters.iter().map(elements).sum()
    }

    /// The network as an ONNX file, with its batch-norms as they were.
    ///
    /// # Errors
    ///
    /// Only bugs: every word of the language can be exported.
    pub fn to_onnx(&self) -> Result<Vec<u8>, Fault> {
        let epsilon = self.epsilon as f32;
        let norms = self.norms.iter().map(|(node, norm)| {
            let numbers = [&norm.weight, &norm.bias, &norm.mean, &norm.variance];
            (*node, Norm { numbers, epsilon })
        });
        onnx::export(&self.graph, &norms.collect())
    }

    /// The name of a parameter's layer: the block's path and the part, `inverted_residual_3.expand`.
    pub fn layer(&self, parameter: &Parameter) -> String {
        let path = &self.blocks[parameter.block].path;
        match parameter.part {
            Part::Whole => path.clone(),
            part => format!("{path}.{}", part.name()),
        }
    }

    /// Gives a constant of the graph another value of the same type.
    pub(crate) fn fill(&mut self, node: NodeId, tensor: Tensor) {
        debug_assert_eq!(*self.graph.ty(node), tensor.ty);
        // A constant has no operands, so nothing can be refused.
        let _ = self.graph.rewrite(node, Constant { tensor }, &[]);
    }
}
