//! Linear interpolation along one axis.

use super::access;
use super::in_rows::InRows as _;
use super::strided::elements;
use crate::kernels::told;
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

pub(super) fn run(memory: &mut Memory<'_>, step: &Interpolate) -> Option<()> {
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
    let mut blocks = input.rows(len * inner);
    for result in result.rows_mut(count * inner) {
        let input = blocks.next()?;
        let mut rows = result.rows_mut(inner);
        for &tap in table {
            let (row, Tap { lo, hi, f }) = (rows.next()?, Tap::new(tap));
            let operands = input.get(lo * inner..)?.iter().zip(input.get(hi * inner..)?);
            row.iter_mut().zip(operands).for_each(|(y, (lo, hi))| *y = (1.0 - f) * lo + f * hi);
        }
    }
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
        fn any_shape(
            (outer, len, inner) in (1_usize..4, 1_usize..6, 1_usize..20),
            taps in proptest::collection::vec((any::<u8>(), any::<u8>(), 0.0_f32..1.0), 0..8),
        ) {
            let mut rig = Rig::new();
            let values = numbers(1, outer * len * inner);
            let taps: Vec<(usize, usize, f32)> =
                taps.iter().map(|&(lo, hi, f)| (lo as usize % len, hi as usize % len, f)).collect();
            let (input, output) = (rig.put(&values), rig.room::<f32>(outer * taps.len() * inner));
            let table: Vec<i32> =
                taps.iter().flat_map(|&(lo, hi, f)| [lo as i32, hi as i32, f.to_bits() as i32]).collect();
            let table = rig.constants(&table);
            let step = Interpolate { input, output, outer, len, count: taps.len(), inner, table };
            let mut expect = Vec::new();
            for o in 0..outer {
                for &(lo, hi, f) in &taps {
                    for i in 0..inner {
                        let at = |l: usize| f64::from(values[(o * len + l) * inner + i]);
                        expect.push((1.0 - f64::from(f)) * at(lo) + f64::from(f) * at(hi));
                    }
                }
            }
            let actual: Vec<f32> = rig.run(output, expect.len(), |memory| run(memory, &step));
            // Four roundings of numbers up to 2.
            close(&actual, &expect, |_| 4.0 * 2.0 * f64::from(f32::EPSILON) / 2.0);
        }
    }
}
