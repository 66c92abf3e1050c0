//! Kernels for AVX-512.

use super::Kernel;
use super::Layout::{self, Dots, PairedPanels, Pairs, Panels, RowMajor, Taps, Winograd};
use super::cost::{self, Unit};
use super::portable::{
    grouped_only, one_group, square_3, square_5, square_7, stem, undilated, whole_panels, winograd,
};
use crate::Element::{F32, I8, U8};
use crate::Family::{self, *};
use crate::{Isa, Shape, Target};

/// Every AVX-512 kernel.
///
/// Tiles. 14×32: 28 sums, 2 vectors of weights and 1 broadcast are 31 of 32 registers; each weight that is read serves
/// 14 positions, so that of matrices beyond the level 1 cache the next level is asked for 9 bytes a cycle. Matrices are
/// packed as for AVX2, so that a module with both variants holds them once, except where half a vector is left.
#[rustfmt::skip]
pub const KERNELS: &[Kernel] = &[
    row("x86_64::avx512::gemm_f32_14x32",       Pointwise,     [14, 32], Panels { nr: 16 }, any,         |s, _| cost::gemm(Unit::AVX512, [14, 32], s)),
    row("x86_64::avx512::gemm_f32_14x32_pairs", Pointwise,     [14, 32], PairedPanels,      half_left,   |s, _| cost::gemm_with_pairs(Unit::AVX512, [14, 32], s)),
    row("x86_64::avx512::conv2d_f32_12x32",     Conv2d,        [12, 32], Panels { nr: 16 }, whole_panels, |s, _| cost::conv2d(Unit::AVX512, [12, 32], s)),
    row("x86_64::avx512::conv2d_f32_stem",      Conv2d,        [6, 32], Panels { nr: 16 }, stem,         |s, _| cost::stem(Unit::AVX512, s)),
    row("x86_64::avx512::conv2d_f32_planar",    PlanarConv2d,  [6, 32], Panels { nr: 16 }, stem,         |s, _| cost::stem(Unit::AVX512, s)),
    row("x86_64::avx512::conv2d_f32_winograd4", Conv2d,     [14, 32], Winograd { side: 4 }, winograd, |s, t| cost::winograd(Unit::AVX512, [14, 32], 4, s, t)),
    row("x86_64::avx512::conv2d_f32_winograd2", Conv2d,     [14, 32], Winograd { side: 2 }, winograd, |s, t| cost::winograd(Unit::AVX512, [14, 32], 2, s, t)),
    row("x86_64::avx512::conv2d_f32_grouped",   Conv2d,        [1, 16], RowMajor,          grouped_only, |s, _| cost::by_vector(Unit::AVX512, s)),
    row("x86_64::avx512::dwconv2d_f32_9p16c",    Depthwise,     [7, 16], Panels { nr: 16 },  square_3,     |s, _| cost::square(Unit::AVX512, s)),
    row("x86_64::avx512::dwconv2d_f32_25p16c",   Depthwise,     [7, 16], Panels { nr: 16 },  square_5,     |s, _| cost::square(Unit::AVX512, s)),
    row("x86_64::avx512::dwconv2d_f32_49p16c",   Depthwise,     [7, 16], Panels { nr: 16 },  square_7,     |s, _| cost::square(Unit::AVX512, s)),
    row("x86_64::avx512::dwconv2d_f32_generic", Depthwise,     [1, 16], Panels { nr: 16 },  any,          |s, _| cost::by_vector(Unit::AVX512, s)),
    row("x86_64::avx512::pool2d_f32",           Pool2d,        [1, 16], RowMajor,          any,          |s, _| cost::by_vector(Unit::AVX512, s)),
    row("x86_64::avx512::global_pool_f32",      GlobalPool,    [1, 16], RowMajor,          any,          elementwise),
    row("x86_64::avx512::activate_f32",         Activate,      [1, 16], RowMajor,          any,          elementwise),
    row("x86_64::avx512::combine_f32",          Combine,       [1, 16], RowMajor,          any,          elementwise),
    row("x86_64::avx512::channel_scale_f32",    ChannelScale,  [1, 16], RowMajor,          any,          elementwise),
    row("x86_64::avx512::channel_affine_f32",   ChannelAffine, [1, 16], RowMajor,          any,          elementwise),
    row("x86_64::avx512::matmul_f32",          MatMul,        [6, 32], RowMajor,         any,          |s, _| cost::gemm(Unit::AVX512, [6, 32], s)),
    row("x86_64::avx512::quantize_f32",        Quantize,      [1, 16],  RowMajor,         any,          |s, _| 2.0 * cost::elementwise(Unit::AVX512, s)),
    row("x86_64::avx512::softmax_f32",         Softmax,       [1, 16],  RowMajor,          any,          |s, _| cost::softmax(Unit::AVX512, s)),
    Kernel { element: U8, ..row("x86_64::avx512::copy_b1", Copy, [1, 1], RowMajor, any, elementwise) },
    codes("x86_64::avx512::conv2d_q8_12x32",    QuantizedConv2d,    [12, 32], Dots,  few_rows,  |s, _| cost::dots([12, 32], s)),
    codes("x86_64::avx512::dwconv2d_q8_9p16c",  QuantizedDepthwise, [4, 16],  Pairs, |s| undilated(s, square_3), |s, _| cost::square_of_codes(s)),
    codes("x86_64::avx512::dwconv2d_q8_25p16c", QuantizedDepthwise, [4, 16],  Pairs, |s| undilated(s, square_5), |s, _| cost::square_of_codes(s)),
    taps("x86_64::avx512::dwconv2d_q8_9p64c",   [2, 64], |s| sixteen(s).or(undilated(s, square_3))),
    taps("x86_64::avx512::dwconv2d_q8_25p64c",  [1, 64], |s| sixteen(s).or(undilated(s, square_5))),
    codes("x86_64::avx512::matmul_q8_6x64",     QuantizedMatMul,    [6, 64],  Pairs, any,       |s, _| cost::dots([6, 32], s)),
    codes("x86_64::avx512::combine_q8",         QuantizedCombine,   [1, 8],   Pairs, any,       |s, _| 2.0 * cost::elementwise(Unit::AVX2, s)),
    codes("x86_64::avx512::lookup_q8",          Lookup,             [1, 64],  Pairs, any,       |s, _| 0.1 * s.macs() as f64),
    codes("x86_64::avx512::pool2d_q8",          QuantizedPool2d,    [1, 64],  Pairs, any,       |s, _| 0.1 * s.macs() as f64),
];

