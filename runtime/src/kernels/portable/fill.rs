//! One value everywhere.

use super::access;
use crate::kernels::told;
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

pub(super) fn run<T: Plain>(memory: &mut Memory<'_>, step: &Fill) -> Option<()> {
    let (operands, result) = access::result::<T>(memory, step.output, step.len)?;
    result.fill(*operands.constants::<T>(step.value, 1)?.first()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;

    #[test]
    fn every_element_is_the_value() {
        let mut rig = Rig::new();
        let (value, output) = (rig.constants(&[7_i32]), rig.room::<i32>(5));
        let step = Fill { output, len: 5, value };
        assert_eq!(rig.run::<i32>(output, 5, |memory| run::<i32>(memory, &step)), [7; 5]);
        rig.refuses(|memory| run::<i32>(memory, &Fill { value: value + 2, ..step }));
        rig.refuses(|memory| run::<i32>(memory, &Fill { len: usize::MAX, ..step }));
    }
}
