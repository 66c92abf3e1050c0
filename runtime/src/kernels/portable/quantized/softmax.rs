//! Softmax of codes in fixed point, as TensorFlow Lite's reference kernels and CMSIS-NN compute it.

use super::super::access;
use crate::kernels::generic::requantize::{high_product, rounding_shift};
use crate::kernels::told;
use crate::memory::Memory;
use crate::steps::QuantizedSoftmax;

/// Integer bits of the sum of exponentials.
const SUM_BITS: u32 = 12;

/// See [`QuantizedSoftmax`].
#[inline(never)]
pub fn softmax_q8(memory: &mut Memory<'_>, step: &QuantizedSoftmax) {
    told(run(memory, step));
}

pub(in crate::kernels) fn run(memory: &mut Memory<'_>, step: &QuantizedSoftmax) -> Option<()> {
    let len = step.rows.checked_mul(step.len)?;
    let (operands, output) = access::result::<u8>(memory, step.output, len)?;
    let input = operands.slice::<u8>(step.input, len)?;
    for (to, from) in output.chunks_mut(step.len.max(1)).zip(input.chunks(step.len.max(1))) {
        row(step, from, to);
    }
    Some(())
}

fn row(step: &QuantizedSoftmax, from: &[u8], to: &mut [u8]) {
    let code = |byte: u8| if step.signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
    let largest = from.iter().map(|&byte| code(byte)).max().unwrap_or(0);
    let exponential = |byte: u8| {
        let difference = code(byte) - largest;
        let scaled = high_product(difference.wrapping_shl(step.shift), step.factor);
        (difference >= step.least).then(|| exp(scaled))
    };
    let terms = from.iter().filter_map(|&byte| exponential(byte));
    let sum = terms.fold(0_i32, |sum, term| sum.wrapping_add(rounding_shift(term, SUM_BITS)));
    let headroom = sum.leading_zeros().min(31);
    let scale = reciprocal((sum.cast_unsigned() << headroom).wrapping_sub(1 << 31).cast_signed());
    // 31 bits of the product, of which 8 are the code's.
    let bits = (SUM_BITS + 31 - 8).saturating_sub(headroom);
    let least = if step.signed { -128 } else { 0 };
    for (to, &byte) in to.iter_mut().zip(from) {
        let part = exponential(byte).map_or(0, |term| rounding_shift(high_product(scale, term), bits));
        *to = part.clamp(0, 255).wrapping_add(least) as u8;
    }
}

/// e^x for x ≤ 0 with 26 fractional bits, in 31: e^x of the remainder modulo 1/4, times e^(−2^n) for each bit of
/// the multiple of 1/4.
fn exp(x: i32) -> i32 {
    const QUARTER: i32 = 1 << 24;
    /// e^(−1/4), e^(−1/2), e^(−1), … e^(−16)
    const POWERS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if x >= 0 {
        return i32::MAX;
    }
    let remainder = (x & (QUARTER - 1)) - QUARTER;
    let quarters = remainder.wrapping_sub(x) >> 24;
    let mut result = exp_of_remainder(remainder << 5);
    for (bit, power) in POWERS.into_iter().enumerate() {
        if quarters & (1 << bit) != 0 {
            result = high_product(result, power);
        }
    }
    result
}

/// e^x for −1/4 ≤ x < 0 with 31 fractional bits: a polynomial of fourth degree about −1/8.
fn exp_of_remainder(x: i32) -> i32 {
    const AT_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = x.wrapping_add(1 << 28);
    let square = high_product(x, x);
    let (cube, fourth) = (high_product(square, x), high_product(square, square));
    let high = high_product(rounding_shift(fourth, 2).wrapping_add(cube), THIRD);
    let tail = rounding_shift(high.wrapping_add(square), 1);
    AT_EIGHTH.wrapping_add(high_product(AT_EIGHTH, x.wrapping_add(tail)))
}

/// 1 / (1 + x) for 0 ≤ x < 1 with 31 fractional bits: 48/17 − 32/17 · (1 + x)/2, then three steps of Newton's
/// iteration.
fn reciprocal(x: i32) -> i32 {
    let half = i64::from(x) + i64::from(i32::MAX);
    let half = ((half + if half >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut result = 1_515_870_810_i32.wrapping_add(high_product(half, -1_010_580_540));
    for _ in 0..3 {
        let error = (1_i32 << 29).wrapping_sub(high_product(half, result));
        result = result.wrapping_add(high_product(result, error).saturating_mul(4));
    }
    result.saturating_mul(2)
}
