//! Kernels for AVX2 and FMA: 16 registers of 8 `f32`.

mod codes;
mod detect;
mod vector;

pub use detect::Avx2;

use crate::kernels::generic::{codes as of_codes, conv2d, depthwise, elementwise, gemm, grouped, pool};
use crate::kernels::told;
use crate::memory::Memory;
use crate::steps::{
    Activate, ChannelAffine, ChannelScale, Combine, Conv2d, Depthwise, GlobalPool, Pointwise, Pool2d,
    QuantizedCombine, QuantizedConv2d, QuantizedDepthwise,
};
use codes::I32x8;
use core::ops::Range;
use vector::F32x8;

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident: $Step:ty = $run:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(cpu: Avx2, memory: &mut Memory<'_>, step: &$Step, rows: Range<usize>) {
            #[target_feature(enable = "avx2,fma")]
            fn run(cpu: Avx2, memory: &Memory<'_>, step: &$Step, rows: Range<usize>) -> Option<()> {
                $run(cpu, memory, step, rows)
            }
            // SAFETY: the token proves AVX2 and FMA.
            told(unsafe { run(cpu, memory, step, rows) });
        }
    )*};
}

kernels! {
    /// Pointwise convolution; weights in panels of 16 columns. Tiles of 6 positions × 16 channels: 12 sums,
    /// 2 vectors of weights and 1 broadcast are 15 of 16 registers.
    gemm_f32_6x16: Pointwise = gemm::run::<F32x8, 16, 6>;

    /// Dense convolution; weights in panels of 16 columns, tiles as of [`gemm_f32_6x16`].
    conv2d_f32_6x16: Conv2d = conv2d::run::<F32x8, 16, 6>;

    /// Convolution in groups; weights row-major.
    conv2d_f32_grouped: Conv2d = grouped::run::<F32x8>;

    /// Depthwise convolution, 3×3, strides of 1 or 2, no dilation; weights padded to 8 channels. The nine
    /// taps stay in registers.
    dwconv2d_f32_9p8c: Depthwise = depthwise::square::<F32x8, 8, 3>;

    /// Depthwise convolution, 5×5, strides of 1 or 2, no dilation; weights padded to 8 channels.
    dwconv2d_f32_25p8c: Depthwise = depthwise::square::<F32x8, 8, 5>;

    /// Any depthwise convolution; weights padded to 8 channels.
    dwconv2d_f32_generic: Depthwise = depthwise::any::<F32x8, 8>;

    /// Pooling over a window.
    pool2d_f32: Pool2d = pool::window::<F32x8>;

    /// Mean or maximum over a whole map; its output holds sums until the last row.
    global_pool_f32: GlobalPool = pool::global::<F32x8>;

    /// An activation by itself.
    activate_f32: Activate = elementwise::activate::<F32x8>;

    /// An operation on two maps; not the bit operations.
    combine_f32: Combine = elementwise::combine::<F32x8>;

    /// Each channel times a factor.
    channel_scale_f32: ChannelScale = elementwise::channel_scale::<F32x8>;

    /// Each channel times a constant plus a constant.
    channel_affine_f32: ChannelAffine = elementwise::channel_affine::<F32x8>;

    /// Convolution of codes, one group; weights in pairs. Tiles of 6 positions × 16 channels: 12 sums, 2
    /// vectors of weights, 1 broadcast and 1 product are 16 registers.
    conv2d_q8_6x16: QuantizedConv2d = of_codes::matrix::run::<I32x8, 6>;

    /// Depthwise convolution of codes, 3×3, column strides of 1 or 2, no dilation; weights in pairs.
    dwconv2d_q8_9p16c: QuantizedDepthwise = of_codes::depthwise::square::<I32x8, 3, 2>;

    /// Depthwise convolution of codes, 5×5, column strides of 1 or 2, no dilation; weights in pairs.
    dwconv2d_q8_25p16c: QuantizedDepthwise = of_codes::depthwise::square::<I32x8, 5, 3>;

    /// Sums and products of codes by the rule of ONNX.
    combine_q8: QuantizedCombine = of_codes::combine::run::<I32x8>;
}
