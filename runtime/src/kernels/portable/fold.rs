//! Folds in blocks: fast, because lanes are independent, and accurate, because partial sums stay small.
//!
//! A sum of `n` numbers is made of 8 · n/512 partial sums of 64 numbers each, so its error is at most
//! (64 + n/512 + 8) · 2⁻²⁴ · Σ|x| instead of n · 2⁻²⁴ · Σ|x|.

/// Independent accumulators along a row.
const LANES: usize = 8;
/// Numbers that one accumulator takes before it is added to the total.
pub const BLOCK: usize = 64;

/// `combine` over `map(x)` of all values, from `init`, which must be neutral.
#[inline]
pub fn fold<T: Copy, U: Copy>(values: &[T], init: U, map: impl Fn(T) -> U, combine: impl Fn(U, U) -> U) -> U {
    let mut total = [init; LANES];
    for block in values.chunks(LANES * BLOCK) {
        let mut part = [init; LANES];
        let (full, rest) = block.as_chunks::<LANES>();
        for chunk in full {
            for (part, &x) in part.iter_mut().zip(chunk) {
                *part = combine(*part, map(x));
            }
        }
        for (part, &x) in part.iter_mut().zip(rest) {
            *part = combine(*part, map(x));
        }
        for (total, part) in total.iter_mut().zip(part) {
            *total = combine(*total, part);
        }
    }
    let [a, b, c, d, e, f, g, h] = total;
    combine(combine(combine(a, e), combine(c, g)), combine(combine(b, f), combine(d, h)))
}

/// Σ `map(x)`
#[inline]
pub fn sum(values: &[f32], map: impl Fn(f32) -> f32) -> f32 {
    fold(values, 0.0, map, |a, b| a + b)
}

/// The larger one; NaN where one of them is.
#[inline(always)]
pub fn max(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// The smaller one; NaN where one of them is.
#[inline(always)]
pub fn min(a: f32, b: f32) -> f32 {
    if b < a || b.is_nan() { b } else { a }
}
