//! Powers.

use super::round::trunc;
use core::f64::consts::{LN_2, LOG2_E};

/// x^y, with the special cases of IEEE 754: 1 for y = 0 and for x = 1, even of NaN; NaN for a negative x
/// and a y that is no integer.
///
/// e^(y ln x) in double precision: an error of the logarithm is multiplied by up to 88.
pub fn powf(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return f32::NAN;
    }
    let power = magnitude(x.abs(), y);
    match (x.is_sign_negative(), parity(y)) {
        (false, _) | (true, Parity::Even) => power,
        (true, Parity::Odd) => -power,
        (true, Parity::Fraction) if x == 0.0 || x.is_infinite() => power,
        (true, Parity::Fraction) => f32::NAN,
    }
}

/// x^y for x ≥ 0, y ≠ 0.
fn magnitude(x: f32, y: f32) -> f32 {
    if x == 1.0 {
        1.0
    } else if x == 0.0 || x.is_infinite() || y.is_infinite() {
        if (x > 1.0) == (y > 0.0) { f32::INFINITY } else { 0.0 }
    } else {
        exp(f64::from(y) * ln(f64::from(x))) as f32
    }
}

enum Parity {
    Even,
    Odd,
    Fraction,
}

fn parity(y: f32) -> Parity {
    if trunc(y) != y {
        Parity::Fraction
    } else if y.abs() < 16_777_216.0 && y as i32 & 1 == 1 {
        Parity::Odd
    } else {
        Parity::Even
    }
}

/// ln x for a positive number that is normal in double precision.
///
/// As [`super::ln()`]: 2 artanh s with |s| ≤ 0.172; the first term left out is s¹⁸/19, 1e-15.
fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let above = x.to_bits().wrapping_sub(SQRT_HALF);
    let k = ((above as i64) >> 52) as f64;
    let f = f64::from_bits((above & 0x000f_ffff_ffff_ffff) + SQRT_HALF) - 1.0;
    let s = f / (2.0 + f);
    let series = (0..9).rev().fold(0.0, |sum, n| sum * (s * s) + 1.0 / f64::from(2 * n + 1));
    k * LN_2 + 2.0 * s * series
}

/// e^t; beyond ±120 as at ±120, which is beyond what single precision holds.
///
/// As [`super::exp()`]: 2ⁿ e^r with |r| ≤ 0.35; the first term left out is r¹²/12!, 7e-15.
fn exp(t: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let t = t.clamp(-120.0, 120.0);
    let n = (t * LOG2_E + ROUND) - ROUND;
    let r = t - n * LN_2;
    let series = (1..12).rev().fold(1.0, |sum, n| 1.0 + sum * r / f64::from(n));
    f64::from_bits(((n as i64 + 1023) as u64) << 52) * series
}
