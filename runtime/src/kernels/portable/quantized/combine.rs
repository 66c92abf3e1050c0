//! Sums and products of codes.

use crate::kernels::generic::requantize::{Requantizer, fixed_point};
use crate::kernels::told;
use crate::kernels::view::{CodeSink, CodeSource, same_shape};
use crate::memory::Memory;
use crate::steps::{Codes, QuantizedCombine, Rounding};
use core::ops::Range;

/// Bits by which terms of a sum are shifted to the left in fixed point.
const HEADROOM: i32 = 20;

/// See [`QuantizedCombine`].
#[inline(never)]
pub fn combine_q8(memory: &mut Memory<'_>, step: &QuantizedCombine, rows: Range<usize>) {
    told(run(memory, step, rows));
}

/// As [`combine_q8`], when the step fits the memory.
pub(in crate::kernels) fn run(
    memory: &Memory<'_>,
    step: &QuantizedCombine,
    rows: Range<usize>,
) -> Option<()> {
    let pair = Pair::new(memory, step)?;
    same_shape([&step.a, &step.output])?;
    let each = same_shape([&step.a, &step.b]).is_some();
    let one = (step.b.height, step.b.width, step.b.channels) == (1, 1, step.a.channels);
    if !each && !one {
        return None;
    }
    let (a, b) = (CodeSource::new(memory, &step.a)?, CodeSource::new(memory, &step.b)?);
    let output = CodeSink::new(memory, &step.output, &rows)?;
    let channels = step.a.channels;
    for y in rows {
        let (a, b, to) = (a.row(y), b.row(if each { y } else { 0 }), output.row(y));
        for x in 0..step.a.width {
            for channel in 0..channels {
                let at = x * channels + channel;
                // SAFETY: the element is in all maps.
                unsafe { *to.add(at) = pair.byte(*a.add(at), *b.add(if each { at } else { channel })) };
            }
        }
    }
    Some(())
}

/// A sum or product of two codes.
struct Pair<'m> {
    product: bool,
    codes: [Codes; 2],
    end: Requantizer<'m>,
}

impl<'m> Pair<'m> {
    fn new(memory: &'m Memory<'_>, step: &QuantizedCombine) -> Option<Self> {
        let end = Requantizer::new(memory, &step.requantize, [step.multipliers, step.shifts], 3)?;
        Some(Self { product: step.product, codes: [step.a_codes, step.b_codes], end })
    }

    #[inline(always)]
    fn byte(&self, a: u8, b: u8) -> u8 {
        let [x, y] = [steps(a, self.codes[0]), steps(b, self.codes[1])];
        if self.product {
            return self.end.byte(x.wrapping_mul(y), 0);
        }
        let word = |of: &[i32], at: usize| of.get(at).copied().unwrap_or(0);
        let factor = |at: usize| word(self.end.multipliers, at);
        match self.end.rounding {
            Rounding::Onnx => {
                let real = |at: usize| f32::from_bits(factor(at).cast_unsigned());
                self.end.nearest(x as f32 * real(0) + y as f32 * real(1))
            }
            Rounding::Tflite => {
                let term = |x: i32, at: usize| {
                    fixed_point(
                        x.wrapping_shl(HEADROOM.unsigned_abs()),
                        factor(at),
                        word(self.end.shifts, at),
                    )
                };
                self.end.byte(term(x, 0).wrapping_add(term(y, 1)), 2)
            }
        }
    }
}

/// A code less its zero point.
#[inline(always)]
pub(super) fn steps(byte: u8, codes: Codes) -> i32 {
    let code = if codes.signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
    code.wrapping_sub(codes.zero_point)
}
