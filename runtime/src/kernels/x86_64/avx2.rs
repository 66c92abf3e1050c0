//! Kernels for AVX2 and FMA: 16 registers of 8 `f32`.

pub(super) mod codes;
pub(super) mod vector;

pub use super::detect::Avx2;

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
use codes::{I32x8, Steps};
use core::ops::Range;
use vector::F32x8;

kernels! {
    Avx2, "avx2,fma";

    /// Pointwise convolution; weights in panels of 16 columns. Tiles of 6 positions × 16 channels: 12 sums,
    /// 2 vectors of weights and 1 broadcast are 15 of 16 registers.
    gemm_f32_6x16: Pointwise = gemm::run::<F32x8, 16, 6, false>;

    /// Dense convolution; weights in panels of 16 columns, tiles as of [`gemm_f32_6x16`].
    conv2d_f32_6x16: Conv2d = conv2d::run::<F32x8, 16, 6>;

    /// Dense convolution of at most 512 elements a sum; weights in panels of 16 columns. Tiles as of
    /// [`gemm_f32_6x16`].
    conv2d_f32_stem: Conv2d = stem::interleaved::<F32x8, 16, 6>;

    /// As [`conv2d_f32_stem`], of planes.
    conv2d_f32_planar: PlanarConv2d = stem::planar::<F32x8, 16, 6>;

    /// Dense 3×3 convolution by F(4×4, 3×3); weights at 36 points in panels of 16 columns. Tiles as of
    /// [`gemm_f32_6x16`].
    conv2d_f32_winograd4: Conv2d = winograd::run::<F32x8, 16, 6, 6>;

    /// Dense 3×3 convolution by F(2×2, 3×3); weights at 16 points in panels of 16 columns.
    conv2d_f32_winograd2: Conv2d = winograd::run::<F32x8, 16, 6, 4>;

    /// Convolution in groups of any size; weights row-major.
    conv2d_f32_grouped: Conv2d = grouped::run::<F32x8>;

    /// Depthwise convolution, 3×3, column strides of 1, with any dilation, or 2; weights in panels of 8 channels. Blocks of 7
    /// outputs × 8 channels: 7 sums, 3 taps and an input are 11 registers.
    dwconv2d_f32_9p8c: Depthwise = depthwise::square::<F32x8, 8, 3>;

    /// Depthwise convolution, 5×5, column strides of 1, with any dilation, or 2; weights in panels of 8 channels.
    dwconv2d_f32_25p8c: Depthwise = depthwise::square::<F32x8, 8, 5>;

    /// Depthwise convolution, 7×7, column strides of 1, with any dilation, or 2; weights in panels of 8 channels.
    dwconv2d_f32_49p8c: Depthwise = depthwise::square::<F32x8, 8, 7>;

    /// Any depthwise convolution; weights in panels of 8 channels.
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

    /// Convolution of codes, one group; weights in quads. Tiles of 6 positions × 16 channels: 12 sums, 2
    /// vectors of weights, 1 broadcast and 1 product are 16 registers.
    conv2d_q8_6x16: QuantizedConv2d = of_codes::matrix::run::<I32x8, 6>;

    /// Depthwise convolution of codes, 3×3, column strides of 1 or 2, no dilation; weights in pairs.
    dwconv2d_q8_9p16c: QuantizedDepthwise = of_codes::depthwise::square::<I32x8, 3>;

    /// Depthwise convolution of codes, 5×5, column strides of 1 or 2, no dilation; weights in pairs.
    dwconv2d_q8_25p16c: QuantizedDepthwise = of_codes::depthwise::square::<I32x8, 5>;

    /// Sums and products of codes by the rule of ONNX.
    combine_q8: QuantizedCombine = of_codes::combine::run::<Steps>;

    /// Functions of a code from a table.
    lookup_q8: Lookup = lookup::run;

    /// Pooling of codes, 8 channels at a time.
    pool2d_q8: QuantizedPool2d = pool_of_codes::<Avx2, 8>;
}

wholes! {
    Avx2, "avx2,fma";

    /// Products of computed matrices.
    matmul_f32: MatMul = matmul::run::<F32x8>;

    /// Products of computed matrices of codes. Tiles of 6 rows × 16 columns: 12 sums, 2 vectors of columns, 1 broadcast
    /// and 1 product are 16 registers.
    matmul_q8_6x16: QuantizedMatMul = of_codes::product::pairs::run::<I32x8>;

    /// To 8-bit codes.
    quantize_f32: Quantize = quantize::<Avx2>;

    /// Copies between strided views of elements of 1 byte; the planes of a picture in vectors.
    copy_b1: Copy = copy::<Avx2>;

    /// Softmax along an axis; of rows in vectors.
    softmax_f32: Softmax = softmax::<F32x8>;
}
