//! Products of two computed matrices of codes, both row-major.
//!
//! A stripe of columns of the right matrix is laid out as its instructions take it, a block of the depth at a time; then
//! tiles of rows pass over it. A depth of one block, as of attention, is laid out once; a deeper one for every tile, so
//! that sums never leave the registers.

pub mod pairs;
pub mod quads;

/// Depth of a block.
const DEPTH: usize = 512;

/// Rows of a tile at most.
const ROWS: usize = 6;

/// The matrices of one product, of `m` rows, `n` columns and a depth of `k`.
#[derive(Clone, Copy)]
struct Matrices {
    result: *mut u8,
    a: *const u8,
    b: *const u8,
    m: usize,
    n: usize,
    k: usize,
}

impl Matrices {
    /// When the slices have whole rows that fit each other.
    fn new(result: &mut [u8], a: &[u8], b: &[u8], [m, n, k]: [usize; 3]) -> Option<Self> {
        let fits = |len: usize, rows: usize, columns: usize| rows.checked_mul(columns) == Some(len);
        let all = fits(result.len(), m, n) && fits(a.len(), m, k) && fits(b.len(), k, n);
        all.then_some(Self { result: result.as_mut_ptr(), a: a.as_ptr(), b: b.as_ptr(), m, n, k })
    }

    /// The blocks of the depth: where each begins, and how deep it is.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let k = self.k;
        (0..k).step_by(DEPTH).map(move |first| (first, DEPTH.min(k - first)))
    }

    /// Whether a stripe is laid out once for all tiles.
    const fn is_one_block(&self) -> bool {
        self.k <= DEPTH
    }
}
