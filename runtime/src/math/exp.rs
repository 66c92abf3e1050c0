//! The exponential function and what follows from it.

use super::{exp2i, polynomial, scale};
use core::f32::consts::LOG2_E;

/// Upper 15 bits of ln 2: a product with an 8-bit integer is exact.
const LN_2_HI: f32 = 0.693_145_75;
/// ln 2 − [`LN_2_HI`].
const LN_2_LO: f32 = 1.428_606_8e-6;

/// Adding it rounds a number below 2²² to an integer, in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `x` as `n` ln 2 + `r` with |r| ≤ 0.35, for |x| < 1000.
#[inline(always)]
fn reduce(x: f32) -> (i32, f32) {
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HI) - n * LN_2_LO;
    ((shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32), r)
}

/// e^r − 1 for |r| ≤ 0.35, by its Taylor series.
///
/// The first term left out is r⁸/8!, at most 5.6e-9 and 0.1 ulp of e^r; it is 1.6e-8 of e^r − 1.
#[inline(always)]
fn exp_m1_small(r: f32) -> f32 {
    const TERMS: [f32; 6] = [1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    r + r * r * polynomial(r, TERMS)
}

/// e^x.
///
/// x = n ln 2 + r, so e^x = 2ⁿ e^r. Below −104 the result is less than half the smallest subnormal, and
/// above 89 it overflows.
#[inline]
pub fn exp(x: f32) -> f32 {
    let (n, r) = reduce(clamp(x, -104.0, 89.0));
    scale(1.0 + exp_m1_small(r), n)
}

/// e^x − 1, also where x is small.
///
/// 2ⁿ e^r − 1 = 2ⁿ (e^r − 1) + (2ⁿ − 1), halved against overflow at n = 128. Below −20 the result is −1.
#[inline]
pub fn exp_m1(x: f32) -> f32 {
    let (n, r) = reduce(clamp(x, -20.0, 89.0));
    let half = exp2i(n.wrapping_sub(1));
    ((exp_m1_small(r) * half + (half - 0.5)) * 2.0).copysign(x)
}

/// tanh x = t / (t + 2) with t = e^2|x| − 1, with the sign of x; 1 in single precision above 9.1.
///
/// The error of t enters with the factor 2 / (t + 2), so this holds for every x.
#[inline]
pub fn tanh(x: f32) -> f32 {
    let t = exp_m1(2.0 * clamp(x.abs(), 0.0, 10.0));
    (t / (t + 2.0)).copysign(x)
}

/// 1 / (1 + e^−x).
///
/// With z = e^−|x|, which never overflows: 1 / (1 + z) for x ≥ 0, z / (1 + z) below.
#[inline]
pub fn sigmoid(x: f32) -> f32 {
    let z = exp(-x.abs());
    (if x < 0.0 { z } else { 1.0 }) / (1.0 + z)
}

/// `min(max(x, lo), hi)`, which keeps NaN.
#[inline(always)]
pub(super) fn clamp(x: f32, lo: f32, hi: f32) -> f32 {
    let x = if x < lo { lo } else { x };
    if x > hi { hi } else { x }
}
