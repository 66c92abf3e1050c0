//! Kernels in plain Rust.

use super::{Kernel, Layout, Shape};
use crate::Element::{self, Bool, F32, I8, I32, I64, U8};
use crate::Family::{self, *};
use crate::{Isa, Target};

/// Every portable kernel.
#[rustfmt::skip]
pub const KERNELS: &[Kernel] = &[
    plain("portable::conv_transpose2d_f32", ConvTranspose2d, F32, scalar_macs),
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
];

/// A kernel of plain loops: it takes every shape, and its constants as they are.
const fn plain(
    path: &'static str,
    family: Family,
    element: Element,
    cycles: fn(&Shape, &Target) -> f64,
) -> Kernel {
    let (isa, tile, layout) = (Isa::Portable, [1, 1], Layout::RowMajor);
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

/// A multiplication and an addition.
fn scalar_macs(shape: &Shape, _: &Target) -> f64 {
    2.0 * shape.macs() as f64
}
