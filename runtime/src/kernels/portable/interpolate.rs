//! Linear interpolation along one axis.

use super::access::{self, told};
use super::strided::elements;
use crate::memory::Memory;
use crate::steps::Interpolate;

/// `output[o, j, i] = (1 − f[j]) · input[o, lo[j], i] + f[j] · input[o, hi[j], i]`
pub fn interpolate_f32(memory: &mut Memory<'_>, step: &Interpolate) {
    told(run(memory, step));
}

/// A row of the table: two positions on the axis and the weight of the second.
struct Tap {
    lo: usize,
    hi: usize,
    f: f32,
}

impl Tap {
    /// The table's numbers as they lie in memory.
    fn new([lo, hi, f]: [i32; 3]) -> Self {
        let position = |bits: i32| bits.cast_unsigned() as usize;
        Self { lo: position(lo), hi: position(hi), f: f32::from_bits(f.cast_unsigned()) }
    }
}

fn run(memory: &mut Memory<'_>, step: &Interpolate) -> Option<()> {
    let &Interpolate { outer, len, count, inner, .. } = step;
    let (operands, result) = access::result::<f32>(memory, step.output, elements(&[outer, count, inner])?)?;
    let input = operands.slice::<f32>(step.input, elements(&[outer, len, inner])?)?;
    let table = operands.constants::<i32>(step.table, count.checked_mul(3)?)?.as_chunks::<3>().0;
    if table.iter().map(|&row| Tap::new(row)).any(|tap| tap.lo >= len || tap.hi >= len) {
        return None;
    }
    if result.is_empty() {
        return Some(());
    }
    for (result, input) in result.chunks_exact_mut(count * inner).zip(input.chunks_exact(len * inner)) {
        for (row, &tap) in result.chunks_exact_mut(inner).zip(table) {
            let Tap { lo, hi, f } = Tap::new(tap);
            let operands = input.get(lo * inner..)?.iter().zip(input.get(hi * inner..)?);
            row.iter_mut().zip(operands).for_each(|(y, (lo, hi))| *y = (1.0 - f) * lo + f * hi);
        }
    }
    Some(())
}
