//! Integer weights of matrices for instructions that add the products of quads: see
//! [`Layout::Dots`](mobilec_targets::Layout).

/// Columns of a panel.
const COLUMNS: usize = 16;

/// Rows of a quad.
const QUAD: usize = 4;

/// What panels are aligned to.
const ALIGN: usize = 64;

/// `[n, k]` in runs of `run` rows, each padded to whole quads → a table of ⌈n/16⌉ panels: where each begins, its additional quads; then the panels, each
/// `[quad, column, 4]` in 8 bits, its additional quads, and in 16 bits the places of these in the depth.
pub fn filters(values: &[i16], [k, run]: [usize; 2], n: usize) -> Vec<u8> {
    let panels = n.div_ceil(COLUMNS);
    let start = (panels * 2 * size_of::<u32>()).next_multiple_of(ALIGN);
    let (mut table, mut bytes): (Vec<u32>, Vec<u8>) = (Vec::new(), Vec::new());
    for first in (0..n).step_by(COLUMNS) {
        let columns = if n - first > COLUMNS / 2 { COLUMNS } else { COLUMNS / 2 };
        let quads = run.div_ceil(QUAD);
        let value = |column: usize, quad: usize, at: usize| {
            let (first, at) = (quad / quads * run, quad % quads * QUAD + at);
            if column < n && at < run { values[column * k + first + at] } else { 0 }
        };
        let (mut panel, mut additional, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for quad in 0..k / run.max(1) * quads {
            let column = |column: usize| [0, 1, 2, 3].map(|at| value(first + column, quad, at));
            let mut rest: Vec<i16> = (0..columns).flat_map(column).collect();
            panel.extend(parts(&mut rest));
            while rest.iter().any(|&weight| weight != 0) {
                additional.extend(parts(&mut rest));
                places.extend((quad as u16).to_le_bytes());
            }
        }
        table.extend([(start + bytes.len()) as u32, (places.len() / size_of::<u16>()) as u32]);
        bytes.extend([panel, additional, places].concat());
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    }
    let mut out: Vec<u8> = table.iter().flat_map(|word| word.to_le_bytes()).collect();
    out.resize(start, 0);
    out.extend(bytes);
    out
}

/// Takes as much of each weight as fits 8 bits.
fn parts(weights: &mut [i16]) -> Vec<u8> {
    let part = |weight: &mut i16| {
        let part = (*weight).clamp(i8::MIN.into(), i8::MAX.into());
        *weight -= part;
        part as u8
    };
    weights.iter_mut().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(packed: &[u8], panel: usize) -> [u32; 2] {
        let word = |at: usize| [0, 1, 2, 3].map(|byte| packed[(2 * panel + at) * 4 + byte]);
        [0, 1].map(|at| u32::from_le_bytes(word(at)))
    }

    #[test]
    fn columns_stand_side_by_side_four_rows_each_and_what_is_missing_is_zero() {
        let values: Vec<i16> = (0..17 * 5).collect();
        let packed = filters(&values, [5, 5], 17);
        assert_eq!([table(&packed, 0), table(&packed, 1)], [[64, 0], [192, 0]]);
        assert_eq!(packed[64..][..8], [0, 1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(packed[128..][..8], [4, 0, 0, 0, 9, 0, 0, 0]);
        assert_eq!(packed[192..][..8], [80, 81, 82, 83, 0, 0, 0, 0]);
        assert_eq!(packed[224..][..8], [84, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(packed.len(), 256);
    }

    #[test]
    fn runs_begin_with_a_quad() {
        let packed = filters(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [10, 5], 1);
        let quads = [0, 1, 2, 3].map(|at| packed[64 + at * 32..][..4].to_vec());
        assert_eq!(quads, [[1, 2, 3, 4], [5, 0, 0, 0], [6, 7, 8, 9], [10, 0, 0, 0]]);
    }

    #[test]
    fn what_does_not_fit_8_bits_is_in_additional_quads() {
        let values = [1, 2, 3, 4, 255, -128, -129, 7, 8];
        let packed = filters(&values, [9, 9], 1);
        assert_eq!(table(&packed, 0), [64, 2]);
        let quad = |at: usize| packed[64 + at * 32..][..4].to_vec();
        assert_eq!([quad(0), quad(1)], [vec![1, 2, 3, 4], vec![127, 128, 128, 7]]);
        assert_eq!([quad(3), quad(4)], [vec![127, 0, 255, 0], vec![1, 0, 0, 0]]);
        assert_eq!(packed[64 + 5 * 32..][..4], [1, 0, 1, 0]);
    }
}
