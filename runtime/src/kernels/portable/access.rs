//! Operands and results as slices: the only place where the plain-loop kernels touch raw memory.
//!
//! A result is borrowed first; every operand is then checked to lie inside its memory, to be aligned, and
//! to share no byte with the result. What a kernel does with the slices is safe code.

use crate::memory::{Memory, Plain};
use crate::steps::Place;
use core::ops::Range;
use core::slice;

/// What a step may read beside the result that is borrowed from the same memory.
#[derive(Clone)]
pub struct Operands<'m, 'a> {
    memory: &'m Memory<'a>,
    /// Addresses of the result.
    written: Range<usize>,
}

/// `len` elements of the result, and access to the operands.
pub fn result<'m, 'a, T: Plain>(
    memory: &'m mut Memory<'a>,
    place: Place,
    len: usize,
) -> Option<(Operands<'m, 'a>, &'m mut [T])> {
    let bytes = len.checked_mul(size_of::<T>())?;
    let base = memory.write(place, bytes)?.cast::<T>();
    if !base.is_aligned() {
        return None;
    }
    let operands = Operands { memory, written: base.addr()..base.addr() + bytes };
    // SAFETY: `Memory::write` vouches for `bytes` initialised bytes, `Plain` for every bit pattern being a
    // value. The memory is borrowed exclusively as long as the slice lives, and `Operands` gives out no
    // slice that shares a byte with it.
    Some((operands, unsafe { slice::from_raw_parts_mut(base, len) }))
}

impl<'m> Operands<'m, '_> {
    /// `len` elements of an operand that shares no byte with the result.
    pub fn slice<T: Plain>(&self, place: Place, len: usize) -> Option<&'m [T]> {
        let (base, range) = self.find::<T>(place, len)?;
        let apart = range.end <= self.written.start || self.written.end <= range.start;
        if !apart && !range.is_empty() && !self.written.is_empty() {
            return None;
        }
        // SAFETY: `Memory::read` vouches for the bytes, `Plain` for the values. Nothing writes to them as
        // long as the memory is borrowed: the one slice that may be written is apart from them.
        Some(unsafe { slice::from_raw_parts(base, len) })
    }

    /// `len` constants at that offset of the weights.
    pub fn constants<T: Plain>(&self, at: usize, len: usize) -> Option<&'m [T]> {
        self.slice(Place::Weights(at), len)
    }

    /// The result as a buffer to be filled from an operand that may be the result itself.
    pub fn in_place<T: Plain>(&self, place: Place, result: &'m mut [T]) -> Option<InPlace<'m, T>> {
        let (_, range) = self.find::<T>(place, result.len())?;
        let operand = if range == self.written { None } else { Some(self.slice(place, result.len())?) };
        Some(InPlace { result, operand })
    }

    fn find<T: Plain>(&self, place: Place, len: usize) -> Option<(*const T, Range<usize>)> {
        let bytes = len.checked_mul(size_of::<T>())?;
        let base = self.memory.read(place, bytes)?.cast::<T>();
        base.is_aligned().then(|| (base, base.addr()..base.addr() + bytes))
    }
}

/// A result that is computed piece by piece from the same piece of one operand.
pub struct InPlace<'m, T> {
    result: &'m mut [T],
    /// `None` where the operand is the result.
    operand: Option<&'m [T]>,
}

impl<T: Plain> InPlace<'_, T> {
    /// Calls `f` with each piece of `len` elements (at least 1; the last may be shorter), which holds the
    /// operand's values and receives the result's.
    #[inline]
    pub fn pieces(self, len: usize, mut f: impl FnMut(&mut [T])) {
        let mut rest = self.operand;
        for piece in self.result.chunks_mut(len.max(1)) {
            if let Some((from, behind)) = rest.and_then(|rest| rest.split_at_checked(piece.len())) {
                piece.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                rest = Some(behind);
            }
            f(piece);
        }
    }
}
