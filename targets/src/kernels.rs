//! The kernel tables: one row a kernel, one file an instruction set.

mod avx2;
mod avx512;
mod avx_vnni;
mod cost;
mod portable;

use crate::{Isa, Target};

/// What kernels of a kind compute. The name is also that of the step struct in the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the step structs of the runtime document them")]
pub enum Family {
    Pointwise,
    Conv2d,
    PlanarConv2d,
    Depthwise,
    Pool2d,
    GlobalPool,
    Activate,
    Combine,
    ChannelScale,
    ChannelAffine,
    ConvTranspose2d,
    MatMul,
    Unary,
    Binary,
    Compare,
    Select,
    Cast,
    Quantize,
    Dequantize,
    Reduce,
    ArgReduce,
    Softmax,
    LayerNorm,
    Copy,
    Fill,
    Gather,
    Interpolate,
    QuantizedConv2d,
    QuantizedDepthwise,
    QuantizedMatMul,
    QuantizedCombine,
    QuantizedPool2d,
    QuantizedSoftmax,
    Lookup,
}

impl Family {
    /// Whether kernels take a range of rows behind the step.
    pub const fn streams(self) -> bool {
        match self {
            Self::Pointwise
            | Self::Conv2d
            | Self::PlanarConv2d
            | Self::Depthwise
            | Self::Pool2d
            | Self::GlobalPool
            | Self::Activate
            | Self::Combine
            | Self::ChannelScale
            | Self::ChannelAffine
            | Self::Cast
            | Self::QuantizedConv2d
            | Self::QuantizedDepthwise
            | Self::QuantizedCombine
            | Self::QuantizedPool2d
            | Self::Lookup => true,
            Self::ConvTranspose2d
            | Self::MatMul
            | Self::Unary
            | Self::Binary
            | Self::Compare
            | Self::Select
            | Self::Quantize
            | Self::Dequantize
            | Self::Reduce
            | Self::ArgReduce
            | Self::Softmax
            | Self::LayerNorm
            | Self::Copy
            | Self::Fill
            | Self::Gather
            | Self::Interpolate
            | Self::QuantizedMatMul
            | Self::QuantizedSoftmax => false,
        }
    }
}

/// Element type that a kernel computes in, or moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "names of Rust's own types")]
pub enum Element {
    F32,
    I8,
    U8,
    I32,
    I64,
    Bool,
}

impl Element {
    /// Size in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }
}

/// What a cost model needs to know of a kernel call. Unused dimensions are 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Output positions: height × width, or rows of a matrix.
    pub m: usize,
    /// Output channels or columns.
    pub n: usize,
    /// Depth of the sum: taps × input channels.
    pub k: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride along rows and columns.
    pub stride: [usize; 2],
    /// Dilation along rows and columns.
    pub dilation: [usize; 2],
    /// Groups of a grouped convolution, channel multiplier of a depthwise one.
    pub groups: usize,
    /// Output width: columns in one row.
    pub width: usize,
}

impl Shape {
    /// `m` positions, `n` channels, depth `k`, nothing else.
    pub const fn new(m: usize, n: usize, k: usize) -> Self {
        Self { m, n, k, kernel: [1; 2], stride: [1; 2], dilation: [1; 2], groups: 1, width: m }
    }

    /// Elements of an element-by-element kernel.
    pub const fn elements(n: usize) -> Self {
        Self::new(1, n, 1)
    }

    /// Multiply-adds.
    pub const fn macs(&self) -> u64 {
        self.m as u64 * self.n as u64 * self.k as u64
    }
}

