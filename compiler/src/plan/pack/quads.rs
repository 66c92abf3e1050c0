//! Integer weights of matrices in quads: see [`Layout::Pairs`](mobilec_targets::Layout).

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

/// The largest magnitude of the weights of one sign of a pair whose products with codes up to 255 add up to 16 bits.
const MOST: i16 = 128;

/// Of how many quads of a panel three must be narrow so that they are told apart: sums over quads in two runs, each
/// of which has to be found, take longer than in one.
const APART: usize = 4;

/// `[n, k]` → a table of ⌈n/16⌉ panels, where each begins and its wide and narrow quads; then the panels. Of each, the
/// wide quads as `[pair, 16, 2]` in 16 bits, the narrow ones as `[16, 4]` in 8, and the places of all of them in the
/// depth, in quads. A quad is narrow when all of its weights fit 8 bits, and no pair of products with codes from
/// 0 to 255 can leave 16; a panel of few narrow quads has none.
pub fn filters(values: &[i16], k: usize, n: usize) -> Vec<u8> {
    let panels = n.div_ceil(COLUMNS);
    let start = (panels * 3 * size_of::<u32>()).next_multiple_of(ALIGN);
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
        let (mut narrow, mut wide): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&at| quad(at).iter().all(|&column| is_narrow(column)));
        if narrow.len() * APART < count * (APART - 1) {
            (narrow, wide) = (Vec::new(), (0..count).collect());
        }
        table.extend([start + bytes.len(), wide.len(), narrow.len()].map(|word| word as u32));
        for &at in &wide {
            for pair in [0, 2] {
                let values = quad(at).into_iter().flat_map(|column| [column[pair], column[pair + 1]]);
                bytes.extend(values.flat_map(i16::to_le_bytes));
            }
        }
        for &at in &narrow {
            bytes.extend(quad(at).as_flattened().iter().map(|&value| value as u8));
        }
        bytes.extend(wide.iter().chain(&narrow).flat_map(|&at| (at as u16).to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    }
    let mut out: Vec<u8> = table.iter().flat_map(|word| word.to_le_bytes()).collect();
    out.resize(start, 0);
    out.extend(bytes);
    out
}

/// Whether the weights of a column's quad fit 8 bits, and the products of each of its pairs 16.
fn is_narrow(column: [i16; QUAD]) -> bool {
    let fits = |pair: [i16; 2]| {
        let [a, b] = pair.map(|weight| i8::try_from(weight).is_ok());
        let [above, below] = [pair.map(|weight| weight.max(0)), pair.map(|weight| (-weight).max(0))];
        a && b && above[0] + above[1] <= MOST && below[0] + below[1] <= MOST
    };
    fits([column[0], column[1]]) && fits([column[2], column[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(packed: &[u8], panel: usize) -> [u32; 3] {
        let word = |at: usize| [0, 1, 2, 3].map(|byte| packed[(3 * panel + at) * 4 + byte]);
        [0, 1, 2].map(|at| u32::from_le_bytes(word(at)))
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
    fn wide_quads_stand_before_narrow_ones_and_each_says_where_it_belongs() {
        let mut values: Vec<i16> = (1..=16).collect();
        values[4] = 200;
        let packed = filters(&values, 16, 1);
        assert_eq!(table(&packed, 0), [32, 1, 3]);
        assert_eq!(packed[32..36], [200, 0, 6, 0]);
        assert_eq!(packed[64..68], [7, 0, 8, 0]);
        assert_eq!(packed[96..100], [1, 2, 3, 4]);
        assert_eq!(packed[128..132], [9, 10, 11, 12]);
        assert_eq!(packed[192..200], [1, 0, 0, 0, 2, 0, 3, 0]);
        assert_eq!(packed.len(), 224);
    }

    #[test]
    fn few_narrow_quads_are_wide_too() {
        let mut values: Vec<i16> = (1..=12).collect();
        values[4] = 200;
        let packed = filters(&values, 12, 1);
        assert_eq!(table(&packed, 0), [32, 3, 0]);
        assert_eq!(packed[32 + 3 * 64..][..6], [0, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn columns_and_rows_that_do_not_fill_a_quad_are_zeros() {
        let packed = filters(&[1; 17 * 5], 5, 17);
        let [at, _, narrow] = table(&packed, 1);
        assert_eq!(narrow, 2);
        assert_eq!(packed[at as usize..][..8], [1, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(packed[at as usize + 32..][..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
