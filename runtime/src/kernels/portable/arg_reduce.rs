//! Where along an axis the largest or smallest element is.

use super::access;
use super::in_rows::InRows as _;
use super::strided::elements;
use crate::kernels::told;
use crate::memory::{Memory, Plain};
use crate::steps::ArgReduce;

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `f32`. NaN is neither larger nor
/// smaller than anything.
pub fn arg_reduce_f32(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<f32>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `i8`.
pub fn arg_reduce_i8(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<i8>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `u8` and `bool`.
pub fn arg_reduce_u8(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<u8>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `i32`.
pub fn arg_reduce_i32(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<i32>(memory, step));
}

/// `output[o, i] = argmax over l of input[o, l, i]`, or argmin, for `i64`.
pub fn arg_reduce_i64(memory: &mut Memory<'_>, step: &ArgReduce) {
    told(run::<i64>(memory, step));
}

/// Columns that are searched at once.
const LANES: usize = 8;

pub(super) fn run<T: Plain + PartialOrd>(memory: &mut Memory<'_>, step: &ArgReduce) -> Option<()> {
    let &ArgReduce { outer, len, inner, min, last, .. } = step;
    let (operands, result) = access::result::<i64>(memory, step.output, elements(&[outer, inner])?)?;
    let input = operands.slice::<T>(step.input, elements(&[outer, len, inner])?)?;
    if result.is_empty() {
        return Some(());
    }
    if len == 0 {
        return None;
    }
    let better = |new: T, best: T| (last && new == best) || if min { new < best } else { new > best };
    for (result, block) in result.rows_mut(inner).zip(input.rows(len * inner)) {
        for (column, places) in (0..inner).step_by(LANES).zip(result.chunks_mut(LANES)) {
            search(places, block.get(column..)?, inner, better)?;
        }
    }
    Some(())
}

/// The places in the first `places.len()` columns of a matrix whose rows are `inner` elements apart.
#[inline]
fn search<T: Copy>(
    places: &mut [i64],
    matrix: &[T],
    inner: usize,
    better: impl Fn(T, T) -> bool,
) -> Option<()> {
    let mut best = [*matrix.first()?; LANES];
    best.iter_mut().zip(matrix).take(places.len()).for_each(|(best, &x)| *best = x);
    places.fill(0);
    for (l, row) in (0..).zip(matrix.chunks(inner.max(1))) {
        for ((place, best), &x) in places.iter_mut().zip(&mut best).zip(row) {
            if better(x, *best) {
                (*place, *best) = (l, x);
            }
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

    proptest! {
        #[test]
        fn any_shape(
            (outer, len, inner) in (1_usize..4, 1_usize..9, 1_usize..20),
            (min, last) in any::<(bool, bool)>(),
            seed in proptest::collection::vec(-3_i32..3, 700),
        ) {
            let mut rig = Rig::new();
            let values = &seed[..outer * len * inner];
            let (input, output) = (rig.put(values), rig.room::<i64>(outer * inner));
            let step = ArgReduce { input, output, outer, len, inner, min, last };
            let actual: Vec<i64> = rig.run(output, outer * inner, |memory| run::<i32>(memory, &step));
            let mut expect = Vec::new();
            for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
                let at = |l: &usize| values[(o * len + l) * inner + i] * if min { -1 } else { 1 };
                let best = (0..len).map(|l| at(&l)).max();
                let mut places = (0..len).filter(|l| Some(at(l)) == best);
                expect.push(if last { places.next_back() } else { places.next() }.unwrap() as i64);
            }
            prop_assert_eq!(actual, expect);
        }
    }

    #[test]
    fn an_empty_axis_is_refused() {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&[1_u8]), rig.room::<i64>(1));
        let step = ArgReduce { input, output, outer: 1, len: 0, inner: 1, min: false, last: false };
        rig.refuses(|memory| run::<u8>(memory, &step));
    }
}
