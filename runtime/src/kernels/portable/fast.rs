//! The fast families in plain Rust.
//!
//! They are the generic algorithms over vectors of four numbers; weights are packed as
//! for AVX2, so that a module with both variants holds them once.

use super::super::generic::{conv2d, depthwise, elementwise, gemm, grouped, pool, stem, winograd};
use super::super::told;
use super::super::vector::{Lanes, Portable};
use crate::memory::Memory;
use crate::steps::{
    Activate, ChannelAffine, ChannelScale, Combine, Conv2d, Depthwise, GlobalPool, PlanarConv2d, Pointwise,
    Pool2d,
};
use core::ops::Range;

type F32x4 = Lanes<4>;

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident: $Step:ty = $run:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(memory: &mut Memory<'_>, step: &$Step, rows: Range<usize>) {
            told($run(Portable, memory, step, rows));
        }
    )*};
}

kernels! {
    /// Pointwise convolution; weights in panels of 16 columns, tiles of 4 positions × 8 channels.
    gemm_f32_4x8: Pointwise = gemm::run::<F32x4, 16, 4, false>;

    /// Dense convolution; weights in panels of 16 columns, tiles of 4 positions × 8 channels.
    conv2d_f32_4x8: Conv2d = conv2d::run::<F32x4, 16, 4>;

    /// Dense convolution of at most 512 elements a sum; weights in panels of 16 columns.
    conv2d_f32_stem: Conv2d = stem::interleaved::<F32x4, 16, 6>;

    /// As [`conv2d_f32_stem`], of planes.
    conv2d_f32_planar: PlanarConv2d = stem::planar::<F32x4, 16, 6>;

    /// Dense 3×3 convolution by F(4×4, 3×3); weights at 36 points in panels of 16 columns.
    conv2d_f32_winograd4: Conv2d = winograd::run::<F32x4, 16, 4, 6>;

    /// Dense 3×3 convolution by F(2×2, 3×3); weights at 16 points in panels of 16 columns.
    conv2d_f32_winograd2: Conv2d = winograd::run::<F32x4, 16, 4, 4>;

    /// Convolution in groups of any size; weights row-major.
    conv2d_f32_grouped: Conv2d = grouped::run::<F32x4>;

    /// Depthwise convolution, 3×3, column strides of 1, with any dilation, or 2; weights in panels of 8 channels.
    dwconv2d_f32_9p8c: Depthwise = depthwise::square::<F32x4, 8, 3>;

    /// Depthwise convolution, 5×5, column strides of 1, with any dilation, or 2; weights in panels of 8 channels.
    dwconv2d_f32_25p8c: Depthwise = depthwise::square::<F32x4, 8, 5>;

    /// Depthwise convolution, 7×7, column strides of 1, with any dilation, or 2; weights in panels of 8 channels.
    dwconv2d_f32_49p8c: Depthwise = depthwise::square::<F32x4, 8, 7>;

    /// Any depthwise convolution; weights in panels of 8 channels.
    dwconv2d_f32_generic: Depthwise = depthwise::any::<F32x4, 8>;

    /// Pooling over a window.
    pool2d_f32: Pool2d = pool::window::<F32x4>;

    /// Mean or maximum over a whole map; its output holds sums until the last row.
    global_pool_f32: GlobalPool = pool::global::<F32x4>;

    /// An activation by itself.
    activate_f32: Activate = elementwise::activate::<F32x4>;

    /// An operation on two maps; not the bit operations.
    combine_f32: Combine = elementwise::combine::<F32x4>;

    /// Each channel times a factor.
    channel_scale_f32: ChannelScale = elementwise::channel_scale::<F32x4>;

    /// Each channel times a constant plus a constant.
    channel_affine_f32: ChannelAffine = elementwise::channel_affine::<F32x4>;
}
