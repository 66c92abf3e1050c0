//! Kernels in plain Rust.

use super::Layout::{Panels, RowMajor, Winograd};
use super::cost::{self, Unit};
use super::{Kernel, Layout, Shape};
use crate::Element::{self, Bool, F32, I8, I32, I64, U8};
use crate::Family::{self, *};
use crate::{Isa, Target};

/// Every portable kernel.
#[rustfmt::skip]
pub const KERNELS: &[Kernel] = &[
    plain("portable::conv_transpose2d_f32", ConvTranspose2d, F32, scalar_macs),
    fast("portable::gemm_f32_4x8",         Pointwise,     [4, 8], Panels { nr: 16 }, any,          gemm_4x8),
    fast("portable::conv2d_f32_4x8",       Conv2d,        [4, 8], Panels { nr: 16 }, whole_panels, conv2d_4x8),
    fast("portable::conv2d_f32_stem",      Conv2d,        [6, 8], Panels { nr: 16 }, stem,        |s, t| cost::stem(Unit::portable(t), s)),
    fast("portable::conv2d_f32_planar",    PlanarConv2d,  [6, 8], Panels { nr: 16 }, stem,        |s, t| cost::stem(Unit::portable(t), s)),
    fast("portable::conv2d_f32_winograd4", Conv2d,       [4, 8], Winograd { side: 4 }, winograd,  |s, t| cost::winograd(Unit::portable(t), [4, 8], 4, s, t)),
    fast("portable::conv2d_f32_winograd2", Conv2d,       [4, 8], Winograd { side: 2 }, winograd,  |s, t| cost::winograd(Unit::portable(t), [4, 8], 2, s, t)),
    fast("portable::conv2d_f32_grouped",   Conv2d,        [1, 4], RowMajor,          grouped_only, by_vector),
    fast("portable::dwconv2d_f32_9p8c",    Depthwise,     [7, 8], Panels { nr: 8 },  square_3,     square),
    fast("portable::dwconv2d_f32_25p8c",   Depthwise,     [7, 8], Panels { nr: 8 },  square_5,     square),
    fast("portable::dwconv2d_f32_49p8c",   Depthwise,     [7, 8], Panels { nr: 8 },  square_7,     square),
    fast("portable::dwconv2d_f32_generic", Depthwise,     [1, 8], Panels { nr: 8 },  any,          by_vector),
    fast("portable::pool2d_f32",           Pool2d,        [1, 4], RowMajor,          any,          by_vector),
    fast("portable::global_pool_f32",      GlobalPool,    [1, 4], RowMajor,          any,          by_element),
    fast("portable::activate_f32",         Activate,      [1, 4], RowMajor,          any,          by_element),
    fast("portable::combine_f32",          Combine,       [1, 4], RowMajor,          any,          by_element),
    fast("portable::channel_scale_f32",    ChannelScale,  [1, 4], RowMajor,          any,          by_element),
    fast("portable::channel_affine_f32",   ChannelAffine, [1, 4], RowMajor,          any,          by_element),
    plain("portable::matmul_f32",       MatMul,      F32,  scalar_macs),
    plain("portable::unary_f32",        Unary,       F32,  functions),
    plain("portable::unary_i8",         Unary,       I8,   elements),
    plain("portable::unary_u8",         Unary,       U8,   elements),
    plain("portable::unary_i32",        Unary,       I32,  elements),
    plain("portable::unary_i64",        Unary,       I64,  elements),
    plain("portable::unary_bool",       Unary,       Bool, elements),
    plain("portable::binary_f32",       Binary,      F32,  elements),
    plain("portable::binary_i8",        Binary,      I8,   elements),
    plain("portable::binary_u8",        Binary,      U8,   elements),
    plain("portable::binary_i32",       Binary,      I32,  elements),
    plain("portable::binary_i64",       Binary,      I64,  elements),
    plain("portable::binary_bool",      Binary,      Bool, elements),
    plain("portable::compare_f32",      Compare,     F32,  elements),
    plain("portable::compare_i8",       Compare,     I8,   elements),
    plain("portable::compare_u8",       Compare,     U8,   elements),
    plain("portable::compare_u8",       Compare,     Bool, elements),
    plain("portable::compare_i32",      Compare,     I32,  elements),
    plain("portable::compare_i64",      Compare,     I64,  elements),
    plain("portable::select_b1",        Select,      U8,   elements),
    plain("portable::select_b4",        Select,      F32,  elements),
    plain("portable::select_b8",        Select,      I64,  elements),
    plain("portable::cast",             Cast,        F32,  elements),
    plain("portable::cast",             Cast,        I8,   elements),
    plain("portable::cast",             Cast,        U8,   elements),
    plain("portable::cast",             Cast,        I32,  elements),
    plain("portable::cast",             Cast,        I64,  elements),
    plain("portable::cast",             Cast,        Bool, elements),
    plain("portable::quantize_f32",     Quantize,    F32,  elements),
    plain("portable::dequantize",       Dequantize,  F32,  elements),
    plain("portable::dequantize",       Dequantize,  I8,   elements),
    plain("portable::dequantize",       Dequantize,  U8,   elements),
    plain("portable::dequantize",       Dequantize,  I32,  elements),
    plain("portable::reduce_f32",       Reduce,      F32,  elements),
    plain("portable::reduce_i8",        Reduce,      I8,   elements),
    plain("portable::reduce_u8",        Reduce,      U8,   elements),
    plain("portable::reduce_i32",       Reduce,      I32,  elements),
    plain("portable::reduce_i64",       Reduce,      I64,  elements),
    plain("portable::arg_reduce_f32",   ArgReduce,   F32,  elements),
    plain("portable::arg_reduce_i8",    ArgReduce,   I8,   elements),
    plain("portable::arg_reduce_u8",    ArgReduce,   U8,   elements),
    plain("portable::arg_reduce_u8",    ArgReduce,   Bool, elements),
    plain("portable::arg_reduce_i32",   ArgReduce,   I32,  elements),
    plain("portable::arg_reduce_i64",   ArgReduce,   I64,  elements),
    plain("portable::softmax_f32",      Softmax,     F32,  functions),
    plain("portable::layer_norm_f32",   LayerNorm,   F32,  elements),
    plain("portable::copy_b1",          Copy,        U8,   elements),
    plain("portable::copy_b4",          Copy,        F32,  elements),
    plain("portable::copy_b8",          Copy,        I64,  elements),
    plain("portable::fill_b1",          Fill,        U8,   elements),
    plain("portable::fill_b4",          Fill,        F32,  elements),
    plain("portable::fill_b8",          Fill,        I64,  elements),
    plain("portable::gather_b1",        Gather,      U8,   elements),
    plain("portable::gather_b4",        Gather,      F32,  elements),
    plain("portable::gather_b8",        Gather,      I64,  elements),
    plain("portable::interpolate_f32",  Interpolate, F32,  elements),
    plain("portable::conv2d_q8",        QuantizedConv2d,    I8, integer_macs),
    plain("portable::dwconv2d_q8",      QuantizedDepthwise, I8, integer_macs),
    plain("portable::matmul_q8",        QuantizedMatMul,    I8, integer_macs),
    plain("portable::combine_q8",       QuantizedCombine,   I8, functions),
    plain("portable::pool2d_q8",        QuantizedPool2d,    I8, integer_macs),
    plain("portable::softmax_q8",       QuantizedSoftmax,   I8, functions),
    plain("portable::lookup_q8",        Lookup,             I8, elements),
];

