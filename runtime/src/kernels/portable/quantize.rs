//! From real numbers to 8 bits.

use super::access::told;
use super::channels::{Scaled, map};
use crate::math::round_ties_even;
use crate::memory::Memory;
use crate::steps::{Element, Quantize};

/// `output = saturate(round_half_even(input / scale) + zero_point)`, the division in single precision as
/// ONNX's QuantizeLinear has it; NaN becomes 0 before it is saturated.
#[inline]
pub fn quantize_f32(memory: &mut Memory<'_>, step: &Quantize) {
    told(run(memory, step));
}

#[inline]
fn run(memory: &mut Memory<'_>, step: &Quantize) -> Option<()> {
    let &Quantize { input, output, outer, channels, inner, scale, zero_point, to } = step;
    let scaled = &Scaled { input, output, shape: [outer, channels, inner], scale, zero_point };
    match to {
        Element::U8 => map(memory, scaled, |x, scale, zero| saturate(x, scale, zero, 0, 255) as u8),
        Element::I8 => map(memory, scaled, |x, scale, zero| saturate(x, scale, zero, -128, 127) as i8),
        Element::F32 | Element::I32 | Element::I64 | Element::Bool => None,
    }
}

/// The quotient is an integer; only one whose sum with the zero point is small is not clamped, and that
/// is exact in `i32`.
#[inline(always)]
fn saturate(x: f32, scale: f32, zero_point: i32, lo: i32, hi: i32) -> i32 {
    (round_ties_even(x / scale) as i32).saturating_add(zero_point).clamp(lo, hi)
}
