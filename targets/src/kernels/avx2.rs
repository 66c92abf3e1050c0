//! Kernels for AVX2 and FMA.

use super::Kernel;
use super::Layout::{self, Pairs, Panels, RowMajor, Winograd};
use super::cost::{self, Unit};
use super::portable::{
    grouped_only, one_group, square_3, square_5, square_7, stem, undilated, whole_panels, winograd,
};
use crate::Element::{F32, I8, U8};
use crate::Family::{self, *};
use crate::{Isa, Shape, Target};

/// Every AVX2 kernel.
///
/// Tiles. 6×16: 12 sums, 2 vectors of weights and 1 broadcast are 15 of 16 registers. Depthwise: up to 7
/// outputs of 8 channels, 3 or 5 taps and an input are at most 13. Codes: 6×16 sums, 2 vectors of weights, 1
/// broadcast and 1 product are 16; depthwise, 4 outputs of 16 channels are 8 sums beside 2 vectors of pairs.
#[rustfmt::skip]
pub const KERNELS: &[Kernel] = &[
    row("x86_64::avx2::gemm_f32_6x16",        Pointwise,     [6, 16], Panels { nr: 16 }, any,          |s, _| cost::gemm(Unit::AVX2, [6, 16], s)),
    row("x86_64::avx2::conv2d_f32_6x16",      Conv2d,        [6, 16], Panels { nr: 16 }, whole_panels, |s, _| cost::conv2d(Unit::AVX2, [6, 16], s)),
    row("x86_64::avx2::conv2d_f32_stem",      Conv2d,        [6, 16], Panels { nr: 16 }, stem,         |s, _| cost::stem(Unit::AVX2, s)),
    row("x86_64::avx2::conv2d_f32_planar",    PlanarConv2d,  [6, 16], Panels { nr: 16 }, stem,         |s, _| cost::stem(Unit::AVX2, s)),
    row("x86_64::avx2::conv2d_f32_winograd4", Conv2d,     [6, 16], Winograd { side: 4 }, winograd, |s, t| cost::winograd(Unit::AVX2, [6, 16], 4, s, t)),
    row("x86_64::avx2::conv2d_f32_winograd2", Conv2d,     [6, 16], Winograd { side: 2 }, winograd, |s, t| cost::winograd(Unit::AVX2, [6, 16], 2, s, t)),
    row("x86_64::avx2::conv2d_f32_grouped",   Conv2d,        [1, 8],  RowMajor,          grouped_only, |s, _| cost::by_vector(Unit::AVX2, s)),
    row("x86_64::avx2::dwconv2d_f32_9p8c",    Depthwise,     [7, 8],  Panels { nr: 8 },  square_3,     |s, _| cost::square(Unit::AVX2, s)),
    row("x86_64::avx2::dwconv2d_f32_25p8c",   Depthwise,     [7, 8],  Panels { nr: 8 },  square_5,     |s, _| cost::square(Unit::AVX2, s)),
    row("x86_64::avx2::dwconv2d_f32_49p8c",   Depthwise,     [7, 8],  Panels { nr: 8 },  square_7,     |s, _| cost::square(Unit::AVX2, s)),
    row("x86_64::avx2::dwconv2d_f32_generic", Depthwise,     [1, 8],  Panels { nr: 8 },  any,          |s, _| cost::by_vector(Unit::AVX2, s)),
    row("x86_64::avx2::pool2d_f32",           Pool2d,        [1, 8],  RowMajor,          any,          |s, _| cost::by_vector(Unit::AVX2, s)),
    row("x86_64::avx2::global_pool_f32",      GlobalPool,    [1, 8],  RowMajor,          any,          elementwise),
    row("x86_64::avx2::activate_f32",         Activate,      [1, 8],  RowMajor,          any,          elementwise),
    row("x86_64::avx2::combine_f32",          Combine,       [1, 8],  RowMajor,          any,          elementwise),
    row("x86_64::avx2::channel_scale_f32",    ChannelScale,  [1, 8],  RowMajor,          any,          elementwise),
    row("x86_64::avx2::channel_affine_f32",   ChannelAffine, [1, 8],  RowMajor,          any,          elementwise),
    row("x86_64::avx2::matmul_f32",          MatMul,        [6, 16], RowMajor,         any,          |s, _| cost::gemm(Unit::AVX2, [6, 16], s)),
    row("x86_64::avx2::quantize_f32",        Quantize,      [1, 8],  RowMajor,         any,          |s, _| 2.0 * cost::elementwise(Unit::AVX2, s)),
    row("x86_64::avx2::softmax_f32",         Softmax,       [1, 8],  RowMajor,          any,          |s, _| cost::softmax(Unit::AVX2, s)),
    Kernel { element: U8, ..row("x86_64::avx2::copy_b1", Copy, [1, 1], RowMajor, any, elementwise) },
    codes("x86_64::avx2::conv2d_q8_6x16",     QuantizedConv2d,    [6, 16], one_block, |s, _| cost::matrix_of_codes([6, 16], s)),
    codes("x86_64::avx2::dwconv2d_q8_9p16c",  QuantizedDepthwise, [4, 16], |s| undilated(s, square_3), |s, _| cost::square_of_codes(s)),
    codes("x86_64::avx2::dwconv2d_q8_25p16c", QuantizedDepthwise, [4, 16], |s| undilated(s, square_5), |s, _| cost::square_of_codes(s)),
    codes("x86_64::avx2::matmul_q8_6x16",     QuantizedMatMul,    [6, 16], any,       |s, _| cost::matrix_of_codes([6, 16], s)),
    codes("x86_64::avx2::combine_q8",         QuantizedCombine,   [1, 8],  any,       |s, _| 2.0 * cost::elementwise(Unit::AVX2, s)),
    codes("x86_64::avx2::lookup_q8",          Lookup,             [1, 32], any,       |s, _| 0.6 * s.macs() as f64),
    codes("x86_64::avx2::pool2d_q8",          QuantizedPool2d,    [1, 8], any,       |s, _| 0.2 * s.macs() as f64),
];

