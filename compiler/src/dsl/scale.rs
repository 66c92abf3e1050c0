//! How wide a layer is: the width multiplier alpha and the rounding rules of the family.

use crate::error::Fault;

/// Channels of the widest layer that a network can have.
pub const MAX_CHANNELS: usize = 1 << 20;

/// The width of a layer, before alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Width {
    /// `make_divisible(base · alpha)`
    Scaled(f64),
    /// `make_divisible(base · max(1, alpha))`: the last convolution of V2 and later.
    Last(f64),
    /// Neither scaled nor rounded.
    Exact(f64),
    /// `make_divisible(inputs · ratio)`: the expansion of a bottleneck, from inputs that are rounded already.
    Times(f64),
}

/// What alpha means in a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// The width multiplier.
    pub alpha: f64,
    /// Scaled widths and expansions are multiples of it: 8, and 1 in V1.
    pub divisor: usize,
    /// The smallest scaled width.
    pub min_width: usize,
}

impl Default for Scaling {
    fn default() -> Self {
        Self { alpha: 1.0, divisor: 8, min_width: 8 }
    }
}

impl Scaling {
    /// Channels of a layer that reads `inputs` channels.
    ///
    /// # Errors
    ///
    /// A width that is no whole number from 1 to [`MAX_CHANNELS`].
    pub fn channels(&self, width: Width, inputs: usize) -> Result<usize, Fault> {
        let Self { alpha, divisor, min_width } = *self;
        match width {
            Width::Scaled(base) => divisible(base * alpha, divisor, min_width),
            Width::Last(base) => divisible(base * alpha.max(1.0), divisor, min_width),
            Width::Times(ratio) => divisible(inputs as f64 * ratio, divisor, divisor),
            Width::Exact(n) if n.fract() == 0.0 && n >= 1.0 && n <= MAX_CHANNELS as f64 => Ok(n as usize),
            Width::Exact(n) => Err(Fault::model(format!("{n} channels"))),
        }
    }

    /// Channels between the two layers of a squeeze-and-excite over `channels`:
    /// `make_divisible(⌊channels · ratio⌋, 8)`.
    ///
    /// # Errors
    ///
    /// A width that is no whole number from 1 to [`MAX_CHANNELS`].
    pub fn squeezed(&self, channels: usize, ratio: f64) -> Result<usize, Fault> {
        divisible((channels as f64 * ratio).floor(), 8, 8)
    }
}

fn divisible(v: f64, divisor: usize, min: usize) -> Result<usize, Fault> {
    if v > 0.0 && v <= MAX_CHANNELS as f64 && divisor > 0 && divisor.max(min) <= MAX_CHANNELS {
        Ok(make_divisible(v, divisor, min))
    } else {
        Err(Fault::model(format!("a width of {v} before rounding to multiples of {divisor}")))
    }
}

/// `n = max(min, ⌊(v + d/2) / d⌋ · d)`, and one `d` more where that loses more than a tenth of `v`.
///
/// With d = 8 and min = 8:
///
/// ```
/// use mobilec::dsl::make_divisible;
/// for (v, n) in [(12.0, 16), (18.0, 24), (24.0, 24), (30.0, 32), (33.6, 32), (44.0, 48), (60.0, 64)] {
///     assert_eq!(make_divisible(v, 8, 8), n);
/// }
/// ```
pub fn make_divisible(v: f64, divisor: usize, min: usize) -> usize {
    let divisor = divisor.max(1);
    let nearest = (v + divisor as f64 / 2.0) as usize / divisor * divisor;
    let n = nearest.max(min);
    if (n as f64) < 0.9 * v { n + divisor } else { n }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scaling: Scaling, width: Width, inputs: usize, expected: usize) {
        assert_eq!(scaling.channels(width, inputs), Ok(expected), "{width:?}");
    }

    #[test]
    fn v2_rounds_to_eight_and_keeps_its_last_convolution() {
        let narrow = Scaling { alpha: 0.35, ..Scaling::default() };
        check(narrow, Width::Scaled(24.0), 3, 8);
        check(narrow, Width::Last(1280.0), 3, 1280);
        check(Scaling { alpha: 1.4, ..narrow }, Width::Last(1280.0), 3, 1792);
        check(narrow, Width::Times(88.0 / 24.0), 24, 88);
    }

    #[test]
    fn v1_rounds_to_whole_channels_and_has_at_least_eight() {
        let v1 = Scaling { alpha: 0.25, divisor: 1, min_width: 8 };
        check(v1, Width::Scaled(30.0), 3, 8);
        check(v1, Width::Scaled(1022.0), 3, 256);
    }

    #[test]
    fn hostile_widths_are_faults() {
        let scaling = Scaling::default();
        for width in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e30] {
            assert!(scaling.channels(Width::Scaled(width), 3).is_err(), "{width}");
            assert!(scaling.channels(Width::Exact(width), 3).is_err(), "{width}");
            assert!(scaling.channels(Width::Times(width), usize::MAX).is_err(), "{width}");
        }
        assert!(Scaling { alpha: 0.0, ..scaling }.channels(Width::Scaled(8.0), 3).is_err());
        assert!(scaling.squeezed(8, f64::NAN).is_err());
    }
}
