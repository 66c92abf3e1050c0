//! Layer normalisation.

use super::access::{self, told};
use super::fold::sum;
use super::strided::elements;
use crate::math::sqrt;
use crate::memory::Memory;
use crate::steps::LayerNorm;

/// `output[o, l] = (input[o, l] − mean) / √(variance + epsilon) · scale[l] + shift[l]`, mean and variance
/// over the row `o`. The variance is that of differences from the mean, so large means cost no digits.
pub fn layer_norm_f32(memory: &mut Memory<'_>, step: &LayerNorm) {
    told(run(memory, step));
}

fn run(memory: &mut Memory<'_>, step: &LayerNorm) -> Option<()> {
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
