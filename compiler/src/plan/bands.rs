//! Which rows a step makes in which band.

use std::fmt;
use std::ops::Range;

/// Rows of a step by band: after `b` bands `⌊(b · rows + ahead) / per⌋` rows are made, from 0 to `total`.
///
/// A step behind a stride of 2 makes one row for every two of those before it, and a window lets a step lag:
/// so every step makes a row as soon as the rows that it needs are there, and no ring holds more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Rows in every `per` bands.
    pub rows: usize,
    /// Rows, times `per`, that the first band makes on top; negative where a step lags.
    pub ahead: isize,
    /// See `rows`; at least 1.
    pub per: usize,
    /// Rows in all.
    pub total: usize,
}

impl fmt::Display for Bands {
    /// `14 rows, 1 every 2 bands, 3/2 behind`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, ahead, per, total } = *self;
        write!(f, "{total} rows, {rows} ")?;
        if per == 1 { write!(f, "a band") } else { write!(f, "every {per} bands") }?;
        let (shift, word) = (ahead.unsigned_abs(), if ahead < 0 { "behind" } else { "ahead" });
        match (shift, per) {
            (0, _) => Ok(()),
            (_, 1) => write!(f, ", {shift} {word}"),
            _ => write!(f, ", {shift}/{per} {word}"),
        }
    }
}

impl Bands {
    /// Everything in one band.
    pub const fn whole(total: usize) -> Self {
        Self { rows: total, ahead: 0, per: 1, total }
    }

    /// First row that is not made by the end of a band.
    pub fn end(&self, band: usize) -> usize {
        let rows = ((band + 1).saturating_mul(self.rows) as isize).saturating_add(self.ahead);
        usize::try_from(rows).map_or(0, |rows| rows / self.per.max(1)).min(self.total)
    }

    /// Rows of a band.
    pub fn rows(&self, band: usize) -> Range<usize> {
        let start = if band == 0 { 0 } else { self.end(band - 1) };
        start..self.end(band)
    }

    /// Bands after which all rows are made.
    pub fn count(&self) -> usize {
        let rows = (self.total.saturating_mul(self.per) as isize).saturating_sub(self.ahead);
        usize::try_from(rows).map_or(0, |rows| rows.div_ceil(self.rows.max(1))).max(1)
    }
}
