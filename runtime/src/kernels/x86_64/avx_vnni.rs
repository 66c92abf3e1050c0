//! Kernels for AVX-VNNI: AVX2, and the instruction that adds the products of quads, in the encoding of CPUs without
//! AVX-512. All other kernels are AVX2's.

mod codes;

pub use super::detect::AvxVnni;

use super::avx2::codes::I32x8;
use super::kernels;
use crate::kernels::generic::codes::dots;
use crate::kernels::told;
use crate::memory::Memory;
use crate::steps::QuantizedConv2d;
use codes::{Half, Whole};
use core::ops::Range;

kernels! {
    AvxVnni, "avx2,fma,avxvnni";

    /// Convolution of codes; weights in dots. Tiles of 6 positions × 16 channels: 12 sums, 2 vectors of weights and 1
    /// broadcast are 15 registers.
    conv2d_q8_6x16: QuantizedConv2d = dots::run::<Whole, Half, I32x8, 6, 1>;
}
