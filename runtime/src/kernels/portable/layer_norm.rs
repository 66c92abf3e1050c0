//! Layer normalisation.

use super::access;
use super::fold::sum;
use super::strided::elements;
use crate::kernels::told;
use crate::math::sqrt;
use crate::memory::Memory;
use crate::steps::LayerNorm;

/// `output[o, l] = (input[o, l] − mean) / √(variance + epsilon) · scale[l] + shift[l]`, mean and variance
/// over the row `o`. The variance is that of differences from the mean, so large means cost no digits.
pub fn layer_norm_f32(memory: &mut Memory<'_>, step: &LayerNorm) {
    told(run(memory, step));
}

pub(super) fn run(memory: &mut Memory<'_>, step: &LayerNorm) -> Option<()> {
    let (operands, result) = access::result::<f32>(memory, step.output, elements(&[step.outer, step.len])?)?;
    let scale = operands.constants::<f32>(step.scale, step.len)?;
    let shift = operands.constants::<f32>(step.shift, step.len)?;
    let buffer = operands.in_place(step.input, result)?;
    let len = step.len as f32;
    buffer.pieces(step.len, |row| {
        let mean = sum(row, |x| x) / len;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / len;
        let factor = 1.0 / sqrt(variance + step.epsilon);
        let constants = scale.iter().zip(shift);
        row.iter_mut()
            .zip(constants)
            .for_each(|(x, (scale, shift))| *x = (*x - mean) * factor * scale + shift);
    });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, close, numbers};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn any_shape((outer, len) in (1_usize..4, 1_usize..600), mean in -50.0_f32..50.0, in_place in any::<bool>()) {
            let mut rig = Rig::new();
            let values: Vec<f32> = numbers(5, outer * len).iter().map(|x| x + mean).collect();
            let (scales, shifts) = (numbers(6, len), numbers(7, len));
            let input = rig.put(&values);
            let output = if in_place { input } else { rig.room::<f32>(values.len()) };
            let (scale, shift) = (rig.constants(&scales), rig.constants(&shifts));
            let step = LayerNorm { input, output, outer, len, epsilon: 0.1, scale, shift };
            let actual: Vec<f32> = rig.run(output, values.len(), |memory| run(memory, &step));
            let mut expect = Vec::new();
            for row in values.chunks_exact(len) {
                let row: Vec<f64> = row.iter().map(|&x| x.into()).collect();
                let mean = row.iter().sum::<f64>() / len as f64;
                let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / len as f64;
                for (x, (&scale, &shift)) in row.iter().zip(scales.iter().zip(&shifts)) {
                    let factor = 1.0 / (variance + f64::from(0.1_f32)).sqrt();
                    expect.push((x - mean) * factor * f64::from(scale) + f64::from(shift));
                }
            }
            // The mean of up to 75 additions a lane is off by 75 ε/2 · 52, times a factor of at most 3.2 and
            // a scale of 2; the variance (relative to itself) likewise by 75 ε/2, times results up to 4.
            let tolerance = 75.0 * f64::from(f32::EPSILON) / 2.0 * (52.0 * 3.2 * 2.0 + 4.0);
            close(&actual, &expect, |_| tolerance);
        }
    }
}
