//! Copies between strided views: transposes, slices, expansions, operands of concatenations.

use super::access::{self, told};
use super::strided::{View, Walk};
use crate::memory::{Memory, Plain};
use crate::steps::Copy;

/// `output[i] = input[i]` for elements of 1 byte.
pub fn copy_b1(memory: &mut Memory<'_>, step: &Copy) {
    told(run::<u8>(memory, step));
}

/// `output[i] = input[i]` for elements of 4 bytes.
pub fn copy_b4(memory: &mut Memory<'_>, step: &Copy) {
    told(run::<i32>(memory, step));
}

/// `output[i] = input[i]` for elements of 8 bytes.
pub fn copy_b8(memory: &mut Memory<'_>, step: &Copy) {
    told(run::<i64>(memory, step));
}

fn run<T: Plain>(memory: &mut Memory<'_>, step: &Copy) -> Option<()> {
    if step.shape.contains(&0) {
        return Some(());
    }
    let mut walk = Walk::new(step.shape, [step.input_strides, step.output_strides])?;
    walk.long_rows_first();
    let reach = walk.reach(1)?;
    let (operands, result) = access::result::<T>(memory, reach.first::<T>(step.output)?, reach.len)?;
    let input = walk.view::<T>(0, &operands, step.input)?;
    for [from, to] in walk.rows() {
        let start = reach.origin.checked_add_signed(to)?;
        copy_row(result, start, (input, from), walk.row_len(), walk.row_strides())?;
    }
    Some(())
}

/// One row from an offset of the view to an index of the result.
#[inline]
fn copy_row<T: Plain>(
    result: &mut [T],
    to: usize,
    (input, from): (View<'_, T>, isize),
    len: usize,
    strides: [isize; 2],
) -> Option<()> {
    match strides {
        [1, 1] => {
            let row = result.get_mut(to..)?.iter_mut();
            row.zip(input.row(from, len)?).for_each(|(y, &x)| *y = x);
        }
        [0, 1] => result.get_mut(to..to.checked_add(len)?)?.fill(input.at(from)?),
        [stride, 1] => {
            for (i, y) in (0..).zip(result.get_mut(to..to.checked_add(len)?)?) {
                *y = input.at(from + i * stride)?;
            }
        }
        [from_stride, to_stride] => {
            for i in 0..len as isize {
                *result.get_mut(to.checked_add_signed(i * to_stride)?)? = input.at(from + i * from_stride)?;
            }
        }
    }
    Some(())
}
