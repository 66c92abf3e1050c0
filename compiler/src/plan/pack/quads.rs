//! Integer weights of matrices in quads: see [`Layout::Pairs`](mobilec_targets::Layout).

use std::cmp::Reverse;

/// Columns of a panel: two vectors of 8 sums.
const COLUMNS: usize = 16;

/// Which columns stand in the halves of a panel, so that two vectors of 32-bit sums narrow to one of 16 in order.
const HALVES: [[usize; 8]; 2] = [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]];

/// The columns of a last panel of up to 8.
const IN_ORDER: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// Rows of a quad.
const QUAD: usize = 4;

/// What panels are aligned to.
const ALIGN: usize = 32;

/// The largest magnitude of the weights of one sign whose products with codes up to 255 add up to 16 bits.
const MOST: u16 = 128;

/// Quads of the largest bundle.
const BUNDLE: usize = 4;

/// Of how many quads of a panel three must be narrow so that they are told apart: sums over quads in several runs,
/// each of which has to be found, take longer than in one.
const APART: usize = 4;

/// Quads of the least depth at which bundles pay: their sums take the registers of half of a tile.
const DEEP: usize = 40;

/// `[n, k]` → a table of ⌈n/16⌉ panels: where each begins, its wide quads, its bundles of 1, 2, 3 and 4 narrow ones;
/// then the panels. Of each, the wide quads as `[pair, 16, 2]` in 16 bits, the bundles as `[16, 4]` in 8, the
/// largest first, and the places of all quads in the depth. A quad is narrow when all of its weights fit 8 bits, and
/// no pair of products with codes from 0 to 255 can leave 16; quads are bundled when the sums of such pairs cannot.
/// A panel of few narrow quads has none.
pub fn filters(values: &[i16], k: usize, n: usize) -> Vec<u8> {
    let panels = n.div_ceil(COLUMNS);
    let start = (panels * (2 + BUNDLE) * size_of::<u32>()).next_multiple_of(ALIGN);
    let (mut table, mut bytes): (Vec<u32>, Vec<u8>) = (Vec::new(), Vec::new());
    let count = k.div_ceil(QUAD);
    for first in (0..n).step_by(COLUMNS) {
        let halves = if n - first > COLUMNS / 2 { HALVES.to_vec() } else { vec![IN_ORDER] };
        let value =
            |column: usize, row: usize| if column < n && row < k { values[column * k + row] } else { 0 };
        let quad = |quad: usize| -> Vec<[i16; QUAD]> {
            let column = |at: usize| [0, 1, 2, 3].map(|row| value(first + at, quad * QUAD + row));
            halves.iter().flatten().map(|&at| column(at)).collect()
        };
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        for at in 0..count {
            match Reach::of(&quad(at)) {
                Some(reach) => narrow.push((at, reach)),
                None => wide.push(at),
            }
        }
        if narrow.len() * APART < count * (APART - 1) {
            (narrow, wide) = (Vec::new(), (0..count).collect());
        }
        let alone = || narrow.iter().map(|(at, _)| vec![*at]).collect();
        let bundles = if count < DEEP { alone() } else { pay(bundle(&narrow)).unwrap_or_else(alone) };
        let sizes = (1..=BUNDLE).map(|size| bundles.iter().filter(|bundle| bundle.len() == size).count());
        let words = [start + bytes.len(), wide.len()].into_iter().chain(sizes);
        table.extend(words.map(|word| word as u32));
        for &at in &wide {
            for pair in [0, 2] {
                let values = quad(at).into_iter().flat_map(|column| [column[pair], column[pair + 1]]);
                bytes.extend(values.flat_map(i16::to_le_bytes));
            }
        }
        for &at in bundles.iter().flatten() {
            bytes.extend(quad(at).as_flattened().iter().map(|&value| value as u8));
        }
        bytes.extend(wide.iter().chain(bundles.iter().flatten()).flat_map(|&at| (at as u16).to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    }
    let mut out: Vec<u8> = table.iter().flat_map(|word| word.to_le_bytes()).collect();
    out.resize(start, 0);
    out.extend(bytes);
    out
}

/// Quads in bundles whose sums fit 16 bits, the largest bundles first. The quads of the greatest reach are placed
/// first, each where it fits first.
fn bundle(quads: &[(usize, Reach)]) -> Vec<Vec<usize>> {
    let mut quads: Vec<_> = quads.iter().map(|(at, reach)| (*at, reach)).collect();
    quads.sort_by_key(|(at, reach)| (Reverse(reach.greatest()), *at));
    let mut bundles: Vec<(Reach, Vec<usize>)> = Vec::new();
    for (at, reach) in quads {
        let fitting = bundles.iter_mut().find(|(sum, bundle)| bundle.len() < BUNDLE && sum.fits(reach));
        match fitting {
            Some((sum, bundle)) => {
                sum.add(reach);
                bundle.push(at);
            }
            None => bundles.push((reach.clone(), vec![at])),
        }
    }
    let mut bundles: Vec<Vec<usize>> = bundles.into_iter().map(|(_, bundle)| bundle).collect();
    bundles.sort_by_key(|bundle| Reverse(bundle.len()));
    bundles
}

/// The bundles, where two products a quad become at most one and a half.
fn pay(bundles: Vec<Vec<usize>>) -> Option<Vec<Vec<usize>>> {
    let quads: usize = bundles.iter().map(Vec::len).sum();
    (2 * bundles.len() <= quads).then_some(bundles)
}

/// Of each pair of weights of a quad or of several that are added, the sums of the positive and of the negative ones.
#[derive(Clone)]
struct Reach(Vec<u16>);

impl Reach {
    /// None where weights do not fit 8 bits, or products of a pair 16.
    fn of(quad: &[[i16; QUAD]]) -> Option<Self> {
        let weights = quad.as_flattened();
        let pairs = weights.chunks_exact(2);
        let sums = pairs.flat_map(|pair| {
            let sum = |sign: i16| pair.iter().map(|weight| (weight * sign).max(0).unsigned_abs()).sum();
            [sum(1), sum(-1)]
        });
        let reach = Self(sums.collect());
        let fits = weights.iter().all(|&weight| i8::try_from(weight).is_ok());
        (fits && reach.greatest() <= MOST).then_some(reach)
    }

    fn greatest(&self) -> u16 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    fn fits(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a + b <= MOST)
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(packed: &[u8], panel: usize) -> [u32; 6] {
        let word = |at: usize| [0, 1, 2, 3].map(|byte| packed[(6 * panel + at) * 4 + byte]);
        [0, 1, 2, 3, 4, 5].map(|at| u32::from_le_bytes(word(at)))
    }

    fn is_narrow(column: [i16; QUAD]) -> bool {
        Reach::of(&[column]).is_some()
    }

    #[test]
    fn pairs_that_could_leave_16_bits_are_wide() {
        assert!(is_narrow([127, 1, -128, 127]));
        assert!(!is_narrow([127, 2, 0, 0]));
        assert!(!is_narrow([0, 0, -127, -2]));
        assert!(!is_narrow([128, 0, 0, 0]));
        assert!(is_narrow([100, -100, 28, 100]));
    }

    #[test]
    fn bundles_are_of_quads_whose_sums_fit() {
        let quads = [[64, 0, 0, 0], [60, 4, 1, -1], [1, 0, 0, 0], [-100, 0, 100, 28], [-28, 0, 0, 0]];
        let reach = |quad| Reach::of(&[quad]).expect("narrow");
        let quads: Vec<_> = quads.into_iter().map(reach).enumerate().collect();
        assert_eq!(bundle(&quads), [vec![3, 0, 4, 2], vec![1]]);
        let small = [[1; QUAD]; 9].map(reach);
        let small: Vec<_> = small.into_iter().enumerate().collect();
        assert_eq!(bundle(&small), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8]]);
    }

    #[test]
    fn wide_quads_stand_before_narrow_ones_and_each_says_where_it_belongs() {
        let mut values: Vec<i16> = (1..=16).collect();
        values[4] = 200;
        let packed = filters(&values, 16, 1);
        assert_eq!(table(&packed, 0), [32, 1, 3, 0, 0, 0]);
        assert_eq!(packed[32..36], [200, 0, 6, 0]);
        assert_eq!(packed[64..68], [7, 0, 8, 0]);
        assert_eq!(packed[96..100], [1, 2, 3, 4]);
        assert_eq!(packed[128..132], [9, 10, 11, 12]);
        assert_eq!(packed[192..200], [1, 0, 0, 0, 2, 0, 3, 0]);
        assert_eq!(packed.len(), 224);
    }

    #[test]
    fn deep_panels_are_bundled_where_it_pays() {
        let depth = DEEP * QUAD;
        let small = filters(&vec![1; depth], depth, 1);
        assert_eq!(table(&small, 0)[1..], [0, 0, 0, 0, DEEP as u32 / 4]);
        let large = filters(&vec![60; depth], depth, 1);
        assert_eq!(table(&large, 0)[1..], [0, DEEP as u32, 0, 0, 0]);
        let shallow = filters(&vec![1; depth - QUAD], depth - QUAD, 1);
        assert_eq!(table(&shallow, 0)[1..], [0, DEEP as u32 - 1, 0, 0, 0]);
    }

    #[test]
    fn few_narrow_quads_are_wide_too() {
        let values: Vec<i16> = (0..20).map(|at| if at < 4 { 1 } else { 200 }).collect();
        let packed = filters(&values, 20, 1);
        assert_eq!(table(&packed, 0), [32, 5, 0, 0, 0, 0]);
        assert_eq!(packed[32 + 5 * 64..][..6], [0, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn columns_and_rows_that_do_not_fill_a_quad_are_zeros() {
        let packed = filters(&[1; 17 * 5], 5, 17);
        let [at, _, narrow, ..] = table(&packed, 1);
        assert_eq!(narrow, 2);
        assert_eq!(packed[at as usize..][..8], [1, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(packed[at as usize + 32..][..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
