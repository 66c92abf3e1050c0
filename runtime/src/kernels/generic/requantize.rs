//! From integer sums to codes, one at a time: the rule that every kernel follows (see
//! [`Rounding`](crate::steps::Rounding)).

use crate::kernels::view::weights;
use crate::memory::Memory;
use crate::steps::{Codes, Requantize, Rounding};

/// The end of a quantised operator, with its constants.
#[derive(Clone, Copy)]
pub struct Requantizer<'m> {
    /// One word a channel: factors.
    pub multipliers: &'m [i32],
    /// One word a channel: exponents, for the fixed-point rule.
    pub shifts: &'m [i32],
    /// The rule.
    pub rounding: Rounding,
    /// The code of 0.
    pub zero_point: i32,
    /// Least and greatest code.
    pub range: [i32; 2],
}

impl<'m> Requantizer<'m> {
    /// For `n` channels with factors and exponents at these offsets of the weights.
    pub fn new(
        memory: &'m Memory<'_>,
        requantize: &Requantize,
        [multipliers, shifts]: [usize; 2],
        n: usize,
    ) -> Option<Self> {
        let [lo, hi] = requantize.range;
        let [least, most] = limits(requantize.codes);
        let zero_point = requantize.codes.zero_point;
        if !(least <= lo && lo <= hi && hi <= most && (least..=most).contains(&zero_point)) {
            return None;
        }
        let exponents = if requantize.rounding == Rounding::Tflite { n } else { 0 };
        Some(Self {
            multipliers: weights(memory, multipliers, n)?,
            shifts: weights(memory, shifts, exponents)?,
            rounding: requantize.rounding,
            zero_point,
            range: requantize.range,
        })
    }

    /// The byte of a channel's sum.
    #[inline(always)]
    pub fn byte(&self, sum: i32, channel: usize) -> u8 {
        let multiplier = self.multipliers.get(channel).copied().unwrap_or(0);
        match self.rounding {
            Rounding::Onnx => self.nearest(sum as f32 * f32::from_bits(multiplier.cast_unsigned())),
            Rounding::Tflite => {
                let shift = self.shifts.get(channel).copied().unwrap_or(0);
                self.place(fixed_point(sum, multiplier, shift))
            }
        }
    }

    /// The byte of a number of steps, halves to even.
    #[inline(always)]
    pub fn nearest(&self, steps: f32) -> u8 {
        let [lo, hi] = self.bounds();
        let clamped = steps.max(lo).min(hi);
        // Adding 1.5 · 2^23 leaves no fractional bits, so the sum is rounded to an integer, halves to even;
        // it stands in the lowest bits.
        const INTEGERS: f32 = 12_582_912.0;
        let rounded = ((clamped + INTEGERS).to_bits().cast_signed()) - INTEGERS.to_bits().cast_signed();
        (rounded + self.zero_point) as u8
    }

    /// Least and greatest number of steps.
    #[inline(always)]
    pub fn bounds(&self) -> [f32; 2] {
        self.range.map(|code| (code - self.zero_point) as f32)
    }

    /// The byte of an integer number of steps.
    #[inline(always)]
    pub fn place(&self, steps: i32) -> u8 {
        let [lo, hi] = self.range;
        steps.saturating_add(self.zero_point).clamp(lo, hi) as u8
    }
}

/// Words of a [`Uniform`] end: the sums of the widest vector.
const WORDS: usize = 16;

/// The end of a quantised operator whose channels have one factor and exponent.
pub struct Uniform {
    words: [[i32; WORDS]; 2],
    rounding: Rounding,
    zero_point: i32,
    range: [i32; 2],
}

impl Uniform {
    /// With the factor and the exponent at these offsets of the weights.
    pub fn new(memory: &Memory<'_>, requantize: &Requantize, constants: [usize; 2]) -> Option<Self> {
        let Requantizer { multipliers, shifts, rounding, zero_point, range } =
            Requantizer::new(memory, requantize, constants, 1)?;
        let word = |of: &[i32]| [of.first().copied().unwrap_or(0); WORDS];
        Some(Self { words: [word(multipliers), word(shifts)], rounding, zero_point, range })
    }

    /// As one of 16 channels.
    pub const fn requantizer(&self) -> Requantizer<'_> {
        let Self { words: [multipliers, shifts], rounding, zero_point, range } = self;
        let (rounding, zero_point, range) = (*rounding, *zero_point, *range);
        Requantizer { multipliers, shifts, rounding, zero_point, range }
    }
}

/// Least and greatest code of a type.
pub const fn limits(codes: Codes) -> [i32; 2] {
    if codes.signed { [-128, 127] } else { [0, 255] }
}

/// What turns the byte of a code into a number from 0 to 255, 128 more than a signed one: exclusive or.
pub const fn flip(codes: Codes) -> u8 {
    if codes.signed { 0x80 } else { 0 }
}

/// The zero point of codes as numbers from 0 to 255, when it is one of them.
pub fn zero_byte(codes: Codes) -> Option<u8> {
    u8::try_from(codes.zero_point.checked_sub(limits(codes)[0])?).ok()
}

/// `RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(x · 2^max(shift, 0), factor), max(−shift, 0))`
#[inline(always)]
pub fn fixed_point(x: i32, factor: i32, shift: i32) -> i32 {
    let left = shift.clamp(0, 31).cast_unsigned();
    let right = shift.clamp(-31, 0).unsigned_abs();
    rounding_shift(high_product(x.wrapping_shl(left), factor), right)
}

/// `a · b / 2^31`, rounded to nearest, halves up; the one product that does not fit is saturated.
#[inline(always)]
pub fn high_product(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let half = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    // The quotient is rounded towards 0.
    ((product + half) / (1 << 31)) as i32
}

/// `x / 2^bits` for up to 31 bits, rounded to nearest, halves away from 0.
#[inline(always)]
pub fn rounding_shift(x: i32, bits: u32) -> i32 {
    let bits = bits.min(31);
    let mask = ((1_u32 << bits) - 1).cast_signed();
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> bits) + i32::from(x & mask > threshold)
}
