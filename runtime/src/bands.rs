//! Which rows a step makes in which band of a region.

use core::ops::Range;

/// Rows of a step by band: band `b` ends at row `(b + 1) · per_band + ahead`, clipped to `total`; the last
/// band ends at `total`. Each band starts where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Number of bands of the region.
    pub count: usize,
    /// Rows a band.
    pub per_band: usize,
    /// Rows that the first band makes on top; negative where a step lags.
    pub ahead: isize,
    /// Rows in all.
    pub total: usize,
}

impl Bands {
    /// Rows of a band.
    #[inline]
    pub const fn rows(&self, band: usize) -> Range<usize> {
        let start = if band == 0 { 0 } else { self.end(band - 1) };
        start..self.end(band)
    }

    const fn end(&self, band: usize) -> usize {
        if band + 1 >= self.count {
            return self.total;
        }
        let rows = ((band + 1).saturating_mul(self.per_band) as isize).saturating_add(self.ahead);
        if rows <= 0 {
            0
        } else if rows as usize > self.total {
            self.total
        } else {
            rows as usize
        }
    }
}
