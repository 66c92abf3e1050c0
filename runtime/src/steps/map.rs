//! Where values lie.

/// Where a tensor lies: a byte offset into one of the memories that a network runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the arena.
    Arena(usize),
    /// In the caller's input of that number.
    Input(usize, usize),
    /// In the weights.
    Weights(usize),
}

impl Place {
    /// The place so many bytes behind this one.
    pub(crate) const fn behind(self, bytes: usize) -> Self {
        match self {
            Self::Arena(at) => Self::Arena(at.saturating_add(bytes)),
            Self::Input(index, at) => Self::Input(index, at.saturating_add(bytes)),
            Self::Weights(at) => Self::Weights(at.saturating_add(bytes)),
        }
    }
}

/// A feature map `[height, width, channels]` of which the last `rows` rows are held in a ring: row `y`
/// lies at `place + y % rows * width * channels * size_of(element)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// Where row 0 lies.
    pub place: Place,
    /// Rows of the map.
    pub height: usize,
    /// Columns of the map.
    pub width: usize,
    /// Channels, innermost in memory.
    pub channels: usize,
    /// Rows that are held, at most `height`; equal to it when the whole map is.
    pub rows: usize,
}

impl Map {
    /// A map `[height, width, channels]` that is held whole.
    pub const fn whole(place: Place, [height, width, channels]: [usize; 3]) -> Self {
        Self { place, height, width, channels, rows: height }
    }

    /// A map `[height, width, channels]` of which `rows` rows are held.
    pub const fn ring(place: Place, [height, width, channels]: [usize; 3], rows: usize) -> Self {
        Self { place, height, width, channels, rows }
    }
}
