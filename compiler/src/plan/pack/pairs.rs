//! Integer weights of depthwise windows in pairs: see [`Layout::Pairs`](mobilec_targets::Layout).

/// Columns of a panel: two vectors of 8 sums.
pub const COLUMNS: usize = 16;

/// Which column stands where in a panel, so that two vectors of 32-bit sums narrow to one of 16 in order.
const ORDER: [usize; COLUMNS] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];

/// `[kh·kw, n]` → `[⌈n/16⌉, pairs, 16, 2]`; the last panel ends with the last channel where there are 16.
pub fn taps(values: &[i16], [kh, kw]: [usize; 2], n: usize) -> Vec<i16> {
    let of_rows =
        (0..kh / 2).flat_map(|pair| (0..kw).map(move |kx| [2 * pair * kw + kx, (2 * pair + 1) * kw + kx]));
    let last = kh / 2 * 2..kh;
    let of_columns = last.flat_map(|ky| (0..kw).step_by(2).map(move |kx| (ky * kw + kx, kx + 1 < kw)));
    let pairs: Vec<[Option<usize>; 2]> = of_rows
        .map(|pair| pair.map(Some))
        .chain(of_columns.map(|(tap, has_partner)| [Some(tap), has_partner.then_some(tap + 1)]))
        .collect();
    let mut out = Vec::with_capacity(n.next_multiple_of(COLUMNS) * pairs.len() * 2);
    for first in (0..n).step_by(COLUMNS) {
        let first = first.min(n.saturating_sub(COLUMNS));
        for pair in &pairs {
            for channel in ORDER.map(|at| first + at) {
                let value = |tap: Option<usize>| {
                    tap.filter(|_| channel < n).map_or(0, |tap| values[tap * n + channel])
                };
                out.extend(pair.map(value));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_paired_along_columns_and_those_of_the_last_row_along_it() {
        let values: Vec<i16> = (1..=9).collect();
        let packed = taps(&values, [3, 3], 1);
        let of_channel_0: Vec<i16> = packed.chunks(32).flat_map(|row| row[..2].to_vec()).collect();
        assert_eq!(of_channel_0, [1, 4, 2, 5, 3, 6, 7, 8, 9, 0]);
    }

    #[test]
    fn the_last_panel_of_taps_ends_with_the_last_channel() {
        let values: Vec<i16> = (0..18).collect();
        let packed = taps(&values, [1, 1], 18);
        assert_eq!(packed.len(), 2 * 32);
        assert_eq!(packed[32..36], [2, 0, 3, 0]);
        assert_eq!(packed[62..], [17, 0]);
    }
}
