//! From integers to the real numbers that they stand for.

use super::access::told;
use super::channels::{Scaled, map};
use crate::memory::Memory;
use crate::steps::{Dequantize, Element};

/// `output = (input − zero_point) · scale`, the difference in `i32` (wrapping) and the product in single
/// precision, as ONNX's DequantizeLinear has it.
#[inline]
pub fn dequantize(memory: &mut Memory<'_>, step: &Dequantize) {
    told(run(memory, step));
}

#[inline]
fn run(memory: &mut Memory<'_>, step: &Dequantize) -> Option<()> {
    let &Dequantize { input, output, outer, channels, inner, scale, zero_point, from } = step;
    let scaled = &Scaled { input, output, shape: [outer, channels, inner], scale, zero_point };
    match from {
        Element::U8 => map(memory, scaled, |x: u8, scale, zero| real(x.into(), scale, zero)),
        Element::I8 => map(memory, scaled, |x: i8, scale, zero| real(x.into(), scale, zero)),
        Element::I32 => map(memory, scaled, real),
        Element::F32 | Element::I64 | Element::Bool => None,
    }
}

#[inline(always)]
fn real(x: i32, scale: f32, zero_point: i32) -> f32 {
    x.wrapping_sub(zero_point) as f32 * scale
}