/// The order in which a kernel reads its constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// As the operator gives them.
    RowMajor,
    /// A matrix `k`×`n` in panels of `nr` columns, each `k`×`nr` row-major, the last one padded with
    /// zeros; vectors padded to a multiple of `nr`.
    Panels {
        /// Columns of a panel.
        nr: usize,
    },
    /// As [`Panels`](Self::Panels) of 16 columns, of which 8 are left: two rows of those are one of the last panel, the
    /// values of a column side by side, the second ones of an odd last row zeros.
    PairedPanels,
    /// Taps of 3×3 windows, `9·c` rows of a matrix, at the `(side + 2)²` points of F(side×side, 3×3): `[point, c]` rows
    /// in panels of 16 columns; vectors padded to a multiple of 16. The kernels say which the points are.
    Winograd {
        /// Outputs of a tile along rows, and along columns: 2 or 4.
        side: usize,
    },
    /// Integer weights for instructions that multiply in pairs and add the products. Vectors are padded to a
    /// multiple of 16.
    ///
    /// A matrix is in panels of 16 columns and quads of 4 rows. A panel's quad is narrow, of 8 bits, where no pair of
    /// weights times codes from 0 to 255 can leave 16 bits; else it is wide, of 16, and so are all of a panel that
    /// has few narrow ones. Narrow quads whose sums cannot leave 16 bits are in bundles of up to four. The wide quads
    /// of a panel stand before the narrow ones, larger bundles before smaller ones. A table of six words a panel says
    /// where it begins, how many wide quads it has, and how many bundles of 1, 2, 3 and 4; behind the weights of a
    /// panel stands which quad of the depth each is.
    ///
    /// The taps of a depthwise window are `i16` in panels of 16 channels, of which the last one ends with the
    /// last channel: those of two rows of a column are paired, and in the last row of an odd number those of two
    /// columns.
    ///
    /// Of a panel's columns those come first that two vectors of 8 sums narrow to one from: 0–3, 8–11, then 4–7,
    /// 12–15; up to 8 columns of a last panel of a matrix stay in order.
    Pairs,
    /// Integer weights for instructions that add the products of quads. Vectors are padded to a multiple of 16.
    ///
    /// A matrix is in panels of 16 columns, or of 8 for a last one of up to 8, each `[quad, column, 4]` of 8 bits; the
    /// values of a window that lie behind one another in a row of the map are padded to whole quads. What does not fit
    /// 8 bits is split: additional quads stand behind those of a panel, and behind them in 16 bits of which quad of the
    /// depth each is a part. A table of two words a panel says where it begins, and how many additional quads it has.
    Dots,
    /// Integer weights of depthwise windows of 3×3 and 5×5 for instructions that multiply in quads of bytes.
    ///
    /// Channels are in blocks of 64 lanes. What is left of them beside whole blocks is in blocks of 32 and 16, of 64
    /// again if more than 48 are left; the last block ends with the last channel, and a narrow one is repeated in all
    /// lanes. Vectors of words, and the quads of weights, are in the order in which vectors of 16 sums narrow to one
    /// of bytes: the lanes 0–3, 16–19, 32–35 and 48–51, then those from 4, 8 and 12 on.
    ///
    /// A quad holds the taps of four rows of a column; columns follow one another. A column of 5 taps is two
    /// quads.
    ///
    /// A table of two words a block says where it begins, and in how many parts its weights are: what does not fit 8
    /// bits is the sum of up to three.
    Taps,
}

/// One kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Its path below the runtime's `kernels`: `x86_64::avx2::gemm_f32_6x16`.
    pub path: &'static str,
    /// The instruction set it is written for.
    pub isa: Isa,
    /// What it computes.
    pub family: Family,
    /// Element type it computes in.
    pub element: Element,
    /// Rows and columns of its register tile.
    pub tile: [usize; 2],
    /// How its constants are packed.
    pub layout: Layout,
    /// Why it cannot take a shape.
    pub refuses: fn(&Shape) -> Option<&'static str>,
    /// Estimated cycles.
    pub cycles: fn(&Shape, &Target) -> f64,
}

impl Kernel {
    /// Bytes that it keeps on the stack, where those are more than a few kilobytes.
    pub const fn stack_bytes(&self) -> usize {
        match self.layout {
            Layout::Winograd { .. } => 254 << 10,
            Layout::RowMajor
            | Layout::Panels { .. }
            | Layout::PairedPanels
            | Layout::Pairs
            | Layout::Dots
            | Layout::Taps => 0,
        }
    }
}

/// Every kernel, portable ones first.
pub fn all() -> impl Iterator<Item = &'static Kernel> {
    portable::KERNELS.iter().chain(avx2::KERNELS).chain(avx_vnni::KERNELS).chain(avx512::KERNELS)
}

/// The kernels of a family and element type that an instruction set can run.
pub fn candidates(isa: Isa, family: Family, element: Element) -> impl Iterator<Item = &'static Kernel> {
    all().filter(move |kernel| {
        kernel.family == family && kernel.element == element && isa.usable().contains(&kernel.isa)
    })
}
