//! Rounding to integers, and the remainder.

use super::scale;
use core::num::NonZeroU64;

/// From here on every `f32` is an integer.
const INTEGERS: f32 = 8_388_608.0;

/// The nearest integer towards zero; −0 stays −0.
#[inline]
pub fn trunc(x: f32) -> f32 {
    // A value below 2²³ fits an `i32`.
    if x.abs() < INTEGERS { (x as i32 as f32).copysign(x) } else { x }
}

/// The largest integer that is not above `x`.
#[inline]
pub fn floor(x: f32) -> f32 {
    let t = trunc(x);
    if t > x { t - 1.0 } else { t }
}

/// The smallest integer that is not below `x`.
#[inline]
pub fn ceil(x: f32) -> f32 {
    let t = trunc(x);
    if t < x { (t + 1.0).copysign(x) } else { t }
}

/// The nearest integer, of two the even one.
///
/// |x| + 2²³ has no bits behind the point, so the addition itself rounds, half to even.
#[inline]
pub fn round_ties_even(x: f32) -> f32 {
    let a = x.abs();
    if a < INTEGERS { ((a + INTEGERS) - INTEGERS).copysign(x) } else { x }
}

/// The remainder of a / b with the sign of b: a − b ⌊a/b⌋, rounded once.
///
/// NaN for b = 0 and for an infinite a.
#[inline]
pub fn modulo(a: f32, b: f32) -> f32 {
    let r = remainder(a, b);
    if r == 0.0 {
        r.copysign(b)
    } else if (r < 0.0) != (b < 0.0) {
        r + b
    } else {
        r
    }
}

/// The remainder of a / b with the sign of a, exactly: mantissas as integers, 32 bits of the quotient a
/// step.
fn remainder(a: f32, b: f32) -> f32 {
    let ((m, e), (divisor, base)) = (parts(a), parts(b));
    let Some(divisor) = NonZeroU64::new(divisor) else { return f32::NAN };
    if a.is_nan() || b.is_nan() || a.is_infinite() {
        return f32::NAN;
    }
    if a.abs() < b.abs() {
        return a;
    }
    let mut rest = m % divisor;
    let mut bits = e - base;
    while bits > 0 {
        let step = if bits < 32 { bits } else { 32 };
        rest = (rest << step) % divisor;
        bits -= step;
    }
    scale(rest as f32, base).copysign(a)
}

/// |x| = m · 2^e, with m below 2²⁴.
const fn parts(x: f32) -> (u64, i32) {
    let bits = x.to_bits() & 0x7fff_ffff;
    let (exponent, mantissa) = ((bits >> 23) as i32, (bits & 0x007f_ffff) as u64);
    if exponent == 0 { (mantissa, -149) } else { (mantissa | 0x0080_0000, exponent - 150) }
}
