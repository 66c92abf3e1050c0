//! Elementary functions of `f32`, with the same bits on every CPU.
//!
//! `core` has none of these. A C library's differ from host to host and are not there on a
//! microcontroller, so they are written here from additions, multiplications, divisions and integer
//! operations, which IEEE 754 fixes to the bit. Nothing is fused, and no function has a table but for
//! the digits of 2/π.
//!
//! Most are a range reduction and a Taylor series that is cut where the next term no longer matters;
//! each function says why its terms suffice. Largest errors, measured over all exponents against `f64`
//! (`cargo test -p mobilec-runtime math`), in units of the last place:
//!
//! | function | ulp | | function | ulp |
//! |---|--:|---|---|--:|
//! | [`exp`], [`ln`] | 1.1 | | [`sin`], [`cos`] | 1.5 |
//! | [`exp_m1`], [`erf`] | 2 | | [`tanh`], [`sigmoid`] | 2.3 |
//! | [`ln_1p`] | 1.5 | | [`powf`] | 0.51 |
//!
//! [`sqrt`], [`modulo`] and the roundings to integers are exact or correctly rounded.
//!
//! NaN gives NaN, infinities give the limits, results below the normal range are subnormal.

mod erf;
mod exp;
mod ln;
mod pow;
mod round;
mod sqrt;
#[cfg(target_arch = "x86_64")]
mod sqrt_x86_64;
#[cfg(test)]
mod tests;
mod trigonometry;

pub use erf::erf;
pub use exp::{exp, exp_m1, sigmoid, tanh};
pub use ln::{ln, ln_1p};
pub use pow::powf;
pub use round::{ceil, floor, modulo, round_ties_even, trunc};
#[cfg(not(target_arch = "x86_64"))]
pub use sqrt::sqrt;
#[cfg(target_arch = "x86_64")]
pub use sqrt_x86_64::sqrt;
pub use trigonometry::{cos, sin};

/// 2^n for −126 ≤ n ≤ 127.
#[inline(always)]
const fn exp2i(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `x` · 2^n for −252 ≤ n ≤ 254, in two steps, of which at most the second rounds where |x| is near 1.
#[inline(always)]
const fn scale(x: f32, n: i32) -> f32 {
    let half = n >> 1;
    x * exp2i(half) * exp2i(n.wrapping_sub(half))
}

/// `c[0] + c[1]·x + …` by Horner's rule.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
    c.iter().rev().fold(0.0, |sum, &c| sum * x + c)
}
