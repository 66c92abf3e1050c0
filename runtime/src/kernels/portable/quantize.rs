//! From real numbers to 8 bits.

use super::channels::{Scaled, map};
use crate::kernels::told;
use crate::memory::Memory;
use crate::steps::{Element, Quantize};

/// `output = saturate(round_half_even(input / scale) + zero_point)`, the division in single precision as
/// ONNX's QuantizeLinear has it; NaN becomes 0 before it is saturated.
#[inline(never)]
pub fn quantize_f32(memory: &mut Memory<'_>, step: &Quantize) {
    told(run(memory, step));
}

/// See [`quantize_f32`].
#[inline(always)]
pub fn run(memory: &mut Memory<'_>, step: &Quantize) -> Option<()> {
    let &Quantize { input, output, outer, channels, inner, scale, zero_point, to } = step;
    let scaled = &Scaled { input, output, shape: [outer, channels, inner], scale, zero_point };
    match to {
        Element::U8 => map(memory, scaled, |x, scale, zero| saturate(x, scale, zero, 0, 255) as u8),
        Element::I8 => map(memory, scaled, |x, scale, zero| saturate(x, scale, zero, -128, 127) as i8),
        Element::F32 | Element::I32 | Element::I64 | Element::Bool => None,
    }
}

/// Clamped before it is rounded, which gives the same since the bounds are integers, and keeps the number so
/// small that adding 1.5 · 2^23 rounds it, halves to even, to the integer in its lowest bits.
#[inline(always)]
fn saturate(x: f32, scale: f32, zero_point: i32, lo: i32, hi: i32) -> i32 {
    const INTEGERS: f32 = 12_582_912.0;
    let zero_point = zero_point.clamp(lo, hi);
    let [least, most] = [lo, hi].map(|code| (code - zero_point) as f32);
    let steps = x / scale;
    let steps = if steps.is_nan() { 0.0 } else { steps };
    let steps = if steps < least { least } else { steps };
    let steps = if steps > most { most } else { steps };
    (steps + INTEGERS).to_bits().cast_signed() - INTEGERS.to_bits().cast_signed() + zero_point
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, numbers};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn halves_go_to_the_even_neighbour_and_ends_saturate() {
        let mut rig = Rig::new();
        let values = [0.5, 1.5, 2.5, -0.5, 1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY];
        let (input, output) = (rig.put(&values), rig.room::<u8>(8));
        let (scale, zero_point) = (rig.constants(&[1.0_f32]), rig.constants(&[10]));
        let step =
            Quantize { input, output, outer: 8, channels: 1, inner: 1, scale, zero_point, to: Element::U8 };
        let actual: Vec<u8> = rig.run(output, 8, |memory| run(memory, &step));
        assert_eq!(actual, [10, 12, 12, 10, 255, 0, 255, 0]);
        let step = Quantize { to: Element::I8, ..step };
        let actual: Vec<i8> = rig.run(output, 8, |memory| run(memory, &step));
        assert_eq!(actual, [10, 12, 12, 10, 127, -128, 127, -128]);
    }

    proptest! {
        #[test]
        fn any_axis((outer, channels, inner) in (1_usize..5, 1_usize..5, 1_usize..5), seed in any::<u32>()) {
            let mut rig = Rig::new();
            let values = numbers(seed, outer * channels * inner);
            let scales: Vec<f32> = numbers(seed ^ 1, channels).iter().map(|x| x.abs() / 50.0 + 0.01).collect();
            let zeros: Vec<i32> = numbers(seed ^ 2, channels).iter().map(|x| (x * 40.0) as i32).collect();
            let (input, output) = (rig.put(&values), rig.room::<i8>(values.len()));
            let (scale, zero_point) = (rig.constants(&scales), rig.constants(&zeros));
            let step = Quantize { input, output, outer, channels, inner, scale, zero_point, to: Element::I8 };
            let actual: Vec<i8> = rig.run(output, values.len(), |memory| run(memory, &step));
            let expect = values.iter().enumerate().map(|(i, x)| {
                let c = i / inner % channels;
                let steps = f64::from((x / scales[c]).round_ties_even()) + f64::from(zeros[c]);
                steps.clamp(-128.0, 127.0) as i8
            });
            prop_assert_eq!(actual, expect.collect::<Vec<i8>>());
        }
    }
}
