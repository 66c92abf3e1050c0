//! One value everywhere.

use super::access::{self, told};
use crate::memory::{Memory, Plain};
use crate::steps::Fill;

/// `output[i] = weights[value]` for elements of 1 byte.
pub fn fill_b1(memory: &mut Memory<'_>, step: &Fill) {
    told(run::<u8>(memory, step));
}

/// `output[i] = weights[value]` for elements of 4 bytes.
pub fn fill_b4(memory: &mut Memory<'_>, step: &Fill) {
    told(run::<i32>(memory, step));
}

/// `output[i] = weights[value]` for elements of 8 bytes.
pub fn fill_b8(memory: &mut Memory<'_>, step: &Fill) {
    told(run::<i64>(memory, step));
}

fn run<T: Plain>(memory: &mut Memory<'_>, step: &Fill) -> Option<()> {
    let (operands, result) = access::result::<T>(memory, step.output, step.len)?;
    result.fill(*operands.constants::<T>(step.value, 1)?.first()?);
    Some(())
}
