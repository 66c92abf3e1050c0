//! Functions of a code from a table.

use crate::kernels::told;
use crate::kernels::view::{CodeSink, CodeSource, same_shape, weights};
use crate::memory::Memory;
use crate::steps::Lookup;
use core::ops::Range;

/// See [`Lookup`].
#[inline(never)]
pub fn lookup_q8(memory: &mut Memory<'_>, step: &Lookup, rows: Range<usize>) {
    told(run(memory, step, rows));
}

pub(in crate::kernels) fn run(memory: &Memory<'_>, step: &Lookup, rows: Range<usize>) -> Option<()> {
    let (table, input, output) = maps(memory, step, &rows)?;
    for y in rows {
        for at in 0..input.row_len() {
            // SAFETY: the element is in both maps.
            unsafe { *output.row(y).add(at) = table[usize::from(*input.row(y).add(at))] };
        }
    }
    Some(())
}

/// The table and the maps, when all of them lie inside the memory.
#[inline(always)]
pub(in crate::kernels) fn maps<'m>(
    memory: &'m Memory<'_>,
    step: &Lookup,
    rows: &Range<usize>,
) -> Option<(&'m [u8; 256], CodeSource<'m>, CodeSink<'m>)> {
    same_shape([&step.input, &step.output])?;
    let table = weights(memory, step.table, 256)?.try_into().ok()?;
    Some((table, CodeSource::new(memory, &step.input)?, CodeSink::new(memory, &step.output, rows)?))
}
