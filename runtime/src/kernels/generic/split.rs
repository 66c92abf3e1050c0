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

/// Evaluates `$call` with a constant `$m` that is `$height`, which is from 1 to `$most`, a constant of at most 14.
macro_rules! of_height {
    ($height:expr, $most:ident, $m:ident => $call:expr) => {
        of_height!($height, $most, $m => $call, [14 13 12 11 10 9 8 7 6 5 4 3 2])
    };
    ($height:expr, $most:ident, $m:ident => $call:expr, [$($each:literal)*]) => {
        match $height {
            $($each if $most >= $each => {
                const $m: usize = $each;
                $call
            })*
            _ => {
                const $m: usize = 1;
                $call
            }
        }
    };
}
pub(super) use of_height;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_add_up_and_differ_by_one() {
        for total in 0..200 {
            for most in 1..15 {
                let [(high, more), (low, rest)] = split(total, most);
                assert_eq!(high * more + low * rest, total);
                assert_eq!(more + rest, total.div_ceil(most));
                assert!(low <= most && (more == 0 || high <= most));
            }
        }
    }
}
