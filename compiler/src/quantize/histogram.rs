//! How often values occur, over a range that grows with them.

/// Bins of a histogram; half of them are below 0.
const BINS: usize = 8192;

/// Counts of values in bins of equal width, symmetric around 0, and the exact extremes. Zeros are counted
/// apart: activations make many of them, and they are stored exactly whatever the range.
///
/// The range is ±2ᵏ for the smallest k that holds all values so far; where a value lies beyond, bins are
/// merged in pairs. So a range of values of one sign that ends just above a power of two has at least
/// `BINS / 4` bins.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    /// Bins are `1 / scale` wide; 0 as long as only zeros came.
    scale: f64,
    min: f64,
    max: f64,
    zeros: u64,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BINS],
            scale: 0.0,
            zeros: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts values. Those that are no numbers are left out.
    pub fn add(&mut self, values: &[f32]) {
        let (low, high) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| {
            if v.is_finite() { (low.min(v), high.max(v)) } else { (low, high) }
        });
        if low > high {
            return;
        }
        self.min = self.min.min(low.into());
        self.max = self.max.max(high.into());
        self.reach(f64::from(low.abs().max(high.abs())));
        let scale = self.scale as f32;
        for &value in values.iter().filter(|value| value.is_finite()) {
            self.total += 1;
            if value == 0.0 {
                self.zeros += 1;
                continue;
            }
            let bin = (value * scale).floor() as i64 + (BINS / 2) as i64;
            self.counts[bin.clamp(0, BINS as i64 - 1) as usize] += 1;
        }
    }

    /// Makes the range hold a magnitude.
    fn reach(&mut self, magnitude: f64) {
        if magnitude == 0.0 {
            return;
        }
        let half = (BINS / 2) as f64;
        if self.scale == 0.0 {
            self.scale = half / 2.0_f64.powf(magnitude.log2().floor() + 1.0);
        }
        while magnitude * self.scale >= half {
            let pair = |bin: usize| self.counts[2 * bin] + self.counts[2 * bin + 1];
            let merged: Vec<u64> = (0..BINS / 2).map(pair).collect();
            self.counts.fill(0);
            self.counts[BINS / 4..BINS / 4 + BINS / 2].copy_from_slice(&merged);
            self.scale /= 2.0;
        }
    }

    /// The smallest and the largest value; 0 where there was none.
    pub fn extremes(&self) -> (f64, f64) {
        if self.total == 0 { (0.0, 0.0) } else { (self.min, self.max) }
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Width of a bin; 0 where all values were 0.
    pub fn width(&self) -> f64 {
        if self.scale == 0.0 { 0.0 } else { 1.0 / self.scale }
    }

    /// Lower edge of a bin.
    pub fn edge(&self, bin: usize) -> f64 {
        (bin as f64 - (BINS / 2) as f64) * self.width()
    }

    /// The counts without zeros, from the most negative bin to the most positive.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The bin that a value falls into.
    pub fn bin(&self, value: f64) -> usize {
        let bin = (value * self.scale).floor() + (BINS / 2) as f64;
        bin.clamp(0.0, (BINS - 1) as f64) as usize
    }

    /// The value below which a share of all values lies, to the width of a bin.
    pub fn quantile(&self, share: f64) -> f64 {
        let (min, max) = self.extremes();
        let wanted = share.clamp(0.0, 1.0) * self.total as f64;
        let mut below = 0.0;
        for (bin, &count) in self.counts.iter().enumerate() {
            if bin == BINS / 2 {
                below += self.zeros as f64;
                if below >= wanted {
                    return 0.0;
                }
            }
            let count = count as f64;
            if count > 0.0 && below + count >= wanted {
                let inside = (wanted - below) / count;
                return (self.edge(bin) + inside * self.width()).clamp(min, max);
            }
            below += count;
        }
        max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_grows_and_no_value_is_lost() {
        let mut histogram = Histogram::default();
        histogram.add(&[0.0, 0.0]);
        assert_eq!((histogram.total(), histogram.extremes()), (2, (0.0, 0.0)));
        histogram.add(&[0.5, -0.25, f32::NAN]);
        histogram.add(&[300.0, -2.0]);
        assert_eq!((histogram.total(), histogram.extremes()), (6, (-2.0, 300.0)));
        assert_eq!(histogram.counts().iter().sum::<u64>(), 4);
        assert_eq!(histogram.width(), 512.0 / (BINS / 2) as f64);
        assert_eq!(histogram.counts()[histogram.bin(300.0)], 1);
        assert_eq!(histogram.counts()[histogram.bin(0.5)], 1);
    }

    #[test]
    fn zeros_count_for_quantiles() {
        let mut histogram = Histogram::default();
        histogram.add(&[-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0]);
        assert_eq!([0.2, 0.5, 0.8].map(|share| histogram.quantile(share)), [0.0; 3]);
        assert!((histogram.quantile(0.9) - 2.0).abs() < 2.0 * histogram.width());
    }

    #[test]
    fn quantiles_of_equally_frequent_values() {
        let mut histogram = Histogram::default();
        histogram.add(&(0..1000).map(|i| i as f32 / 1000.0).collect::<Vec<f32>>());
        for share in [0.1, 0.5, 0.9] {
            let found = histogram.quantile(share);
            assert!((found - share).abs() <= 2.0 * histogram.width() + 1e-3, "{share}: {found}");
        }
        assert_eq!(histogram.quantile(1.0), f64::from(999.0_f32 / 1000.0));
    }
}
