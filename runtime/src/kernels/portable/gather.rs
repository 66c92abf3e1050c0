//! Rows of a tensor in another order, known when compiling.

use super::access;
use super::in_rows::InRows as _;
use super::strided::elements;
use crate::kernels::told;
use crate::memory::{Memory, Plain};
use crate::steps::Gather;

/// `output[o, j, i] = input[o, indices[j], i]` for elements of 1 byte.
pub fn gather_b1(memory: &mut Memory<'_>, step: &Gather) {
    told(run::<u8>(memory, step));
}

/// `output[o, j, i] = input[o, indices[j], i]` for elements of 4 bytes.
pub fn gather_b4(memory: &mut Memory<'_>, step: &Gather) {
    told(run::<i32>(memory, step));
}

/// `output[o, j, i] = input[o, indices[j], i]` for elements of 8 bytes.
pub fn gather_b8(memory: &mut Memory<'_>, step: &Gather) {
    told(run::<i64>(memory, step));
}

pub(super) fn run<T: Plain>(memory: &mut Memory<'_>, step: &Gather) -> Option<()> {
    let &Gather { outer, len, count, inner, .. } = step;
    let (operands, result) = access::result::<T>(memory, step.output, elements(&[outer, count, inner])?)?;
    let input = operands.slice::<T>(step.input, elements(&[outer, len, inner])?)?;
    // An index is a `u32`; as `i32` it has the same bits.
    let indices = operands.constants::<i32>(step.indices, count)?;
    if indices.iter().any(|&index| index.cast_unsigned() as usize >= len) {
        return None;
    }
    if result.is_empty() {
        return Some(());
    }
    let mut blocks = input.rows(len * inner);
    for result in result.rows_mut(count * inner) {
        let input = blocks.next()?;
        let mut rows = result.rows_mut(inner);
        for &index in indices {
            let row = rows.next()?;
            let from = input.get(index.cast_unsigned() as usize * inner..)?;
            row.iter_mut().zip(from).for_each(|(y, &x)| *y = x);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn an_index_behind_the_axis_is_refused() {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&[1_u8; 16]), rig.room::<u8>(2));
        let indices = rig.constants(&[0, 8]);
        let step = Gather { input, output, outer: 1, len: 8, count: 2, inner: 1, indices };
        rig.refuses(|memory| run::<u8>(memory, &step));
    }

    proptest! {
        #[test]
        fn any_shape(
            (outer, len, inner) in (1_usize..4, 1_usize..6, 1_usize..5),
            choices in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let mut rig = Rig::new();
            let values: Vec<i64> = (0..(outer * len * inner) as i64).collect();
            let choices: Vec<i32> = choices.iter().map(|choice| choice.index(len) as i32).collect();
            let count = choices.len();
            let (input, output) = (rig.put(&values), rig.room::<i64>(outer * count * inner));
            let indices = rig.constants(&choices);
            let step = Gather { input, output, outer, len, count, inner, indices };
            let actual: Vec<i64> = rig.run(output, outer * count * inner, |memory| run::<i64>(memory, &step));
            let mut expect = Vec::new();
            for o in 0..outer {
                for &choice in &choices {
                    for i in 0..inner {
                        expect.push(values[(o * len + choice as usize) * inner + i]);
                    }
                }
            }
            prop_assert_eq!(actual, expect);
        }
    }
}
