//! Which rows a step makes in which band of a region.

use core::ops::Range;

/// Rows of a step by band: after `b` bands `⌊(b · rows + ahead) / per⌋` rows are made, from 0 to `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    rows: usize,
    ahead: isize,
    per: usize,
    total: usize,
}

impl Bands {
    /// `rows` rows in every `per` bands, `ahead / per` rows on top in the first (or fewer, where it is
    /// negative), `total` rows in all.
    pub const fn new(rows: usize, per: usize, ahead: isize, total: usize) -> Self {
        Self { rows, ahead, per, total }
    }

    /// Rows of a band.
    #[inline]
    pub const fn rows(&self, band: usize) -> Range<usize> {
        let start = if band == 0 { 0 } else { self.end(band - 1) };
        start..self.end(band)
    }

    /// First row that is not made by the end of a band.
    #[inline]
    pub const fn end(&self, band: usize) -> usize {
        let rows = ((band + 1).saturating_mul(self.rows) as isize).saturating_add(self.ahead);
        let per = if self.per == 0 { 1 } else { self.per };
        let end = if rows < 0 { 0 } else { rows as usize / per };
        if end < self.total { end } else { self.total }
    }
}
