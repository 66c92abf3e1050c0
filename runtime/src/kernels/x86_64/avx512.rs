//! Kernels for AVX-512: 32 registers of 16 `f32`. Weights of matrices are packed as for AVX2.

mod bytes;
mod codes;
mod vector;

pub use super::detect::Avx512;

use super::avx2::codes::I32x8;
use super::{copy, kernels, lookup, pool_of_codes, quantize, softmax, wholes};
use crate::kernels::generic::{
    codes as of_codes, conv2d, depthwise, elementwise, gemm, grouped, pool, stem, winograd,
};
use crate::kernels::portable::matmul;
use crate::kernels::told;
use crate::memory::Memory;
use crate::steps::{
    Activate, ChannelAffine, ChannelScale, Combine, Conv2d, Copy, Depthwise, GlobalPool, Lookup, MatMul,
    PlanarConv2d, Pointwise, Pool2d, Quantize, QuantizedCombine, QuantizedConv2d, QuantizedDepthwise,
    QuantizedMatMul, QuantizedPool2d, Softmax,
};
use bytes::U8x64;
use codes::{Half, I32x16, Steps, Whole};
use core::ops::Range;
use vector::F32x16;

kernels! {
    Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni";

    /// Pointwise convolution; weights in panels of 16 columns. Tiles of 14 positions × 32 channels: 28 sums, 2 vectors
    /// of weights and 1 broadcast are 31 of 32 registers, and 14 divides maps of 14, 28, 56 and 112.
    gemm_f32_14x32: Pointwise = gemm::run::<F32x16, 16, 14, false>;

    /// As [`gemm_f32_14x32`], of 8 channels beside whole panels, which are in pairs: tiles of 14 positions × 8.
    gemm_f32_14x32_pairs: Pointwise = gemm::run::<F32x16, 16, 14, true>;

    /// Dense convolution; weights in panels of 16 columns, tiles of 12 positions × 32 channels.
    conv2d_f32_12x32: Conv2d = conv2d::run::<F32x16, 16, 12>;

    /// Dense convolution of at most 512 elements a sum; weights in panels of 16 columns. Tiles of 8
    /// columns × 32 channels.
    conv2d_f32_stem: Conv2d = stem::interleaved::<F32x16, 16, 14>;

    /// As [`conv2d_f32_stem`], of planes.
    conv2d_f32_planar: PlanarConv2d = stem::planar::<F32x16, 16, 14>;

    /// Dense 3×3 convolution by F(4×4, 3×3); weights at 36 points in panels of 16 columns. Tiles as of
    /// [`gemm_f32_14x32`].
    conv2d_f32_winograd4: Conv2d = winograd::run::<F32x16, 16, 14, 6>;

    /// Dense 3×3 convolution by F(2×2, 3×3); weights at 16 points in panels of 16 columns.
    conv2d_f32_winograd2: Conv2d = winograd::run::<F32x16, 16, 14, 4>;

    /// Convolution in groups of any size; weights row-major.
    conv2d_f32_grouped: Conv2d = grouped::run::<F32x16>;

    /// Depthwise convolution, 3×3, column strides of 1, with any dilation, or 2; weights in panels of 16 channels. Blocks of 7
    /// outputs × 16 channels.
    dwconv2d_f32_9p16c: Depthwise = depthwise::square::<F32x16, 16, 3>;

    /// Depthwise convolution, 5×5, column strides of 1, with any dilation, or 2; weights in panels of 16 channels.
    dwconv2d_f32_25p16c: Depthwise = depthwise::square::<F32x16, 16, 5>;

    /// Depthwise convolution, 7×7, column strides of 1, with any dilation, or 2; weights in panels of 16 channels.
    dwconv2d_f32_49p16c: Depthwise = depthwise::square::<F32x16, 16, 7>;

    /// Any depthwise convolution; weights in panels of 16 channels.
    dwconv2d_f32_generic: Depthwise = depthwise::any::<F32x16, 16>;

    /// Pooling over a window.
    pool2d_f32: Pool2d = pool::window::<F32x16>;

    /// Mean or maximum over a whole map; its output holds sums until the last row.
    global_pool_f32: GlobalPool = pool::global::<F32x16>;

    /// An activation by itself.
    activate_f32: Activate = elementwise::activate::<F32x16>;

    /// An operation on two maps; not the bit operations.
    combine_f32: Combine = elementwise::combine::<F32x16>;

    /// Each channel times a factor.
    channel_scale_f32: ChannelScale = elementwise::channel_scale::<F32x16>;

    /// Each channel times a constant plus a constant.
    channel_affine_f32: ChannelAffine = elementwise::channel_affine::<F32x16>;

    /// Convolution of codes; weights in dots. Tiles of 12 positions × 32 channels: 24 sums, 2 vectors of weights and 1
    /// broadcast.
    conv2d_q8_12x32: QuantizedConv2d = of_codes::dots::run::<I32x16, Half, I32x8, 14, 2>;

    /// AVX-VNNI's kernel in AVX-512's encoding: not chosen, but what its tests execute where there is no AVX-VNNI.
    conv2d_q8_6x16: QuantizedConv2d = of_codes::dots::run::<Whole, Half, I32x8, 6, 1>;

    /// As AVX2's, 256 bits at a time.
    dwconv2d_q8_9p16c: QuantizedDepthwise = of_codes::depthwise::square::<I32x8, 3>;

    /// As AVX2's, 256 bits at a time.
    dwconv2d_q8_25p16c: QuantizedDepthwise = of_codes::depthwise::square::<I32x8, 5>;

    /// Depthwise convolution of codes, 3×3, column strides of 1 or 2, no dilation, 16 channels or more; taps in
    /// quads.
    dwconv2d_q8_9p64c: QuantizedDepthwise = of_codes::slide::square::<U8x64, 3>;

    /// Depthwise convolution of codes, 5×5, as [`dwconv2d_q8_9p64c`].
    dwconv2d_q8_25p64c: QuantizedDepthwise = of_codes::slide::square::<U8x64, 5>;

    /// Sums and products of codes by the rule of ONNX.
    combine_q8: QuantizedCombine = of_codes::combine::run::<Steps>;

    /// Functions of a code from a table.
    lookup_q8: Lookup = lookup;

    /// Pooling of codes, 64 channels at a time.
    pool2d_q8: QuantizedPool2d = pool_of_codes::<Avx512, 64>;
}

wholes! {
    Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni";

    /// Products of computed matrices.
    matmul_f32: MatMul = matmul::run::<F32x16>;

    /// Products of computed matrices of codes. Tiles of 6 rows × 64 columns: 24 sums, 4 vectors of columns and 1
    /// broadcast.
    matmul_q8_6x64: QuantizedMatMul = of_codes::product::quads::run::<U8x64>;

    /// To 8-bit codes.
    quantize_f32: Quantize = quantize::<Avx512>;

    /// Copies between strided views of elements of 1 byte; the planes of a picture in vectors.
    copy_b1: Copy = copy::<Avx512>;

    /// Softmax along an axis; of rows in vectors.
    softmax_f32: Softmax = softmax::<F32x16>;
}