/// A kernel of the fast families. Constants are packed as for AVX2, so that a module with both variants holds
/// them once.
const fn fast(
    path: &'static str,
    family: Family,
    tile: [usize; 2],
    layout: Layout,
    refuses: fn(&Shape) -> Option<&'static str>,
    cycles: fn(&Shape, &Target) -> f64,
) -> Kernel {
    Kernel { path, isa: Isa::Portable, family, element: F32, tile, layout, refuses, cycles }
}

fn any(_: &Shape) -> Option<&'static str> {
    None
}

/// What a dense convolution takes.
pub fn one_group(shape: &Shape) -> Option<&'static str> {
    (shape.groups != 1).then_some("only one group")
}

/// What a convolution by panels of 16 columns takes: none may be of two groups.
pub fn whole_panels(shape: &Shape) -> Option<&'static str> {
    let whole = shape.groups == 1 || shape.n.is_multiple_of(16 * shape.groups);
    (!whole).then_some("only groups of multiples of 16 channels")
}

/// What a convolution that finds its elements through a table takes.
pub fn stem(shape: &Shape) -> Option<&'static str> {
    whole_panels(shape).or((shape.k > 512).then_some("at most 512 elements a sum"))
}

/// What Winograd's method takes.
pub fn winograd(shape: &Shape) -> Option<&'static str> {
    let square = shape.kernel == [3, 3] && shape.stride == [1, 1] && shape.dilation == [1, 1];
    let refusal = whole_panels(shape).or((!square).then_some("only 3×3, no stride, no dilation"));
    refusal.or((shape.k > 9 * 256).then_some("at most 256 input channels of a group"))
}

