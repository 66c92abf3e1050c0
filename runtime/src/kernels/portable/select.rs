//! `condition ? a : b` with broadcasting.

use super::access;
use super::in_rows::InRows as _;
use super::strided::{Walk, elements};
use crate::kernels::told;
use crate::memory::{Memory, Plain};
use crate::steps::Select;

/// `output[i] = condition[i] ? a[i] : b[i]` for elements of 1 byte.
pub fn select_b1(memory: &mut Memory<'_>, step: &Select) {
    told(run::<u8>(memory, step));
}

/// `output[i] = condition[i] ? a[i] : b[i]` for elements of 4 bytes.
pub fn select_b4(memory: &mut Memory<'_>, step: &Select) {
    told(run::<i32>(memory, step));
}

/// `output[i] = condition[i] ? a[i] : b[i]` for elements of 8 bytes.
pub fn select_b8(memory: &mut Memory<'_>, step: &Select) {
    told(run::<i64>(memory, step));
}

pub(super) fn run<T: Plain>(memory: &mut Memory<'_>, step: &Select) -> Option<()> {
    let count = elements(&step.shape)?;
    if count == 0 {
        return Some(());
    }
    let (operands, result) = access::result::<T>(memory, step.output, count)?;
    let walk = Walk::new(step.shape, [step.condition_strides, step.a_strides, step.b_strides])?;
    let condition = walk.view::<u8>(0, &operands, step.condition)?;
    let a = walk.view::<T>(1, &operands, step.a)?;
    let b = walk.view::<T>(2, &operands, step.b)?;
    let strides = walk.row_strides();
    for (row, [c_at, a_at, b_at]) in result.rows_mut(walk.row_len()).zip(walk.rows()) {
        for (i, y) in (0..).zip(row) {
            let [c, a_step, b_step] = strides.map(|stride| i * stride);
            *y = if condition.at(c_at + c)? != 0 { a.at(a_at + a_step)? } else { b.at(b_at + b_step)? };
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, number, view, views};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn any_strides((shape, [condition_strides, a_strides, b_strides]) in views::<3>()) {
            let mut rig = Rig::new();
            let (condition, conditions) =
                view(&mut rig, shape, condition_strides, |i| u8::from(number(3)(i) > 0.0));
            let (a, a_values) = view(&mut rig, shape, a_strides, |i| i as i64);
            let (b, b_values) = view(&mut rig, shape, b_strides, |i| -(i as i64));
            let output = rig.room::<i64>(a_values.len());
            let step = Select { condition, a, b, output, shape, condition_strides, a_strides, b_strides };
            let actual: Vec<i64> = rig.run(output, a_values.len(), |memory| run::<i64>(memory, &step));
            let pairs = a_values.iter().zip(&b_values).zip(conditions);
            let expect: Vec<i64> = pairs.map(|((&a, &b), c)| if c == 1 { a } else { b }).collect();
            prop_assert_eq!(actual, expect);
        }
    }
}
