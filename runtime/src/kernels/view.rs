//! Maps and constants as pointers: the one place where what a step says is checked against the memory.
//!
//! A view exists only when all rows that its map holds lie inside the memory and are aligned. Rows are
//! found modulo the ring, so whatever row is asked for, its pointer is inside.

use crate::memory::Memory;
use crate::steps::{Map, Place};
use core::iter;
use core::marker::PhantomData;
use core::ops::Range;

/// A readable map of `f32`.
#[derive(Clone, Copy)]
pub struct Source<'m> {
    base: *const f32,
    rows: usize,
    row_len: usize,
    memory: PhantomData<&'m ()>,
}

impl<'m> Source<'m> {
    /// The map, when it lies inside the memory.
    pub fn new(memory: &'m Memory<'_>, map: &Map) -> Option<Self> {
        let row_len = row_len(map)?;
        let base = memory.read(map.place, bytes(map.rows, row_len)?)?.cast::<f32>();
        base.is_aligned().then_some(Self { base, rows: map.rows, row_len, memory: PhantomData })
    }

    /// Where row `y` begins: `width · channels` elements may be read from there, and more where the next
    /// rows lie behind it (see [`pieces`]).
    #[inline(always)]
    pub fn row(&self, y: usize) -> *const f32 {
        // SAFETY: `new` saw `rows` rows inside the memory.
        unsafe { self.base.add(slot(y, self.rows) * self.row_len) }
    }

    /// Rows that are held.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of a row.
    #[inline(always)]
    pub fn row_len(&self) -> usize {
        self.row_len
    }
}

/// A writable map of `f32`. Its bytes may be those of a source too.
#[derive(Clone, Copy)]
pub struct Sink<'m> {
    base: *mut f32,
    rows: usize,
    row_len: usize,
    memory: PhantomData<&'m ()>,
}

impl<'m> Sink<'m> {
    /// The map, when it lies inside the arena and can hold all of the rows that are `made` at once.
    pub fn new(memory: &'m Memory<'_>, map: &Map, made: &Range<usize>) -> Option<Self> {
        if made.end > map.height || made.len() > map.rows {
            return None;
        }
        let row_len = row_len(map)?;
        let base = memory.write(map.place, bytes(map.rows, row_len)?)?.cast::<f32>();
        base.is_aligned().then_some(Self { base, rows: map.rows, row_len, memory: PhantomData })
    }

    /// Where row `y` begins, as in [`Source::row`].
    #[inline(always)]
    pub fn row(&self, y: usize) -> *mut f32 {
        // SAFETY: `new` saw `rows` rows inside the arena.
        unsafe { self.base.add(slot(y, self.rows) * self.row_len) }
    }

    /// Rows that are held.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// `len` constants at that offset of the weights.
pub fn constants(memory: &Memory<'_>, at: usize, len: usize) -> Option<*const f32> {
    values(memory, Place::Weights(at), len)
}

/// `len` numbers at a place.
pub fn values(memory: &Memory<'_>, place: Place, len: usize) -> Option<*const f32> {
    let base = memory.read(place, bytes(1, len)?)?.cast::<f32>();
    base.is_aligned().then_some(base)
}

/// Whether all of the maps have one shape.
pub fn same_shape<const N: usize>(maps: [&Map; N]) -> Option<()> {
    let shape = |map: &Map| (map.height, map.width, map.channels);
    maps.iter().all(|map| shape(map) == shape(maps[0])).then_some(())
}

/// Splits `rows` where one of the rings (given by the rows that they hold) wraps: the rows of a piece lie
/// behind one another in every map.
#[inline(always)]
pub fn pieces<const N: usize>(rows: Range<usize>, rings: [usize; N]) -> impl Iterator<Item = Range<usize>> {
    let mut start = rows.start;
    iter::from_fn(move || {
        let left = rows.end.checked_sub(start).filter(|&left| left > 0)?;
        let len = rings.iter().fold(left, |len, ring| len.min(ring - start % ring));
        start += len;
        Some(start - len..start)
    })
}

/// `y % rows`, without the division where the whole map is held.
#[inline(always)]
fn slot(y: usize, rows: usize) -> usize {
    if y < rows { y } else { y % rows }
}

/// Elements of a row of a map that holds at least one row and not more than it has.
fn row_len(map: &Map) -> Option<usize> {
    if map.rows == 0 || map.rows > map.height { None } else { map.width.checked_mul(map.channels) }
}

fn bytes(rows: usize, row_len: usize) -> Option<usize> {
    rows.checked_mul(row_len)?.checked_mul(size_of::<f32>())
}
