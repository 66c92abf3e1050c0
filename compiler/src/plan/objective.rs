//! What a plan is chosen for, and where inputs lie.

use mobilec_targets::{Arch, Target};
use std::str::FromStr;

/// What regions and bands are chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// Every layer by itself, whole.
    LayerByLayer,
    /// The fewest cycles within so many bytes of arena.
    Speed {
        /// Bytes.
        cap: usize,
    },
    /// The least arena.
    Memory,
}

impl Objective {
    /// The fewest cycles, whatever memory that takes.
    pub const FASTEST: Self = Self::Speed { cap: usize::MAX };

    /// What is chosen for a target when nothing is said.
    pub const fn of(target: &Target) -> Self {
        match target.arch {
            // Nothing is known of its caches.
            Arch::Portable => Self::LayerByLayer,
            Arch::X86_64 => Self::FASTEST,
        }
    }
}

/// How sums of 3×3 windows may be computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convolutions {
    /// As is estimated to be fastest: by Winograd's method where that is faster although its weights are 16/9 or 4 times
    /// as many. Not where an [`Objective`] limits memory, nor where rows of the input arrive one by one, so that bands
    /// are low and results have the same bits in all of them.
    #[default]
    Fastest,
    /// Tap by tap.
    Direct,
}

impl Convolutions {
    /// What is left of it with an objective and inputs.
    pub const fn with(self, objective: Objective, inputs: Inputs) -> Self {
        match (objective, inputs) {
            (_, Inputs::Rows) => Self::Direct,
            (Objective::Speed { cap: usize::MAX } | Objective::LayerByLayer, _) => self,
            (Objective::Speed { .. } | Objective::Memory, _) => Self::Direct,
        }
    }
}

impl FromStr for Objective {
    type Err = String;

    /// `min`, or bytes: `65536`, `128K`, `2M`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "min" {
            return Ok(Self::Memory);
        }
        let cap = bytes(text).ok_or("it takes bytes, as 65536, 128K or 2M, or min")?;
        Ok(Self::Speed { cap })
    }
}

/// `128K` → 131072
fn bytes(text: &str) -> Option<usize> {
    let upper = text.to_ascii_uppercase();
    let number = upper.strip_suffix("IB").or(upper.strip_suffix('B')).unwrap_or(&upper);
    let units = [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30)];
    let unit = units.iter().find_map(|(letter, unit)| Some((number.strip_suffix(*letter)?, *unit)));
    let (number, unit) = unit.unwrap_or((number, 1));
    number.trim().parse::<usize>().ok()?.checked_mul(unit)
}

/// Where the inputs of a network lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inputs {
    /// In the caller's memory, which is only read.
    #[default]
    Borrowed,
    /// In the arena, where results go over what was consumed of them.
    Arena,
    /// Rows of the only input are handed over one by one, and the arena holds those that are still needed.
    Rows,
}

impl FromStr for Inputs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "borrowed" => Ok(Self::Borrowed),
            "arena" => Ok(Self::Arena),
            "rows" => Ok(Self::Rows),
            _ => Err("it takes borrowed, arena or rows".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_memory_and_single_rows_keep_the_taps() {
        use Convolutions::{Direct, Fastest};
        for (objective, inputs, left) in [
            (Objective::FASTEST, Inputs::Borrowed, Fastest),
            (Objective::LayerByLayer, Inputs::Arena, Fastest),
            (Objective::FASTEST, Inputs::Rows, Direct),
            (Objective::Speed { cap: 1 << 20 }, Inputs::Arena, Direct),
            (Objective::Memory, Inputs::Borrowed, Direct),
        ] {
            assert_eq!(Fastest.with(objective, inputs), left, "{objective:?}, {inputs:?}");
            assert_eq!(Direct.with(objective, inputs), Direct);
        }
    }

    #[test]
    fn memory_is_given_in_bytes_and_their_multiples() {
        for (text, bytes) in [("65536", 65536), ("128K", 131_072), ("2 MiB", 2 << 20), ("1gb", 1 << 30)] {
            assert_eq!(text.parse(), Ok(Objective::Speed { cap: bytes }), "{text}");
        }
        assert_eq!("min".parse(), Ok(Objective::Memory));
        for text in ["", "K", "-1", "1.5M", "12X", "99999999999G"] {
            assert!(text.parse::<Objective>().is_err(), "{text}");
        }
    }
}
