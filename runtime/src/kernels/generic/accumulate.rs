//! The sums of a tile: the inner loops of all products by packed matrices.
//!
//! A step of the depth loads `W` vectors of the matrix and multiplies them by one element of each of `M` rows. Bound by
//! the multiply-adds where `W` is 2: 14 rows are 28 of them, in 14 cycles of two units of 512 bits, for 16 loads and 2
//! requests of what comes next; 6 rows of AVX2 are 12, in 6 cycles, for 8 loads and a request. With one vector there are
//! as many loads as multiply-adds.

use super::ahead::Ahead;
use super::epilogue::offsets;
use super::rows::{FEW, Rows};
use crate::kernels::vector::Vector;

/// `sums[m][w] += Σ_k a[m][k] · b[w][k·NR ..]` over `len` elements.
///
/// # Safety
///
/// `len` elements must be readable from each `a`, and `len` rows of `NR` elements from each `b`.
#[inline(always)]
pub unsafe fn accumulate<V: Vector, const NR: usize, const M: usize, const W: usize>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    a: [*const f32; M],
    b: [*const f32; W],
    len: usize,
    ahead: Ahead,
) {
    if W == 1 {
        let whole = len - len % DEPTH;
        for k in (0..whole).step_by(DEPTH) {
            // SAFETY: the rows from `k` on are below `len`.
            unsafe { narrow::<V, M, W, DEPTH, false>(isa, sums, a, b[0].add(k * NR), NR, k, ahead) }
        }
        for k in whole..len {
            // SAFETY: row `k` is below `len`.
            unsafe { narrow::<V, M, W, 1, false>(isa, sums, a, b[0].add(k * NR), NR, k, ahead) }
        }
        return;
    }
    for k in 0..len {
        ahead.ask::<V>(isa, k);
        // SAFETY: row and element `k` are below `len`.
        unsafe {
            let row = load_row::<V, W>(isa, b, k * NR);
            for m in 0..M {
                row_of_sums(isa, &mut sums[m], a[m].add(k), row);
            }
        }
    }
}

/// As [`accumulate`], of rows of `a` that lie `stride` elements apart.
///
/// # Safety
///
/// As [`accumulate`].
#[inline(always)]
pub unsafe fn accumulate_strided<V: Vector, const NR: usize, const M: usize, const W: usize>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    a: *const f32,
    stride: usize,
    b: [*const f32; W],
    len: usize,
    ahead: Ahead,
) {
    if W == 1 || M <= FEW {
        // SAFETY: the caller's.
        unsafe { return accumulate::<V, NR, M, W>(isa, sums, offsets(a, stride), b, len, ahead) }
    }
    let mut rows = Rows::<M>::new(a, stride);
    for k in 0..len {
        ahead.ask::<V>(isa, k);
        // SAFETY: row and element `k` are below `len`.
        unsafe { rows.multiply(isa, sums, load_row::<V, W>(isa, b, k * NR)) }
        rows = rows.next();
    }
}

/// `W` vectors, `offset` elements behind each `b`.
///
/// # Safety
///
/// They must be readable.
#[inline(always)]
pub unsafe fn load_row<V: Vector, const W: usize>(isa: V::Isa, b: [*const f32; W], offset: usize) -> [V; W] {
    let mut row = [V::splat(isa, 0.0); W];
    for w in 0..W {
        // SAFETY: the caller's.
        row[w] = unsafe { V::load(isa, b[w].add(offset)) };
    }
    row
}

/// `sums[w] += a · row[w]`
///
/// # Safety
///
/// `a` must be readable.
#[inline(always)]
pub unsafe fn row_of_sums<V: Vector, const W: usize>(
    isa: V::Isa,
    sums: &mut [V; W],
    a: *const f32,
    row: [V; W],
) {
    // SAFETY: the caller's.
    let x = V::splat(isa, unsafe { *a });
    for w in 0..W {
        sums[w] = x.mul_add(row[w], sums[w]);
    }
}

/// As [`accumulate`], of half a vector of columns: a vector at `b` holds them for two steps of the depth in pairs, and
/// so do the sums.
///
/// # Safety
///
/// `len` elements must be readable from each `a`, and half as many vectors, rounded up, from `b`.
#[inline(always)]
pub unsafe fn accumulate_pairs<V: Vector, const M: usize>(
    isa: V::Isa,
    sums: &mut [[V; 1]; M],
    a: [*const f32; M],
    b: *const f32,
    len: usize,
    ahead: Ahead,
) {
    let (long, whole) = (len - len % (2 * DEPTH), len - len % 2);
    for k in (0..long).step_by(2 * DEPTH) {
        // SAFETY: the elements from `k` on are below `len`.
        unsafe { narrow::<V, M, 1, DEPTH, true>(isa, sums, a, b.add(k / 2 * V::LANES), V::LANES, k, ahead) }
    }
    for k in (long..whole).step_by(2) {
        // SAFETY: elements `k` and `k + 1` are below `len`.
        unsafe { narrow::<V, M, 1, 1, true>(isa, sums, a, b.add(k / 2 * V::LANES), V::LANES, k, ahead) }
    }
    if whole < len {
        // SAFETY: element `whole` is below `len`.
        unsafe {
            let row = V::load(isa, b.add(whole / 2 * V::LANES));
            for m in 0..M {
                let last = [*a[m].add(whole), 0.0];
                sums[m][0] = V::splat_pair(isa, last.as_ptr()).mul_add(row, sums[m][0]);
            }
        }
    }
}

/// Rows of `b` that a narrow tile holds, so that the address of a row of `a` is found once for all of them.
const DEPTH: usize = 4;

/// `D` rows of one vector of a matrix, `stride` elements apart, each for one element of `a`, from `k` on, or two.
///
/// # Safety
///
/// The elements must be readable.
#[inline(always)]
unsafe fn narrow<V: Vector, const M: usize, const W: usize, const D: usize, const PAIRS: bool>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    a: [*const f32; M],
    b: *const f32,
    stride: usize,
    k: usize,
    ahead: Ahead,
) {
    let mut rows = [V::splat(isa, 0.0); D];
    for d in 0..D {
        ahead.ask::<V>(isa, k + d);
        // SAFETY: the caller's.
        rows[d] = unsafe { V::load(isa, b.add(d * stride)) };
    }
    for m in 0..M {
        for d in 0..D {
            // SAFETY: the caller's.
            let x = unsafe {
                if PAIRS { V::splat_pair(isa, a[m].add(k + 2 * d)) } else { V::splat(isa, *a[m].add(k + d)) }
            };
            sums[m][0] = x.mul_add(rows[d], sums[m][0]);
        }
    }
}
