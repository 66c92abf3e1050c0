//! `output[i] = f(a[i], b[i])` with broadcasting: what [`super::binary`] and [`super::compare`] share.

use super::access;
use super::in_rows::InRows as _;
use super::strided::{RANK, View, Walk, elements};
use crate::memory::{Memory, Plain};
use crate::steps::Place;

/// Two operands with strides and a row-major result, as in [`crate::steps::Binary`].
pub struct Pair {
    pub a: Place,
    pub b: Place,
    pub output: Place,
    pub shape: [usize; RANK],
    pub a_strides: [isize; RANK],
    pub b_strides: [isize; RANK],
}

/// Computes all elements.
pub fn zip<T: Plain, U: Plain>(memory: &mut Memory<'_>, pair: &Pair, f: impl Fn(T, T) -> U) -> Option<()> {
    let count = elements(&pair.shape)?;
    if count == 0 {
        return Some(());
    }
    let (operands, result) = access::result::<U>(memory, pair.output, count)?;
    let walk = Walk::new(pair.shape, [pair.a_strides, pair.b_strides])?;
    let a = walk.view::<T>(0, &operands, pair.a)?;
    let b = walk.view::<T>(1, &operands, pair.b)?;
    let strides = walk.row_strides();
    for (row, at) in result.rows_mut(walk.row_len()).zip(walk.rows()) {
        zip_row(row, [a, b], at, strides, &f)?;
    }
    Some(())
}

/// One row; each operand is a row too, or one value, or strided.
#[inline]
fn zip_row<T: Plain, U>(
    row: &mut [U],
    [a, b]: [View<'_, T>; 2],
    [a_at, b_at]: [isize; 2],
    strides: [isize; 2],
    f: impl Fn(T, T) -> U,
) -> Option<()> {
    let len = row.len();
    match strides {
        [1, 1] => {
            let operands = a.row(a_at, len)?.iter().zip(b.row(b_at, len)?);
            row.iter_mut().zip(operands).for_each(|(y, (&a, &b))| *y = f(a, b));
        }
        [1, 0] => {
            let b = b.at(b_at)?;
            row.iter_mut().zip(a.row(a_at, len)?).for_each(|(y, &a)| *y = f(a, b));
        }
        [0, 1] => {
            let a = a.at(a_at)?;
            row.iter_mut().zip(b.row(b_at, len)?).for_each(|(y, &b)| *y = f(a, b));
        }
        [a_stride, b_stride] => {
            for (i, y) in (0..).zip(row) {
                *y = f(a.at(a_at + i * a_stride)?, b.at(b_at + i * b_stride)?);
            }
        }
    }
    Some(())
}
