//! The square root in integers, for CPUs whose instruction `core` does not give.

/// √x, correctly rounded: the same bits as the instruction of any CPU that has one.
///
/// x = m · 2^(2e) with m of 47 or 48 bits; the root of m has the 24 bits of an `f32`, found bit by bit.
/// It is rounded up where m > (r + ½)², which is m > r² + r for integers; m is never (r + ½)².
#[allow(dead_code, reason = "not compiled in where the CPU has an instruction, but tested there")]
pub fn sqrt(x: f32) -> f32 {
    if x.is_nan() || x == 0.0 || x == f32::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f32::NAN;
    }
    let (m, e) = split(x);
    let (root, rest) = integer_root(m);
    let rounded = root + u32::from(rest > u64::from(root));
    // 2²³ ≤ rounded ≤ 2²⁴, which is exact, and the root of an `f32` is a normal number.
    rounded as f32 * super::exp2i(e)
}

/// A positive finite number as `m` · 2^(2e) with 2⁴⁶ ≤ m < 2⁴⁸.
#[allow(dead_code, reason = "as `sqrt`")]
const fn split(x: f32) -> (u64, i32) {
    let bits = x.to_bits();
    let (mantissa, exponent) = match bits >> 23 {
        0 => (bits, -149),
        biased => ((bits & 0x007f_ffff) | 0x0080_0000, biased as i32 - 150),
    };
    let shift = mantissa.leading_zeros() as i32 + 16;
    // An even exponent: the shift to 48 bits is one less where it would be odd.
    let shift = shift - ((exponent - shift) & 1);
    ((mantissa as u64) << shift, (exponent - shift) >> 1)
}

/// ⌊√m⌋ and m − ⌊√m⌋² for m < 2⁴⁸.
#[allow(dead_code, reason = "as `sqrt`")]
const fn integer_root(m: u64) -> (u32, u64) {
    let (mut root, mut rest, mut bit) = (0_u64, m, 1_u64 << 46);
    while bit != 0 {
        if rest >= root + bit {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    (root as u32, rest)
}
