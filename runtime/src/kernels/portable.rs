//! Kernels in plain Rust, for any CPU.
//!
//! The fast families are in `fast`. Families that are executed as a whole are plain loops over slices: they
//! take a step, borrow its result and its operands from the memory through `access`, and return without a
//! change when that fails.

mod access;
mod arg_reduce;
mod binary;
mod broadcast;
mod cast;
mod channels;
mod compare;
mod conv_transpose;
pub(super) mod copy;
mod dequantize;
mod fast;
mod fill;
mod fold;
mod gather;
#[cfg(test)]
mod hostile;
mod in_rows;
mod interpolate;
mod layer_norm;
pub(super) mod matmul;
pub(super) mod quantize;
mod quantized;
mod reduce;
mod select;
pub(super) mod softmax;
mod strided;
#[cfg(test)]
mod testing;
mod unary;

pub use arg_reduce::{arg_reduce_f32, arg_reduce_i8, arg_reduce_i32, arg_reduce_i64, arg_reduce_u8};
pub use binary::{binary_bool, binary_f32, binary_i8, binary_i32, binary_i64, binary_u8};
pub use cast::cast;
pub use compare::{compare_f32, compare_i8, compare_i32, compare_i64, compare_u8};
pub use conv_transpose::conv_transpose2d_f32;
pub use copy::{copy_b1, copy_b4, copy_b8};
pub use dequantize::dequantize;
pub use fast::{
    activate_f32, channel_affine_f32, channel_scale_f32, combine_f32, conv2d_f32_4x8, conv2d_f32_grouped,
    conv2d_f32_planar, conv2d_f32_stem, conv2d_f32_winograd2, conv2d_f32_winograd4, dwconv2d_f32_9p8c,
    dwconv2d_f32_25p8c, dwconv2d_f32_49p8c, dwconv2d_f32_generic, gemm_f32_4x8, global_pool_f32, pool2d_f32,
};
pub use fill::{fill_b1, fill_b4, fill_b8};
pub use gather::{gather_b1, gather_b4, gather_b8};
pub use interpolate::interpolate_f32;
pub use layer_norm::layer_norm_f32;
pub use matmul::matmul_f32;
pub use quantize::quantize_f32;
#[cfg(target_arch = "x86_64")]
pub(super) use quantized::{combine_one_by_one, lookup_maps, pool_of_codes};
pub use quantized::{combine_q8, conv2d_q8, dwconv2d_q8, lookup_q8, matmul_q8, pool2d_q8, softmax_q8};
pub use reduce::{reduce_f32, reduce_i8, reduce_i32, reduce_i64, reduce_u8};
pub use select::{select_b1, select_b4, select_b8};
pub use softmax::softmax_f32;
pub use unary::{unary_bool, unary_f32, unary_i8, unary_i32, unary_i64, unary_u8};
