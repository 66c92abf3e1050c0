//! What an operator asks of the kernels: a family, a shape, and the step's fields without addresses.
//!
//! The plan chooses a kernel of the family, places the values, packs the constants and fills the
//! addresses in. Field names are those of the step structs in `mobilec-runtime`, so a request is the
//! step's initialiser in waiting, and code generation knows no operator.

use crate::error::Fault;
use crate::ops::epilogue::Epilogue;
use crate::ops::quantization::Requantize;
use crate::ops::window::Window;
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Family, Shape};

/// A node as its operator sees it when asked for kernels.
pub struct Site<'a> {
    /// Types of the operands.
    pub operands: &'a [TensorType],
    /// The operands that are constants.
    pub constants: &'a [Option<&'a Tensor>],
    /// The result's type.
    pub output: &'a TensorType,
}

impl<'a> Site<'a> {
    /// The operand's value, which a kernel needs when compiling.
    ///
    /// # Errors
    ///
    /// An operand that is not a constant.
    pub fn constant(&self, operand: usize, what: &str) -> Result<&'a Tensor, Fault> {
        self.constants.get(operand).copied().flatten().ok_or_else(|| {
            Fault::unsupported(format!("{what} must be a constant"))
                .help("give it as a constant with --const-input NAME=FILE.npy")
        })
    }
}

/// One kernel call.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Kernels that do this; also the name of the step struct.
    pub family: Family,
    /// Element type that selects among the family's kernels: the one most of the work is done in.
    pub dtype: DType,
    /// What the cost model needs.
    pub shape: Shape,
    /// The step's fields in the order of its struct.
    pub fields: Vec<(&'static str, Arg)>,
    /// How output rows depend on the rows of the streamed operands.
    pub rows: Rows,
    /// Whether the result may be written over operand 0, element by element.
    pub in_place: bool,
}

/// How the rows of a result depend on the rows of operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The kernel makes the whole result from whole operands; it takes no row range.
    Whole,
    /// The kernel makes a range of output rows; row `y` needs the window's rows of operand 0, and row
    /// `y` of every other operand that is passed as a map.
    Window {
        /// Taps along rows.
        kernel: usize,
        /// Rows from one output to the next.
        stride: usize,
        /// Rows from one tap to the next.
        dilation: usize,
        /// Rows of padding above.
        pad: usize,
    },
    /// The kernel takes a range of *input* rows, in order, and the result is complete after the last.
    Accumulate,
}

impl Rows {
    /// Output row `y` needs input row `y`.
    pub const SAME: Self = Self::Window { kernel: 1, stride: 1, dilation: 1, pad: 0 };

    /// The rows of a window.
    pub const fn of(window: &Window) -> Self {
        Self::Window {
            kernel: window.kernel[0],
            stride: window.stride[0],
            dilation: window.dilation[0],
            pad: window.pad[0],
        }
    }
}

/// Which value an argument refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The node's operand at this position. A constant is read from the weight blob, as it is.
    Input(usize),
    /// The node's result.
    Output,
}

/// Height, width and channels of a map; one image of it, at `image` for batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels, innermost.
    pub channels: usize,
    /// Which image of the batch.
    pub image: usize,
}

impl MapShape {
    /// The first image of an NHWC tensor. Other ranks are one row of one column.
    pub fn nhwc(shape: &[usize]) -> Self {
        match *shape {
            [_, height, width, channels] => Self { height, width, channels, image: 0 },
            _ => Self { height: 1, width: 1, channels: shape.iter().product(), image: 0 },
        }
    }

    /// Another image of the batch.
    #[must_use]
    pub const fn image(mut self, image: usize) -> Self {
        self.image = image;
        self
    }

    /// Any tensor as a map whose channels are its last axis: the batch folded into the rows of a rank 4
    /// tensor, and one row for all others.
    pub fn pixels(shape: &[usize]) -> Self {
        match *shape {
            [_, _, _, _] => Self::flat(shape),
            [ref rows @ .., channels] => Self { height: 1, width: rows.iter().product(), channels, image: 0 },
            [] => Self { height: 1, width: 1, channels: 1, image: 0 },
        }
    }

    /// Any tensor as a map for kernels that go element by element: the batch folded into the rows of a
    /// rank 4 tensor, and one row for all others.
    pub fn flat(shape: &[usize]) -> Self {
        match *shape {
            [n, height, width, channels] => Self { height: n * height, width, channels, image: 0 },
            _ => Self { height: 1, width: 1, channels: shape.iter().product(), image: 0 },
        }
    }
}

/// One field of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// `Map { place, height, width, channels, rows }`
    Map(Operand, MapShape),
    /// `Place`: where a whole tensor lies. The number is a byte offset into it.
    Place(Operand, usize),
    /// `usize`: byte offset of packed constants in the weight blob.
    Weights(Packed),
    /// `Prefetch`: weights of later steps, see [`Step::prefetch`](super::Step::prefetch).
    Prefetch,
    /// `usize`
    Usize(usize),
    /// `i64`
    Int(i64),
    /// `f32`
    F32(f32),
    /// `bool`
    Bool(bool),
    /// `[usize; N]`
    Usizes(Vec<usize>),
    /// `[isize; N]`
    Isizes(Vec<isize>),
    /// A path below the runtime's `steps`, such as `BinaryOp::Add`.
    Path(&'static str),
    /// `Activation`
    Activation(crate::ops::activation::Activation),
    /// `Codes`
    Codes {
        /// Whether they are `i8`; else `u8`.
        signed: bool,
        /// The code of 0.
        zero_point: i32,
    },
    /// `Requantize`
    Requantize(Requantize),
    /// `Epilogue`; the operand is the residual's position where there is one.
    Epilogue(Epilogue, Option<(usize, MapShape)>),
}

/// Constants in the order in which a kernel reads them.
#[derive(Clone, Debug, PartialEq)]
pub enum Packed {
    /// A row-major `k`×`n` matrix for a GEMM; `n` is the output channel. Packed in the kernel's layout.
    Matrix {
        /// `k`·`n` values.
        values: Vec<f32>,
        /// Depth.
        k: usize,
        /// Columns.
        n: usize,
    },
    /// One value a channel (a bias, a depthwise tap after tap), row-major and padded with zeros to the
    /// kernel's tile width along `n`.
    Channels {
        /// `taps`·`n` values.
        values: Vec<f32>,
        /// Rows.
        taps: usize,
        /// Channels.
        n: usize,
    },
    /// Integer weights of a convolution: `n` output channels of `k` values each. `i8`, or `i16` where
    /// `wide` says so or the kernel's layout.
    Filters {
        /// `n`·`k` values.
        values: Vec<i16>,
        /// Depth.
        k: usize,
        /// Values of a window that are read one behind the other from a row of the map.
        run: usize,
        /// Output channels.
        n: usize,
        /// Whether some value does not fit into `i8`.
        wide: bool,
    },
    /// Integer weights of a depthwise convolution, tap after tap: `[kh·kw, n]`, stored as
    /// [`Packed::Filters`].
    Taps {
        /// `kh`·`kw`·`n` values.
        values: Vec<i16>,
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Channels.
        n: usize,
        /// Whether some value does not fit into `i8`.
        wide: bool,
    },
    /// One 32-bit word a channel, padded with zeros to the kernel's tile width.
    Words(Vec<i32>),
    /// Bytes as they are.
    Raw(Vec<u8>),
}
