//! Maps and constants as pointers: the one place where what a step says is checked against the memory.
//!
//! A view exists only when all rows that its map holds lie inside the memory and are aligned. Rows are
//! found modulo the ring, so whatever row is asked for, its pointer is inside.

use crate::memory::{Memory, Plain};
use crate::steps::{Map, Place};
use core::iter;
use core::marker::PhantomData;
use core::ops::Range;
use core::slice;

/// A readable map of `f32`.
pub type Source<'m> = Readable<'m, f32>;

/// A writable map of `f32`.
pub type Sink<'m> = Writable<'m, f32>;

/// A readable map of codes, as bytes.
pub type CodeSource<'m> = Readable<'m, u8>;

/// A writable map of codes, as bytes.
pub type CodeSink<'m> = Writable<'m, u8>;

/// A readable map.
#[derive(Clone, Copy)]
pub struct Readable<'m, T> {
    base: *const T,
    rows: usize,
    row_len: usize,
    memory: PhantomData<&'m ()>,
}

impl<'m, T: Plain> Readable<'m, T> {
    /// The map, when it lies inside the memory.
    pub fn new(memory: &'m Memory<'_>, map: &Map) -> Option<Self> {
        let row_len = row_len(map)?;
        let base = memory.read(map.place, bytes::<T>(map.rows, row_len)?)?.cast::<T>();
        base.is_aligned().then_some(Self { base, rows: map.rows, row_len, memory: PhantomData })
    }

    /// Where row `y` begins: `width · channels` elements may be read from there, and more where the next
    /// rows lie behind it (see [`pieces`]).
    #[inline(always)]
    pub fn row(&self, y: usize) -> *const T {
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

/// A writable map. Its bytes may be those of a source too.
#[derive(Clone, Copy)]
pub struct Writable<'m, T> {
    base: *mut T,
    rows: usize,
    row_len: usize,
    memory: PhantomData<&'m ()>,
}

impl<'m, T: Plain> Writable<'m, T> {
    /// The map, when it lies inside the arena and can hold all of the rows that are `made` at once.
    pub fn new(memory: &'m Memory<'_>, map: &Map, made: &Range<usize>) -> Option<Self> {
        if made.end > map.height || made.len() > map.rows {
            return None;
        }
        let row_len = row_len(map)?;
        let base = memory.write(map.place, bytes::<T>(map.rows, row_len)?)?.cast::<T>();
        base.is_aligned().then_some(Self { base, rows: map.rows, row_len, memory: PhantomData })
    }

    /// Where row `y` begins, as in [`Readable::row`].
    #[inline(always)]
    pub fn row(&self, y: usize) -> *mut T {
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
    let base = memory.read(place, bytes::<f32>(1, len)?)?.cast::<f32>();
    base.is_aligned().then_some(base)
}

/// `len` constants of any type at that offset of the weights, as a slice: nothing ever writes to weights.
pub fn weights<'m, T: Plain>(memory: &'m Memory<'_>, at: usize, len: usize) -> Option<&'m [T]> {
    let base = memory.read(Place::Weights(at), bytes::<T>(1, len)?)?.cast::<T>();
    // SAFETY: `Memory::read` vouches for the bytes, `Plain` for the values; weights are only read.
    base.is_aligned().then(|| unsafe { slice::from_raw_parts(base, len) })
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

fn bytes<T>(rows: usize, row_len: usize) -> Option<usize> {
    rows.checked_mul(row_len)?.checked_mul(size_of::<T>())
}
