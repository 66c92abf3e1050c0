//! Dividing a length among tiles without a ragged edge.

/// Tiles of nearly equal heights up to `most` that cover `total`, as two runs of a height and a number of
/// tiles, the higher ones first: 49 by 6 are four tiles of 6 and five of 5.
#[inline(always)]
pub const fn split(total: usize, most: usize) -> [(usize, usize); 2] {
    let tiles = total.div_ceil(most);
    if tiles == 0 {
        return [(1, 0), (1, 0)];
    }
    let higher = total % tiles;
    [(total / tiles + 1, higher), (total / tiles, tiles - higher)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_add_up_and_differ_by_one() {
        for total in 0..200 {
            for most in 1..9 {
                let [(high, more), (low, rest)] = split(total, most);
                assert_eq!(high * more + low * rest, total);
                assert_eq!(more + rest, total.div_ceil(most));
                assert!(low <= most && (more == 0 || high <= most));
            }
        }
    }
}
