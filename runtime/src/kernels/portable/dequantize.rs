//! From integers to the real numbers that they stand for.

use super::channels::{Scaled, map};
use crate::kernels::told;
use crate::memory::Memory;
use crate::steps::{Dequantize, Element};

/// `output = (input − zero_point) · scale`, the difference in `i32` (wrapping) and the product in single
/// precision, as ONNX's DequantizeLinear has it.
#[inline(never)]
pub fn dequantize(memory: &mut Memory<'_>, step: &Dequantize) {
    told(run(memory, step));
}

#[inline]
pub(super) fn run(memory: &mut Memory<'_>, step: &Dequantize) -> Option<()> {
    let &Dequantize { input, output, outer, channels, inner, scale, zero_point, from } = step;
    let scaled = &Scaled { input, output, shape: [outer, channels, inner], scale, zero_point };
    match from {
        Element::U8 => map(memory, scaled, |x: u8, scale, zero| real(x.into(), scale, zero)),
        Element::I8 => map(memory, scaled, |x: i8, scale, zero| real(x.into(), scale, zero)),
        Element::I32 => map(memory, scaled, real),
        Element::F32 | Element::I64 | Element::Bool => None,
    }
}

#[inline(always)]
fn real(x: i32, scale: f32, zero_point: i32) -> f32 {
    x.wrapping_sub(zero_point) as f32 * scale
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;
    use crate::memory::Plain;

    #[track_caller]
    fn check<T: Plain>(
        from: Element,
        values: [T; 4],
        [outer, channels, inner]: [usize; 3],
        expect: [f32; 4],
    ) {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&values), rig.room::<f32>(4));
        let (scale, zero_point) = (rig.constants(&[0.5_f32, 2.0]), rig.constants(&[10, -3]));
        let step = Dequantize { input, output, outer, channels, inner, scale, zero_point, from };
        assert_eq!(rig.run::<f32>(output, 4, |memory| run(memory, &step)), expect);
    }

    #[test]
    fn constants_belong_to_the_axis() {
        check(Element::U8, [0_u8, 10, 255, 7], [2, 2, 1], [-5.0, 26.0, 122.5, 20.0]);
        check(Element::U8, [0_u8, 10, 255, 7], [1, 2, 2], [-5.0, 0.0, 516.0, 20.0]);
        check(Element::I8, [0_i8, 10, -128, 7], [1, 1, 4], [-5.0, 0.0, -69.0, -1.5]);
        check(Element::I32, [0, 10, 1 << 30, 7], [4, 1, 1], [-5.0, 0.0, 536_870_912.0, -1.5]);
    }
}
