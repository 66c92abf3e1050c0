//! Kernels for AVX-VNNI; where there is none, AVX2's are taken.

use super::Kernel;
use super::Layout::Dots;
use super::avx512::few_rows;
use super::cost;
use crate::Element::I8;
use crate::Family::QuantizedConv2d;
use crate::Isa;

/// Every AVX-VNNI kernel.
pub const KERNELS: &[Kernel] = &[Kernel {
    path: "x86_64::avx_vnni::conv2d_q8_6x16",
    isa: Isa::AvxVnni,
    family: QuantizedConv2d,
    element: I8,
    tile: [6, 16],
    layout: Dots,
    refuses: few_rows,
    // Two products of 256 bits a cycle.
    cycles: |shape, _| cost::dots([6, 16], shape),
}];