const fn row(
    path: &'static str,
    family: Family,
    tile: [usize; 2],
    layout: Layout,
    refuses: fn(&Shape) -> Option<&'static str>,
    cycles: fn(&Shape, &Target) -> f64,
) -> Kernel {
    Kernel { path, isa: Isa::Avx512, family, element: F32, tile, layout, refuses, cycles }
}

/// A kernel of 8-bit codes.
const fn codes(
    path: &'static str,
    family: Family,
    tile: [usize; 2],
    layout: Layout,
    refuses: fn(&Shape) -> Option<&'static str>,
    cycles: fn(&Shape, &Target) -> f64,
) -> Kernel {
    Kernel { path, isa: Isa::Avx512, family, element: I8, tile, layout, refuses, cycles }
}

/// What a convolution of codes takes: the rows of a window must fit the block that they are copied to.
pub fn few_rows(shape: &Shape) -> Option<&'static str> {
    let [rows, columns] = shape.kernel;
    let channels = shape.k / (rows * columns).max(1);
    let bytes = rows * ((columns - columns.min(1)) * shape.dilation[1] + 1) * channels;
    match (one_group(shape), bytes <= 48 << 10 && shape.k < 1 << 18) {
        (None, false) => Some("only windows that span up to 48 KiB of the map"),
        (refusal, _) => refusal,
    }
}

/// A depthwise convolution of codes by quads of taps.
const fn taps(path: &'static str, tile: [usize; 2], refuses: fn(&Shape) -> Option<&'static str>) -> Kernel {
    let cycles = |shape: &Shape, _: &Target| cost::slide_of_codes(shape);
    Kernel {
        path,
        isa: Isa::Avx512,
        family: QuantizedDepthwise,
        element: I8,
        tile,
        layout: Taps,
        refuses,
        cycles,
    }
}

fn sixteen(shape: &Shape) -> Option<&'static str> {
    (shape.n < 16).then_some("only 16 channels or more")
}

fn half_left(shape: &Shape) -> Option<&'static str> {
    (shape.n % 16 != 8 || shape.m == 1)
        .then_some("only 8 channels beside multiples of 16, of several positions")
}

fn any(_: &Shape) -> Option<&'static str> {
    None
}

fn elementwise(shape: &Shape, _: &Target) -> f64 {
    cost::elementwise(Unit::AVX512, shape)
}

#[cfg(test)]
mod tests {
    use super::super::avx2;
    use super::*;

    #[test]
    fn there_is_a_kernel_for_whatever_avx2_has_one_for() {
        let own = KERNELS.iter().filter(|kernel| ![Taps, PairedPanels].contains(&kernel.layout));
        let same = |(a, b): (&Kernel, &Kernel)| a.family == b.family;
        assert!(own.clone().count() == avx2::KERNELS.len() && own.zip(avx2::KERNELS).all(same));
    }

    #[test]
    fn points_are_taken_where_their_weights_are_read_fast_enough() {
        let target = crate::X86_64_AVX512;
        let chosen = |size: usize, n: usize, c: usize, rows: usize| {
            let shape = Shape { kernel: [3, 3], width: size, ..Shape::new(size * rows, n, 9 * c) };
            let takes = KERNELS.iter().filter(|k| k.family == Conv2d && (k.refuses)(&shape).is_none());
            takes.min_by(|a, b| (a.cycles)(&shape, &target).total_cmp(&(b.cycles)(&shape, &target)))
        };
        // As measured on a Granite Rapids core, except that weights of 7×7, 160 → 160 do not stay in the level 2 cache.
        for (size, n, c, rows, layout) in [
            (56, 128, 32, 56, Winograd { side: 4 }),
            (28, 384, 96, 28, Winograd { side: 4 }),
            (14, 64, 64, 14, Winograd { side: 4 }),
            (14, 128, 128, 14, Winograd { side: 2 }),
            (7, 160, 160, 7, Panels { nr: 16 }),
            (56, 128, 32, 1, Panels { nr: 16 }),
        ] {
            let chosen = chosen(size, n, c, rows).map(|kernel| kernel.layout);
            assert_eq!(chosen, Some(layout), "{rows} rows of {size}, {c} → {n}");
        }
    }

    #[test]
    fn half_a_vector_is_in_pairs_unless_there_is_one_position() {
        let target = crate::X86_64_AVX512;
        let chosen = |shape: Shape| {
            let takes = KERNELS.iter().filter(|k| k.family == Pointwise && (k.refuses)(&shape).is_none());
            takes.min_by(|a, b| (a.cycles)(&shape, &target).total_cmp(&(b.cycles)(&shape, &target)))
        };
        for (m, n, layout) in [
            (784, 24, PairedPanels),
            (49, 8, PairedPanels),
            (784, 32, Panels { nr: 16 }),
            (1, 24, Panels { nr: 16 }),
        ] {
            assert_eq!(chosen(Shape::new(m, n, 96)).map(|kernel| kernel.layout), Some(layout), "{m}×{n}");
        }
    }
}