const fn row(
    path: &'static str,
    family: Family,
    tile: [usize; 2],
    layout: Layout,
    refuses: fn(&Shape) -> Option<&'static str>,
    cycles: fn(&Shape, &Target) -> f64,
) -> Kernel {
    Kernel { path, isa: Isa::Avx2, family, element: F32, tile, layout, refuses, cycles }
}

/// A kernel of 8-bit codes.
const fn codes(
    path: &'static str,
    family: Family,
    tile: [usize; 2],
    refuses: fn(&Shape) -> Option<&'static str>,
    cycles: fn(&Shape, &Target) -> f64,
) -> Kernel {
    Kernel { path, isa: Isa::Avx2, family, element: I8, tile, layout: Pairs, refuses, cycles }
}

/// What a convolution of codes takes: a tile of windows must fit the block that is laid out at once.
pub fn one_block(shape: &Shape) -> Option<&'static str> {
    match (one_group(shape), shape.k <= 4096) {
        (None, false) => Some("only windows of up to 4096 codes"),
        (refusal, _) => refusal,
    }
}

fn any(_: &Shape) -> Option<&'static str> {
    None
}

fn elementwise(shape: &Shape, _: &Target) -> f64 {
    cost::elementwise(Unit::AVX2, shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::candidates;
    use crate::target::X86_64_AVX2;

    fn check(family: Family, shape: Shape, expect: &str) {
        let cost = |kernel: &&Kernel| (kernel.cycles)(&shape, &X86_64_AVX2);
        let takes = candidates(Isa::Avx2, family, F32).filter(|kernel| (kernel.refuses)(&shape).is_none());
        let best = takes.min_by(|a, b| cost(a).total_cmp(&cost(b)));
        assert_eq!(best.map(|kernel| kernel.path), Some(expect), "{shape:?}");
    }

    #[test]
    fn the_widest_kernel_that_takes_a_shape_wins() {
        let point = Shape::new(49, 320, 960);
        check(Pointwise, point, "x86_64::avx2::gemm_f32_6x16");
        check(Pointwise, Shape::new(1, 1000, 1280), "x86_64::avx2::gemm_f32_6x16");
        let square = Shape { kernel: [3, 3], width: 14, ..Shape::new(196, 384, 9) };
        check(Depthwise, square, "x86_64::avx2::dwconv2d_f32_9p8c");
        check(Depthwise, Shape { stride: [2, 2], ..square }, "x86_64::avx2::dwconv2d_f32_9p8c");
        check(Depthwise, Shape { dilation: [2, 2], ..square }, "x86_64::avx2::dwconv2d_f32_9p8c");
        let both = Shape { stride: [2, 2], dilation: [2, 2], ..square };
        check(Depthwise, both, "x86_64::avx2::dwconv2d_f32_generic");
        check(Depthwise, Shape { kernel: [7, 7], k: 49, ..square }, "x86_64::avx2::dwconv2d_f32_49p8c");
        check(Depthwise, Shape { kernel: [5, 5], k: 25, ..square }, "x86_64::avx2::dwconv2d_f32_25p8c");
        let picture = Shape { kernel: [3, 3], stride: [2, 2], width: 112, ..Shape::new(12544, 32, 27) };
        check(Conv2d, picture, "x86_64::avx2::conv2d_f32_stem");
        check(PlanarConv2d, picture, "x86_64::avx2::conv2d_f32_planar");
        let deep = Shape { k: 9 * 64, ..picture };
        check(Conv2d, deep, "x86_64::avx2::conv2d_f32_6x16");
        check(Conv2d, Shape { groups: 4, ..picture }, "x86_64::avx2::conv2d_f32_grouped");
        let expand = Shape { kernel: [3, 3], width: 56, ..Shape::new(56 * 56, 128, 9 * 32) };
        check(Conv2d, expand, "x86_64::avx2::conv2d_f32_winograd4");
        check(Conv2d, Shape { groups: 2, k: 9 * 16, ..expand }, "x86_64::avx2::conv2d_f32_winograd4");
        check(Conv2d, Shape { m: 4 * 56, ..expand }, "x86_64::avx2::conv2d_f32_winograd4");
        check(Conv2d, Shape { m: 56, ..expand }, "x86_64::avx2::conv2d_f32_stem");
        check(Conv2d, Shape { stride: [1, 2], ..expand }, "x86_64::avx2::conv2d_f32_stem");
        let small = Shape { kernel: [3, 3], width: 7, ..Shape::new(49, 160, 9 * 160) };
        check(Conv2d, small, "x86_64::avx2::conv2d_f32_winograd2");
        let groups = Shape { groups: 4, n: 256, ..picture };
        check(Conv2d, Shape { k: 9 * 16, ..groups }, "x86_64::avx2::conv2d_f32_stem");
        check(Conv2d, Shape { k: 9 * 64, ..groups }, "x86_64::avx2::conv2d_f32_6x16");
    }
}
