//! Rows of a tensor in another order, known when compiling.

use super::access::{self, told};
use super::strided::elements;
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

fn run<T: Plain>(memory: &mut Memory<'_>, step: &Gather) -> Option<()> {
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
    for (result, input) in result.chunks_exact_mut(count * inner).zip(input.chunks_exact(len * inner)) {
        for (row, &index) in result.chunks_exact_mut(inner).zip(indices) {
            let from = input.get(index.cast_unsigned() as usize * inner..)?;
            row.iter_mut().zip(from).for_each(|(y, &x)| *y = x);
        }
    }
    Some(())
}
