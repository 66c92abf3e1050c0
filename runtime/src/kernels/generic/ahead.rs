//! What a matrix product asks for while it computes: the columns that it multiplies by next, and what later steps read.
//!
//! A tile asks for a line in each step of its depth, with AVX-512 for two. The first tiles of a stripe of columns ask for the next stripe,
//! so that they find it near; the rest, where there is something to ask for, for weights of which a later step reads
//! each once. Those come from beyond the caches at a rate that a single position's products cannot hide, while a tile's
//! products leave the memory idle.

use super::split;
use crate::kernels::vector::Vector;
use crate::kernels::view::constants;
use crate::memory::Memory;
use crate::steps::Prefetch;
use core::ops::Range;

/// Elements of a cache line.
const LINE: usize = 16;

/// Elements that a step of the depth asks for: as many as two vectors hold, which is what it reads of the matrix. One
/// line more made MobileNetV2 2 % slower with AVX2, whose steps take 6 cycles.
const fn step<V: Vector>() -> usize {
    let two = 2 * V::LANES;
    if two < LINE { LINE } else { two }
}

/// What is asked for while a tile is computed.
#[derive(Clone, Copy)]
pub struct Ahead {
    pub at: *const f32,
    /// Elements from one step of the depth to the next.
    pub step: usize,
}

impl Ahead {
    /// Nothing new: an address that is read anyway.
    pub const fn nothing(read: *const f32) -> Self {
        Self { at: read, step: 0 }
    }

    /// Asks for what falls to step `k` of the depth.
    #[inline(always)]
    pub fn ask<V: Vector>(&self, isa: V::Isa, k: usize) {
        for line in 0..step::<V>() / LINE {
            V::prefetch(isa, self.at.wrapping_add(k * self.step + line * LINE));
        }
    }
}

/// Weights that later steps read, or a part of them.
#[derive(Clone, Copy)]
pub struct Later {
    at: *const f32,
    len: usize,
}

impl Later {
    /// The weights, when there are such.
    #[inline(always)]
    pub fn new(memory: &Memory<'_>, &Prefetch { at, bytes }: &Prefetch) -> Option<Self> {
        let len = bytes / size_of::<f32>();
        Some(Self { at: constants(memory, at, len)?, len })
    }

    /// The share of whoever does that part of the whole work.
    #[inline(always)]
    pub fn share(&self, part: Range<usize>, whole: usize) -> Self {
        if self.len == 0 {
            return *self;
        }
        let [start, end] =
            [part.start, part.end].map(|at| (self.len as u64 * at as u64 / whole.max(1) as u64) as usize);
        Self { at: self.at.wrapping_add(start), len: end.saturating_sub(start) }
    }
}

/// What the tiles of a stripe ask for.
pub struct Asks {
    /// The next stripe of the matrix.
    next: Later,
    /// What later steps need.
    later: Later,
    /// Depth of the matrix.
    k: usize,
    /// The first row whose tile asks for what later steps need.
    turn: usize,
    /// Rows.
    m: usize,
}

impl Asks {
    /// For a stripe of `columns` columns of depth `k` of `m` rows, in tiles up to `MR` high; `next` is where the next
    /// stripe begins.
    #[inline(always)]
    pub fn new<V: Vector, const MR: usize>(
        next: *const f32,
        k: usize,
        columns: usize,
        later: Later,
        m: usize,
    ) -> Self {
        let next = Later { at: next, len: columns * k };
        let turn = if later.len == 0 { m } else { turn::<MR>(m, columns.div_ceil(step::<V>()), next, later) };
        Self { next, later, k, turn, m }
    }

    /// What tiles of `height` rows ask for.
    #[inline(always)]
    pub fn of_tiles<V: Vector>(&self, height: usize) -> AsksOfTiles {
        let Self { next, later, k, turn, m } = *self;
        let of = |share: Later, rows: usize| {
            let len = (share.len * height).div_ceil(rows.max(1));
            OfTile { first: share.at, len, step: len.div_ceil(k.max(1)).min(step::<V>()) }
        };
        AsksOfTiles { height, turn, next: of(next, turn), later: of(later, m - turn) }
    }
}

/// The first row of the tiles that ask for what later steps need: as many of `m` rows' tiles ask for the next stripe as
/// is its share of all that is asked for, at least `least`.
#[inline(never)]
fn turn<const MR: usize>(m: usize, least: usize, next: Later, later: Later) -> usize {
    let runs = || {
        let mut row = 0;
        core::iter::from_fn(move || {
            let (height, count) = (row < m).then(|| split::next(m - row, MR))?;
            row += height * count;
            Some((height, count))
        })
    };
    let tiles: usize = runs().map(|(_, count)| count).sum();
    let mut left = (tiles * next.len / (next.len + later.len)).max(least);
    runs().fold(0, |row, (height, count)| {
        let of_next = count.min(left);
        left -= of_next;
        row + height * of_next
    })
}

/// What tiles of one height ask for.
pub struct AsksOfTiles {
    height: usize,
    turn: usize,
    next: OfTile,
    later: OfTile,
}

struct OfTile {
    /// Of the first tile.
    first: *const f32,
    /// Elements of a tile.
    len: usize,
    step: usize,
}

impl AsksOfTiles {
    /// What the tile asks for that begins in a row.
    #[inline(always)]
    pub fn at(&self, row: usize) -> Ahead {
        let (OfTile { first, len, step }, row) =
            if row < self.turn { (&self.next, row) } else { (&self.later, row - self.turn) };
        Ahead { at: first.wrapping_add(row / self.height * len), step: *step }
    }
}
