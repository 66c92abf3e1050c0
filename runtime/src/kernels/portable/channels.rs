//! Element by element with two constants per channel: what [`super::quantize`] and
//! [`super::dequantize`] share.

use super::access;
use super::in_rows::InRows as _;
use super::strided::elements;
use crate::memory::{Memory, Plain};
use crate::steps::Place;

/// `[outer, channels, inner]` with a scale and a zero point per channel, as in [`crate::steps::Quantize`].
pub struct Scaled {
    pub input: Place,
    pub output: Place,
    pub shape: [usize; 3],
    pub scale: usize,
    pub zero_point: usize,
}

/// `output[o, c, i] = f(input[o, c, i], scale[c], zero_point[c])`
#[inline(always)]
pub fn map<T: Plain, U: Plain>(
    memory: &mut Memory<'_>,
    step: &Scaled,
    f: impl Fn(T, f32, i32) -> U,
) -> Option<()> {
    let count = elements(&step.shape)?;
    let [_, channels, inner] = step.shape;
    let (operands, result) = access::result::<U>(memory, step.output, count)?;
    let input = operands.slice::<T>(step.input, count)?;
    let scales = operands.constants::<f32>(step.scale, channels)?;
    let zero_points = operands.constants::<i32>(step.zero_point, channels)?;
    if count == 0 {
        return Some(());
    }
    let constants = scales.iter().zip(zero_points);
    if inner == 1 {
        for (row, from) in result.rows_mut(channels).zip(input.rows(channels)) {
            let constants = constants.clone();
            row.iter_mut().zip(from).zip(constants).for_each(|((y, &x), (&s, &z))| *y = f(x, s, z));
        }
    } else {
        let rows = result.rows_mut(inner).zip(input.rows(inner));
        for ((row, from), (&scale, &zero_point)) in rows.zip(constants.cycle()) {
            row.iter_mut().zip(from).for_each(|(y, &x)| *y = f(x, scale, zero_point));
        }
    }
    Some(())
}
