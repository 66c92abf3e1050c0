//! From how often values occur to the range that 8 bits are spent on.

use super::histogram::Histogram;

/// How the range of a value is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// From the smallest to the largest value that was met.
    MinMax,
    /// The middle so many per cent of the values: as many are left out below as above.
    Percentile(f64),
    /// The range after which least information is lost: the one whose distribution in 256 steps diverges
    /// least (Kullback and Leibler) from the distribution that was met.
    Entropy,
}

/// The values that are kept apart; everything outside is taken for the nearer end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lower end, at most 0.
    pub low: f64,
    /// Upper end, at least 0.
    pub high: f64,
}

impl Range {
    /// A range that also holds 0, which must be kept exactly: padding is made of it.
    pub fn new(low: f64, high: f64) -> Self {
        Self { low: low.min(0.0), high: high.max(0.0) }
    }

    /// What is kept of a value.
    pub fn nearest(&self, value: f64) -> f64 {
        value.max(self.low).min(self.high)
    }

    /// What two ranges have in common.
    pub fn within(self, other: Self) -> Self {
        Self::new(self.low.max(other.low), self.high.min(other.high))
    }
}

impl Default for Method {
    /// Of MobileNets' values a few in a million lie far from all others.
    fn default() -> Self {
        Self::Percentile(99.99)
    }
}

impl Method {
    /// The range for values that were counted.
    pub fn range(self, values: &Histogram) -> Range {
        let (min, max) = values.extremes();
        match self {
            Self::MinMax => Range::new(min, max),
            Self::Percentile(percent) => {
                let outside = (1.0 - percent / 100.0) / 2.0;
                Range::new(values.quantile(outside), values.quantile(1.0 - outside))
            }
            Self::Entropy => entropy(values),
        }
    }
}

/// Steps of an 8-bit number.
const STEPS: usize = 256;

/// Ranges that are tried.
const CANDIDATES: usize = 128;

/// The divergence of the values' distribution, everything outside gathered at the ends, from what 256
/// steps leave of it, for ranges that are limited more and more; the least one wins. Zeros, which any range
/// keeps, are left out, and single values do not stand out ([`smooth`]).
fn entropy(values: &Histogram) -> Range {
    let counts = smooth(values.counts());
    let (min, max) = values.extremes();
    let (first, last) = (values.bin(min.min(0.0)), values.bin(max.max(0.0)));
    let zero = values.bin(0.0);
    let reach = (zero - first).max(last - zero);
    let limit = |candidate: usize| {
        let limit = reach * candidate / CANDIDATES;
        (first.max(zero.saturating_sub(limit)), last.min(zero + limit))
    };
    let fine = |&(low, high): &(usize, usize)| high + 1 - low >= STEPS;
    let tried = (1..=CANDIDATES).rev().map(limit).filter(fine);
    let scored = tried.map(|(low, high)| (divergence(&counts, low, high), (low, high)));
    // Of equal ones the widest, which comes first.
    let best = scored.fold(None, |best: Option<(f64, (usize, usize))>, next| match best {
        Some(best) if best.0 <= next.0 => Some(best),
        _ => Some(next),
    });
    match best {
        Some((_, (low, high))) => {
            Range::new(values.edge(low).max(min.min(0.0)), values.edge(high + 1).min(max.max(0.0)))
        }
        None => Range::new(min, max),
    }
}

/// Counts in which no bin has more than a few times what its neighbours have. What a layer makes of an empty
/// background comes thousands of times: any range keeps such a value to half a step, but the steps of a wide
/// one would seem to lose it among its neighbours.
fn smooth(counts: &[u64]) -> Vec<u64> {
    const REACH: usize = 8;
    const TIMES: u64 = 2;
    let around = |bin: usize| {
        let (low, high) = (bin.saturating_sub(REACH), (bin + REACH).min(counts.len() - 1));
        let others = counts[low..=high].iter().sum::<u64>() - counts[bin];
        (TIMES * others).div_ceil((high - low) as u64).max(1)
    };
    counts.iter().enumerate().map(|(bin, &count)| count.min(around(bin))).collect()
}

