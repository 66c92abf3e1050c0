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

/// Heights of tiles where there are registers for [`TALL`] rows: some, so that code does not multiply, of which all
/// lengths from 7 on are sums without a tile lower than 7, except for 10 and 11.
const HEIGHTS: [usize; 9] = [TALL, 13, 12, 9, 8, 7, 4, 2, 1];

/// From this one on, all heights are there.
const EQUAL: usize = 12;

/// The most rows of a tile.
const TALL: usize = 14;

/// The first of the [`HEIGHTS`] that a length below two of the highest is divided into: as few as can be, and as nearly
/// equal as can be then.
const FIRST: [usize; 2 * TALL] = {
    let mut first = [1; 2 * TALL];
    let mut fewest = [0; 2 * TALL];
    let mut total = 1;
    while total < 2 * TALL {
        fewest[total] = usize::MAX;
        let mut i = HEIGHTS.len();
        while i > 0 {
            i -= 1;
            let height = HEIGHTS[i];
            // Of as many tiles, those that begin with the lowest one that is no lower than the rest.
            if height <= total && (height == total || height >= first[total - height]) {
                let tiles = 1 + fewest[total - height];
                if tiles < fewest[total] {
                    (first[total], fewest[total]) = (height, tiles);
                }
            }
        }
        total += 1;
    }
    first
};

/// The height of the next tiles and their number, where `total` is left to be covered by tiles of heights that
/// [`of_height`] knows for `most`.
#[inline(always)]
pub const fn next(total: usize, most: usize) -> (usize, usize) {
    let [higher, lower] = split(total, most);
    let next = if higher.1 > 0 { higher } else { lower };
    if most < TALL || lower.0 >= EQUAL {
        next
    } else if total < 2 * TALL {
        (FIRST[total], 1)
    } else {
        // What is left is more than a tile, so that it need not be a low one.
        (TALL, total / TALL - 1)
    }
}

/// Whether [`next`] answers that height.
pub const fn is_height(height: usize, most: usize) -> bool {
    let mut i = 0;
    while i < HEIGHTS.len() {
        if HEIGHTS[i] == height {
            return true;
        }
        i += 1;
    }
    most < TALL
}

/// Evaluates `$call` with a constant `$m` that is `$height`, which [`next`] answered for `$most`, or is at most that where
/// `$most` is less than 14.
macro_rules! of_height {
    ($height:expr, $most:ident, $m:ident => $call:expr) => {
        of_height!($height, $most, $m => $call, [14 13 12 11 10 9 8 7 6 5 4 3 2])
    };
    ($height:expr, $most:ident, $m:ident => $call:expr, [$($each:literal)*]) => {
        match $height {
            $($each if $most >= $each && crate::kernels::generic::split::is_height($each, $most) => {
                const $m: usize = $each;
                $call
            })*
            other => {
                debug_assert!(other == 1, "there are no tiles of that height");
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
    fn next_tiles_cover_a_length_and_are_low_only_where_they_must() {
        for total in 1..200 {
            for most in 1..=TALL {
                let (mut left, mut lowest) = (total, most);
                while left > 0 {
                    let (height, count) = next(left, most);
                    assert!(height <= most && is_height(height, most) && count > 0 && height * count <= left);
                    (left, lowest) = (left - height * count, lowest.min(height));
                }
                let must = total < 7 || matches!(total, 10 | 11);
                assert!(most < TALL || must || lowest >= 7, "{total} in tiles down to {lowest}");
            }
        }
    }

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
