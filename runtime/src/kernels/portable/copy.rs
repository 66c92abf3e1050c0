//! Copies between strided views: transposes, slices, expansions, operands of concatenations.

use super::access;
use super::strided::{View, Walk, elements};
use crate::kernels::told;
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

/// See [`copy_b1`].
#[inline(always)]
pub fn run<T: Plain>(memory: &mut Memory<'_>, step: &Copy) -> Option<()> {
    if step.shape.contains(&0) {
        return Some(());
    }
    let mut walk = Walk::new(step.shape, [step.input_strides, step.output_strides])?;
    walk.long_rows_first();
    let reach = walk.reach(1)?;
    if elements(&step.shape)? > reach.len {
        return None; // Some element would be written more than once, and maybe without end.
    }
    let (operands, result) = access::result::<T>(memory, reach.first::<T>(step.output)?, reach.len)?;
    let input = walk.view::<T>(0, &operands, step.input)?;
    if let ([1, 1, 1, 1, len, 3], [.., 1, plane], [.., 3, 1]) =
        (step.shape, step.input_strides, step.output_strides)
    {
        let plane = |at: isize| input.row(plane.checked_mul(at)?, len);
        interleave(result.get_mut(reach.origin..)?, [plane(0)?, plane(1)?, plane(2)?]);
        return Some(());
    }
    for [from, to] in walk.rows() {
        let start = reach.origin.checked_add_signed(to)?;
        copy_row(result, start, (input, from), walk.row_len(), walk.row_strides())?;
    }
    Some(())
}

/// Three planes, as of a picture, one element of each after the other.
#[inline(always)]
fn interleave<T: Plain>(to: &mut [T], [a, b, c]: [&[T]; 3]) {
    for (((to, &a), &b), &c) in to.as_chunks_mut().0.iter_mut().zip(a).zip(b).zip(c) {
        *to = [a, b, c];
    }
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
        [1, stride] if stride > 0 => {
            let places = result.get_mut(to..)?.iter_mut().step_by(stride.unsigned_abs());
            // The reach of the view holds a place for every element.
            places.zip(input.row(from, len)?).for_each(|(y, &x)| *y = x);
        }
        [from_stride, to_stride] => {
            for i in 0..len as isize {
                *result.get_mut(to.checked_add_signed(i * to_stride)?)? = input.at(from + i * from_stride)?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, indices, offset, span, view, views};
    use super::*;
    use crate::steps::Place;
    use proptest::prelude::*;
    use proptest::sample::Index;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn channels_move_inward() {
        let mut rig = Rig::new();
        let input = rig.input(&[0_i32, 1, 2, 3, 10, 11, 12, 13]);
        let output = rig.room::<i32>(8);
        let (shape, strides) = ([1, 1, 1, 2, 2, 2], [0, 0, 0, 2, 1, 4]);
        let output_strides = [8, 8, 8, 4, 2, 1];
        let step = Copy { input, output, shape, input_strides: strides, output_strides };
        let result: Vec<i32> = rig.run(output, 8, |memory| run::<i32>(memory, &step));
        assert_eq!(result, [0, 10, 1, 11, 2, 12, 3, 13]);
    }

    #[test]
    fn planes_of_a_picture_are_interleaved() {
        let mut rig = Rig::new();
        let planes: Vec<u8> = (0..3 * 77).map(|i| i as u8).collect();
        let (input, output) = (rig.put(&planes), rig.room::<u8>(planes.len()));
        let (shape, input_strides) = ([1, 1, 1, 1, 77, 3], [231, 231, 231, 77, 1, 77]);
        let step = Copy { input, output, shape, input_strides, output_strides: [231, 231, 231, 231, 3, 1] };
        let result: Vec<u8> = rig.run(output, planes.len(), |memory| run::<u8>(memory, &step));
        let expect = (0..planes.len()).map(|i| planes[i % 3 * 77 + i / 3]);
        assert_eq!(result, expect.collect::<Vec<u8>>());
    }

    #[test]
    fn a_result_that_overlaps_itself_is_refused() {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&[1_u8; 8]), rig.room::<u8>(8));
        let shape = [1, 1, 1, 1, usize::MAX >> 8, 8];
        let step = Copy { input, output, shape, input_strides: [0; 6], output_strides: [0, 0, 0, 0, 0, 1] };
        rig.refuses(|memory| run::<u8>(memory, &step));
    }

    /// Strides of a result: dimensions in any order, with gaps between them, some of them backwards.
    fn scattered(shape: [usize; 6], order: &[Index], gaps: [usize; 6], back: [bool; 6]) -> [isize; 6] {
        let mut dimensions: Vec<usize> = (0..6).collect();
        let mut strides = [0; 6];
        let mut step = 1;
        for choice in order {
            let d = dimensions.swap_remove(choice.index(dimensions.len()));
            strides[d] = if back[d] { -(step as isize) } else { step as isize };
            step = step * shape[d] + gaps[d];
        }
        strides
    }

    proptest! {
        #[test]
        fn any_strides(
            (shape, [input_strides]) in views::<1>(),
            order in proptest::collection::vec(any::<Index>(), 6),
            gaps in proptest::array::uniform6(0_usize..2),
            back in proptest::array::uniform6(any::<bool>()),
        ) {
            let mut rig = Rig::new();
            let (input, values) = view(&mut rig, shape, input_strides, |i| i as i32);
            let output_strides = scattered(shape, &order, gaps, back);
            let (low, high) = span(shape, output_strides);
            let len = (high - low + 1) as usize;
            prop_assume!(len < 3000);
            let mut expect = std::vec![-1; len];
            let Place::Arena(at) = rig.put(&expect) else { unreachable!() };
            for (index, value) in indices(shape).zip(values) {
                expect[(offset(index, output_strides) - low) as usize] = value;
            }
            let output = Place::Arena(at + low.unsigned_abs() * 4);
            let step = Copy { input, output, shape, input_strides, output_strides };
            let actual: Vec<i32> = rig.run(Place::Arena(at), len, |memory| run::<i32>(memory, &step));
            prop_assert_eq!(actual, expect);
        }
    }
}
