//! The weight blob: constants in the order and packing in which kernels read them.

mod dots;
mod pairs;
mod quads;
mod taps;
mod winograd;

use super::request::Packed;
use mobilec_targets::Layout;
use std::collections::HashMap;
use std::iter;
use std::ops::Range;

/// Collects constants; equal bytes are stored once.
pub struct Blob {
    bytes: Vec<u8>,
    align: usize,
    known: HashMap<Vec<u8>, usize>,
}

impl Blob {
    /// An empty blob whose entries start at multiples of `align` bytes.
    pub fn new(align: usize) -> Self {
        Self { bytes: Vec::new(), align, known: HashMap::new() }
    }

    /// Stores bytes, or finds them; returns where they lie.
    pub fn intern(&mut self, bytes: Vec<u8>) -> Range<usize> {
        let len = bytes.len();
        let at = *self.known.entry(bytes).or_insert_with_key(|bytes| {
            self.bytes.resize(self.bytes.len().next_multiple_of(self.align), 0);
            self.bytes.extend_from_slice(bytes);
            self.bytes.len() - bytes.len()
        });
        at..at + len
    }

    /// All bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The bytes of constants in a kernel's layout.
pub fn pack(packed: &Packed, layout: Layout) -> Vec<u8> {
    match (packed, layout) {
        (Packed::Raw(bytes), _) => bytes.clone(),
        (Packed::Matrix { values, .. } | Packed::Channels { values, .. }, Layout::RowMajor) => floats(values),
        (Packed::Matrix { values, k, n }, Layout::Panels { nr }) => floats(&panels(values, *k, *n, nr)),
        (Packed::Matrix { values, k, n }, Layout::PairedPanels) => floats(&paired_panels(values, *k, *n)),
        (Packed::Matrix { values, k, n }, Layout::Winograd { side }) => {
            let points = (side + 2) * (side + 2);
            floats(&panels(&winograd::at_points(values, *k, *n, side), points * (k / 9), *n, 16))
        }
        (Packed::Channels { values, taps, n }, Layout::Winograd { .. }) => {
            floats(&panels(values, *taps, *n, 16))
        }
        (Packed::Channels { values, taps, n }, Layout::Panels { nr }) => {
            floats(&panels(values, *taps, *n, nr))
        }
        (Packed::Filters { values, k, n, .. }, Layout::Pairs) => quads::filters(values, *k, *n),
        (Packed::Filters { values, k, run, n, .. }, Layout::Dots) => dots::filters(values, [*k, *run], *n),
        (Packed::Taps { values, kernel, n, .. }, Layout::Pairs) => shorts(&pairs::taps(values, *kernel, *n)),
        (Packed::Taps { values, kernel, n, .. }, Layout::Taps) => taps::taps(values, *kernel, *n),
        (Packed::Filters { values, wide, .. } | Packed::Taps { values, wide, .. }, _) => {
            if *wide {
                shorts(values)
            } else {
                values.iter().map(|&v| v as u8).collect()
            }
        }
        (Packed::Words(words), Layout::Pairs | Layout::Dots) => {
            let len = words.len().next_multiple_of(pairs::COLUMNS);
            let padding = iter::repeat_n(0, len - words.len());
            words.iter().copied().chain(padding).flat_map(i32::to_le_bytes).collect()
        }
        (Packed::Words(words), Layout::Taps) => {
            taps::words(words).into_iter().flat_map(i32::to_le_bytes).collect()
        }
        (Packed::Words(words), _) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        (
            Packed::Matrix { values, .. } | Packed::Channels { values, .. },
            Layout::PairedPanels | Layout::Pairs | Layout::Dots | Layout::Taps,
        ) => floats(values),
    }
}

/// `[k, n]` → `[⌈n/nr⌉, k, nr]`, the last panel padded with zeros.
fn panels(values: &[f32], k: usize, n: usize, nr: usize) -> Vec<f32> {
    let mut out = vec![0.0; n.div_ceil(nr) * k * nr];
    for (row, values) in values.chunks_exact(n.max(1)).take(k).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            out[(column / nr * k + row) * nr + column % nr] = value;
        }
    }
    out
}

/// `[k, n]` → `[⌊n/16⌋, k, 16]`, then `[⌈k/2⌉, 8, 2]` of the last 8 columns.
fn paired_panels(values: &[f32], k: usize, n: usize) -> Vec<f32> {
    const COLUMNS: usize = 16;
    let whole = n - n % COLUMNS;
    let mut out = panels(values, k, n, COLUMNS);
    out.truncate(whole * k);
    for row in (0..k).step_by(2) {
        for column in whole..whole + COLUMNS / 2 {
            let value = |row: usize| if row < k && column < n { values[row * n + column] } else { 0.0 };
            out.extend([value(row), value(row + 1)]);
        }
    }
    out
}

fn shorts(values: &[i16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_column_blocks_padded_with_zeros() {
        let matrix: Vec<f32> = vec![1., 2., 3., 4., 5., 6.]; // 2×3
        assert_eq!(panels(&matrix, 2, 3, 2), [1., 2., 4., 5., 3., 0., 6., 0.]);
    }

    #[test]
    fn half_a_panel_holds_two_rows_side_by_side() {
        let matrix: Vec<f32> = (0..3 * 24).map(|at| at as f32).collect();
        let packed = paired_panels(&matrix, 3, 24);
        assert_eq!(packed[..48], panels(&matrix, 3, 24, 16)[..48]);
        assert_eq!(packed[48..54], [16., 40., 17., 41., 18., 42.]);
        assert_eq!(packed[64..68], [64., 0., 65., 0.]);
        assert_eq!(packed.len(), 80);
    }

    #[test]
    fn equal_constants_are_stored_once_and_aligned() {
        let mut blob = Blob::new(16);
        assert_eq!(blob.intern(vec![1, 2, 3]), 0..3);
        assert_eq!(blob.intern(vec![4]), 16..17);
        assert_eq!(blob.intern(vec![1, 2, 3]), 0..3);
        assert_eq!(blob.into_bytes().len(), 17);
    }
}
