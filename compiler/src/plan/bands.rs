//! Which rows a step makes in which band.

use std::ops::Range;

/// Rows of a step by band: band `b` ends at row `(b + 1) · per_band + ahead`, clipped to `total`; the last
/// band ends at `total`. Each band starts where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Number of bands of the region.
    pub count: usize,
    /// Rows a band.
    pub per_band: usize,
    /// Rows that the first band makes on top, because a later step's window reaches below its own rows.
    /// Negative where a step lags.
    pub ahead: isize,
    /// Rows in all.
    pub total: usize,
}

impl Bands {
    /// Everything in one band.
    pub const fn whole(total: usize) -> Self {
        Self { count: 1, per_band: total, ahead: 0, total }
    }

    /// First row that is not made by the end of a band.
    pub fn end(&self, band: usize) -> usize {
        if band + 1 >= self.count {
            return self.total;
        }
        let rows = (band + 1).saturating_mul(self.per_band) as isize;
        rows.saturating_add(self.ahead).clamp(0, self.total as isize) as usize
    }

    /// Rows of a band.
    pub fn rows(&self, band: usize) -> Range<usize> {
        let start = if band == 0 { 0 } else { self.end(band - 1) };
        start..self.end(band)
    }
}
