//! Sine and cosine, for arguments of any size.

use super::{exp2i, polynomial};
use core::f32::consts::FRAC_PI_4;

/// The first 224 binary digits of 2/π behind the point, and 32 zeros before it.
const FRAC_2_PI: [u32; 8] =
    [0, 0xa2f9_836e, 0x4e44_1529, 0xfc27_57d1, 0xf534_ddc0, 0xdb62_9599, 0x3c43_9041, 0xfe51_63ab];

/// sin x; NaN for an infinite x.
#[inline]
pub fn sin(x: f32) -> f32 {
    let (quadrant, r) = reduce(x.abs());
    let y = if quadrant & 1 == 0 { sin_small(r) } else { cos_small(r) };
    if (quadrant & 2 != 0) != x.is_sign_negative() { -y } else { y }
}

/// cos x; NaN for an infinite x.
#[inline]
pub fn cos(x: f32) -> f32 {
    let (quadrant, r) = reduce(x.abs());
    let y = if quadrant & 1 == 0 { cos_small(r) } else { sin_small(r) };
    if quadrant.wrapping_add(1) & 2 != 0 { -y } else { y }
}

/// Taylor series for |r| ≤ π/4; the first term left out is r¹¹/11!, 2.3e-9 of the result.
#[inline(always)]
fn sin_small(r: f32) -> f32 {
    let rr = r * r;
    r + r * (rr * polynomial(rr, [-1.0 / 6.0, 1.0 / 120.0, -1.0 / 5_040.0, 1.0 / 362_880.0]))
}

/// Taylor series for |r| ≤ π/4; the first term left out is r¹²/12!, 1.2e-10.
#[inline(always)]
fn cos_small(r: f32) -> f32 {
    const TERMS: [f32; 5] = [-1.0 / 2.0, 1.0 / 24.0, -1.0 / 720.0, 1.0 / 40_320.0, -1.0 / 3_628_800.0];
    let rr = r * r;
    1.0 + rr * polynomial(rr, TERMS)
}

/// x = (4k + quadrant) π/2 + r with |r| ≤ π/4, for x ≥ 0.
///
/// x = m · 2^e with an integer m. Digits of 2/π of weight 2^(2−e) and above give multiples of four
/// quadrants, so m is multiplied by the 96 digits behind those, modulo 2⁹⁶. The upper 64 bits of the
/// product are the quadrant, 2 bits, and its fraction, 62 bits. No `f32` is so near to a multiple of π/2
/// that fewer than 30 of them are left.
fn reduce(x: f32) -> (u32, f32) {
    if x <= FRAC_PI_4 {
        return (0, x);
    }
    if !x.is_finite() {
        return (0, f32::NAN);
    }
    let m = u64::from((x.to_bits() & 0x007f_ffff) | 0x0080_0000);
    let e = (x.to_bits() >> 23) as i32 - 150;
    let [high, middle, low] = digits((e + 30) as u32).map(|word| m * word);
    let turns = (high << 32).wrapping_add(middle).wrapping_add(low >> 32);
    let quadrant = turns.wrapping_add(1 << 61) >> 62;
    let fraction = turns.wrapping_sub(quadrant << 62) as i64;
    let r = radians(fraction.unsigned_abs());
    (quadrant as u32, if fraction < 0 { -r } else { r })
}

/// `fraction` · 2⁻⁶² quadrants in radians, rounded once: its 32 leading digits times 32 digits of π/2.
fn radians(fraction: u64) -> f32 {
    const FRAC_PI_2: u64 = 0xc90f_daa2; // ⌊π/2 · 2³¹⌋
    let zeros = (fraction | 1).leading_zeros();
    let product = ((fraction << zeros) >> 32) * FRAC_PI_2;
    product as f32 * exp2i(-61 - zeros as i32)
}

/// 96 digits of [`FRAC_2_PI`] from `first` on, at most 134, in words of 32.
fn digits(first: u32) -> [u64; 3] {
    let (word, bit) = ((first / 32) as usize, first % 32);
    core::array::from_fn(|i| {
        let at = |i: usize| u64::from(FRAC_2_PI.get(word + i).copied().unwrap_or(0));
        ((at(i) << 32 | at(i + 1)) >> (32 - bit)) & 0xffff_ffff
    })
}