/// Σ p ln(p / q) over the bins from `low` to `high`: p as counted with what lies outside added to the ends,
/// q with each step's count spread evenly over the bins of it that are not empty.
fn divergence(counts: &[u64], low: usize, high: usize) -> f64 {
    let inside = &counts[low..=high];
    let total: u64 = counts.iter().sum();
    let mut p: Vec<f64> = inside.iter().map(|&count| count as f64).collect();
    let (below, above): (u64, u64) = (counts[..low].iter().sum(), counts[high + 1..].iter().sum());
    let last = p.len() - 1;
    p[0] += below as f64;
    p[last] += above as f64;
    let kept: f64 = inside.iter().sum::<u64>() as f64;
    let mut sum = 0.0;
    for step in 0..STEPS {
        let bins = step * p.len() / STEPS..(step + 1) * p.len() / STEPS;
        let occupied = p[bins.clone()].iter().filter(|&&p| p > 0.0).count();
        // The steps know only what lies inside.
        let count: f64 = inside[bins.clone()].iter().sum::<u64>() as f64;
        let q = count / occupied.max(1) as f64 / kept.max(1.0);
        for &p in p[bins].iter().filter(|&&p| p > 0.0) {
            let p = p / total as f64;
            // What was met but has no step is as unlikely as a single value.
            sum += p * (p / q.max(1e-3 / total as f64)).ln();
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.add(values);
        histogram
    }

    /// 0, 1/1000, … 999/1000, and one value far out.
    fn with_outlier() -> Histogram {
        let mut values: Vec<f32> = (0..100_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        values.push(50.0);
        counted(&values)
    }

    #[test]
    fn min_and_max_are_exact_and_hold_zero() {
        assert_eq!(Method::MinMax.range(&counted(&[-1.5, 0.25, 3.0])), Range { low: -1.5, high: 3.0 });
        assert_eq!(Method::MinMax.range(&counted(&[2.0, 3.0])), Range { low: 0.0, high: 3.0 });
        assert_eq!(Method::MinMax.range(&counted(&[])), Range { low: 0.0, high: 0.0 });
    }

    #[test]
    fn a_percentile_leaves_out_as_much_on_both_sides() {
        let values: Vec<f32> = (-500..=500).map(|i| i as f32 / 100.0).collect();
        let Range { low, high } = Method::Percentile(90.0).range(&counted(&values));
        assert!((low + 4.5).abs() < 0.02 && (high - 4.5).abs() < 0.02, "{low} {high}");
        let Range { low, high } = Method::Percentile(100.0).range(&counted(&values));
        assert_eq!((low, high), (-5.0, 5.0));
    }

    #[test]
    fn an_outlier_is_left_out_by_percentile_and_entropy() {
        let values = with_outlier();
        assert_eq!(Method::MinMax.range(&values).high, 50.0);
        for method in [Method::Percentile(99.9), Method::Entropy] {
            let Range { low, high } = method.range(&values);
            assert_eq!(low, 0.0, "{method:?}");
            // 256 bins of 1/64 reach to 4, and 128 candidates are 0.4 apart.
            assert!((0.9..4.5).contains(&high), "{method:?}: {high}");
        }
    }

    #[test]
    fn equally_frequent_values_keep_their_range() {
        let values: Vec<f32> = (0..100_000).map(|i| (i % 2000) as f32 / 1000.0 - 1.0).collect();
        let Range { low, high } = Method::Entropy.range(&counted(&values));
        assert!(low < -0.98 && high > 0.98, "{low} {high}");
    }

    #[test]
    fn a_value_that_comes_again_and_again_narrows_nothing() {
        let mut values: Vec<f32> = (0..100_000).map(|i| (i % 2000) as f32 / 1000.0 - 1.0).collect();
        values.extend([0.1234; 100_000]);
        values.extend([0.0; 100_000]);
        let Range { low, high } = Method::Entropy.range(&counted(&values));
        assert!(low < -0.98 && high > 0.98, "{low} {high}");
    }
}