/// What a convolution in groups of any size is for.
pub fn grouped_only(shape: &Shape) -> Option<&'static str> {
    (shape.groups == 1).then_some("only several groups")
}

/// What the 3×3 depthwise kernels take.
pub fn square_3(shape: &Shape) -> Option<&'static str> {
    let takes = shape.kernel == [3, 3] && square_steps(shape);
    (!takes).then_some("only 3×3, column stride 2 or 1, dilated at 1, multiplier 1")
}

/// What the 5×5 depthwise kernels take.
pub fn square_5(shape: &Shape) -> Option<&'static str> {
    let takes = shape.kernel == [5, 5] && square_steps(shape);
    (!takes).then_some("only 5×5, column stride 2 or 1, dilated at 1, multiplier 1")
}

/// What the 7×7 depthwise kernels take.
pub fn square_7(shape: &Shape) -> Option<&'static str> {
    let takes = shape.kernel == [7, 7] && square_steps(shape);
    (!takes).then_some("only 7×7, column stride 2 or 1, dilated at 1, multiplier 1")
}

/// What depthwise kernels of codes take: of the squares of floats, those without dilation.
pub fn undilated(shape: &Shape, of_floats: fn(&Shape) -> Option<&'static str>) -> Option<&'static str> {
    of_floats(shape).or((shape.dilation != [1, 1]).then_some("no dilation"))
}

fn square_steps(shape: &Shape) -> bool {
    let column = (shape.stride[1], shape.dilation[1]);
    matches!(column, (1, _) | (2, 1)) && shape.groups == 1
}

fn gemm_4x8(shape: &Shape, target: &Target) -> f64 {
    cost::gemm(Unit::portable(target), [4, 8], shape)
}

fn conv2d_4x8(shape: &Shape, target: &Target) -> f64 {
    cost::conv2d(Unit::portable(target), [4, 8], shape)
}

fn square(shape: &Shape, target: &Target) -> f64 {
    cost::square(Unit::portable(target), shape)
}

fn by_vector(shape: &Shape, target: &Target) -> f64 {
    cost::by_vector(Unit::portable(target), shape)
}

fn by_element(shape: &Shape, target: &Target) -> f64 {
    cost::elementwise(Unit::portable(target), shape)
}

/// A kernel of plain loops: it takes every shape, and its constants as they are.
const fn plain(
    path: &'static str,
    family: Family,
    element: Element,
    cycles: fn(&Shape, &Target) -> f64,
) -> Kernel {
    let (isa, tile, layout) = (Isa::Portable, [1, 1], RowMajor);
    Kernel { path, isa, family, element, tile, layout, refuses: |_| None, cycles }
}

/// A load, an operation, a store: one element a cycle.
fn elements(shape: &Shape, _: &Target) -> f64 {
    shape.macs() as f64
}

/// A range reduction and a polynomial: some 20 operations an element.
fn functions(shape: &Shape, _: &Target) -> f64 {
    20.0 * shape.macs() as f64
}

/// A multiplication and an addition of integers, and some 20 operations to scale, round and clamp a sum.
fn integer_macs(shape: &Shape, _: &Target) -> f64 {
    2.0 * shape.macs() as f64 + 20.0 * (shape.m * shape.n) as f64
}

/// A multiplication and an addition.
fn scalar_macs(shape: &Shape, _: &Target) -> f64 {
    2.0 * shape.macs() as f64
}
