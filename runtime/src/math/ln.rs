//! Logarithms.

use super::polynomial;

/// Upper 15 bits of ln 2: a product with an 8-bit integer is exact.
const LN_2_HI: f32 = 0.693_145_75;
/// ln 2 − [`LN_2_HI`].
const LN_2_LO: f32 = 1.428_606_8e-6;
/// Bits of √½, from where mantissas are counted.
const SQRT_HALF: u32 = 0x3f35_04f3;

/// ln x.
///
/// x = 2^k (1 + f) with 1 + f between √½ and √2. With s = f / (2 + f), |s| ≤ 0.172, the logarithm of
/// 1 + f is 2 artanh s = 2s (1 + s²/3 + s⁴/5 + …); and 2s = f − s·f, which keeps f exact:
/// ln(1 + f) = f − s (f − 2s² (1/3 + s²/5 + …)). The first term left out is s¹⁰/11, 2e-9 of the result.
#[inline]
pub fn ln(x: f32) -> f32 {
    if x.is_nan() || x < 0.0 {
        f32::NAN
    } else if x == 0.0 {
        f32::NEG_INFINITY
    } else if x == f32::INFINITY {
        x
    } else if x < f32::MIN_POSITIVE {
        ln_normal(x * 8_388_608.0, -23)
    } else {
        ln_normal(x, 0)
    }
}

/// ln(2^k x) for a positive normal number.
#[inline(always)]
fn ln_normal(x: f32, k: i32) -> f32 {
    let above = x.to_bits().wrapping_sub(SQRT_HALF);
    let k = (k + ((above as i32) >> 23)) as f32;
    let f = f32::from_bits((above & 0x007f_ffff) + SQRT_HALF) - 1.0;
    let s = f / (2.0 + f);
    let ss = s * s;
    let series = 2.0 * ss * polynomial(ss, [1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0]);
    k * LN_2_HI + (f - (s * (f - series) - k * LN_2_LO))
}

/// ln(1 + x), also where x is small.
///
/// u = 1 + x is rounded; ln(1 + x) = ln u + (x − (u − 1)) / u, to first order in the rounding error.
#[inline]
pub fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    if u == 1.0 || u == f32::INFINITY {
        return x;
    }
    let lost = if u > 0.0 { (x - (u - 1.0)) / u } else { 0.0 };
    ln(u) + lost
}
