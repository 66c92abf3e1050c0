//! The operators: one file each, with everything there is to say about it.
//!
//! A file holds the operator's attributes, its ONNX spellings, shape inference, multiply-adds,
//! reference semantics and the kernel it asks for. To add one, write the file and a line in the list
//! below.
//!
//! Spatial operators are NHWC; an ONNX spelling that is NCHW puts transposes around them
//! ([`Call::to_nhwc`](crate::onnx::Call::to_nhwc)).

use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::TensorType;

mod compose;
pub mod epilogue;
mod expect;
pub mod quantization;
pub mod shape;
pub mod view;
pub mod window;

/// What every operator can say about itself.
pub trait Operator {
    /// The result's type, or why these operands do not fit.
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault>;

    /// The result's value by plain arithmetic. Operands have passed [`Operator::infer`], which gave `ty`.
    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array;

    /// Multiply-adds of one evaluation; 0 for operators that are not counted by convention.
    fn macs(&self, _operands: &[TensorType], _ty: &TensorType) -> u64 {
        0
    }

    /// Name and attributes for the text form: `conv2d 3x3 s2 p1 relu6`.
    fn describe(&self) -> String;

    /// The kernel calls that compute it; several where one is not enough (one an operand of a
    /// concatenation). Empty when [`Operator::is_view`].
    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault>;

    /// Whether its constant operands are trained: but for scalars they count as parameters.
    fn has_weights(&self) -> bool {
        false
    }

    /// Whether the result is the first operand's bytes under another shape, so that nothing runs.
    fn is_view(&self) -> bool {
        false
    }
}

macro_rules! operators {
    ($($module:ident::$Op:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Any operator.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op {
            $(
                #[doc = concat!("See [`mod@", stringify!($module), "`].")]
                $Op($module::$Op),
            )*
        }

        impl std::ops::Deref for Op {
            type Target = dyn Operator;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$Op(op) => op,)*
                }
            }
        }

        $(
            impl From<$module::$Op> for Op {
                fn from(op: $module::$Op) -> Self {
                    Self::$Op(op)
                }
            }
        )*

        /// Every ONNX operator that is read, by the file that reads it.
        pub const ONNX: &[&[Spelling]] = &[$($module::ONNX),*];
    };
}

operators! {
    input::Input,
    constant::Constant,
    // Convolution and its kin.
    conv2d::Conv2d,
    planar_conv2d::PlanarConv2d,
    depthwise::Depthwise,
    conv_transpose::ConvTranspose2d,
    dense::Dense,
    matmul::MatMul,
    pool::Pool2d,
    global_pool::GlobalPool,
    // An element at a time.
    activation::Activate,
    unary::Unary,
    binary::Binary,
    compare::Compare,
    select::Select,
    cast::Cast,
    quantize::Quantize,
    dequantize::Dequantize,
    affine::Affine,
    channel_scale::ChannelScale,
    // Of 8-bit codes.
    quantized_layer::QuantizedLayer,
    quantized_matmul::QuantizedMatMul,
    quantized_binary::QuantizedBinary,
    quantized_pool::QuantizedPool,
    quantized_softmax::QuantizedSoftmax,
    lookup::Lookup,
    // Along axes.
    reduce::Reduce,
    arg_reduce::ArgReduce,
    softmax::Softmax,
    layer_norm::LayerNorm,
    // Rearrangement.
    reshape::Reshape,
    transpose::Transpose,
    concat::Concat,
    slice::Slice,
    gather::Gather,
    expand::Expand,
    pad::Pad,
    interpolate::Interpolate,
}
