//! By dot products of quads of 8-bit numbers, unsigned ones of one matrix and signed ones of the other: the codes of `a`
//! as they are, and those of `b` 128 higher or lower where both matrices have the same type.
//!
//! Zero points are subtracted afterwards:
//! `Σ (a − z_a)(b − z_b) = Σ a·b − Σ z_a·b − (z_b · Σ a − k · z_a · z_b)`, modulo 2^32, whose second term belongs to a
//! column and whose third to a row. Bound by the instructions that multiply: four for a row of a tile and a quad, two a
//! cycle, and some 25 to make codes of a row's sums.

use super::{DEPTH, Matrices, ROWS};
use crate::kernels::byte_vector::{ByteVector, PARTS};
use crate::kernels::generic::codes::end::bounds;
use crate::kernels::generic::requantize::{Uniform, zero_byte};
use crate::kernels::generic::split::split;
use crate::kernels::portable::matmul::products;
use crate::kernels::vector::Task;
use crate::memory::Memory;
use crate::steps::{QuantizedMatMul, Rounding};
use core::mem::MaybeUninit;

/// Numbers of a dot product.
const QUAD: usize = 4;

/// Bytes of a vector, at most.
const BYTES: usize = 64;

/// Rows whose terms are computed at once.
const BLOCK: usize = 256;

/// What makes a signed code an unsigned one, 128 higher, or the other way round: exclusive or.
const FLIP: u8 = 0x80;

/// A block of a stripe in quads, and the terms of its columns in the order of quads.
#[repr(align(64))]
struct Stripe {
    quads: [MaybeUninit<u8>; DEPTH * BYTES],
    terms: [u8; PARTS * BYTES],
}

/// See [`QuantizedMatMul`]; tiles of up to 6 rows and a vector of bytes of columns.
#[inline(always)]
pub fn run<V: ByteVector>(isa: V::Isa, memory: &mut Memory<'_>, step: &QuantizedMatMul) -> Option<()> {
    let end = Uniform::new(memory, &step.requantize, [step.multipliers, step.shifts])?;
    let scalar = end.requantizer();
    let mut stripe = Stripe { quads: [MaybeUninit::uninit(); _], terms: [0; _] };
    let mut row_terms = [0_i32; BLOCK];
    let sizes = [step.m, step.n, step.k];
    let zeros = Zeros::new(step)?;
    let limits = V::limits(isa, &bounds(&scalar, &step.requantize)?);
    let tflite = scalar.rounding == Rounding::Tflite;
    let factors = [scalar.multipliers, scalar.shifts].map(|words| words.as_ptr().cast::<u8>());
    products::<u8>(memory, &step.product(), |result, left, right| {
        let of = Matrices::new(result, left, right, sizes)?;
        for first in (0..of.m).step_by(BLOCK) {
            let count = BLOCK.min(of.m - first);
            V::apart(isa, Terms::<V> { isa, of, zeros, first, terms: row_terms.get_mut(..count)? });
            let product = Product::<V> {
                isa,
                of,
                zeros,
                first,
                row_terms: row_terms.as_ptr(),
                quads: stripe.quads.as_mut_ptr().cast(),
                column_terms: stripe.terms.as_mut_ptr(),
                limits,
                tflite,
                factors,
            };
            product.rows(count);
        }
        Some(())
    })
}

/// The zero points of both matrices, as their types are multiplied.
#[derive(Clone, Copy)]
struct Zeros {
    a: i32,
    b: i32,
    /// Whether `a` is of signed codes, and what stands for `b` unsigned; else the other way round.
    signed: bool,
    /// Whether codes of `b` are flipped.
    flip: u8,
}

impl Zeros {
    fn new(step: &QuantizedMatMul) -> Option<Self> {
        let (a, b) = (step.a_codes, step.b_codes);
        // Zero points are codes.
        zero_byte(a)?;
        zero_byte(b)?;
        let higher = match (a.signed, b.signed) {
            (true, true) => 128,
            (false, false) => -128,
            _ => 0,
        };
        let flip = if higher == 0 { 0 } else { FLIP };
        Some(Self { a: a.zero_point, b: b.zero_point + higher, signed: a.signed, flip })
    }
}

/// The terms of rows: their codes less their zero point, times the zero point of the other matrix.
struct Terms<'a, V: ByteVector> {
    isa: V::Isa,
    of: Matrices,
    zeros: Zeros,
    /// The first row.
    first: usize,
    terms: &'a mut [i32],
}

impl<V: ByteVector> Task for Terms<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { isa, of: Matrices { a, k, .. }, zeros, first, terms } = self;
        let zero = V::splat(isa, zeros.b as u8);
        for (row, term) in terms.iter_mut().enumerate() {
            let mut sum = V::splat(isa, 0);
            for at in (0..k).step_by(V::LANES) {
                // SAFETY: there are as many rows, `k` bytes each.
                let codes = unsafe { V::load_some(isa, a.add((first + row) * k + at), V::LANES.min(k - at)) };
                sum = if zeros.signed {
                    dot::<V, true>(sum, codes, zero)
                } else {
                    dot::<V, false>(sum, codes, zero)
                };
            }
            *term = sum.total().wrapping_sub((k as i32).wrapping_mul(zeros.a * zeros.b));
        }
    }
}

/// A block of rows of a product.
#[derive(Clone, Copy)]
struct Product<V: ByteVector> {
    isa: V::Isa,
    of: Matrices,
    zeros: Zeros,
    /// The first row of the block.
    first: usize,
    row_terms: *const i32,
    quads: *mut u8,
    column_terms: *mut u8,
    limits: V::Limits,
    tflite: bool,
    /// Factors and exponents, those of a vector of sums each.
    factors: [*const u8; 2],
}

impl<V: ByteVector> Product<V> {
    /// As many rows of the block.
    #[inline(always)]
    fn rows(&self, count: usize) {
        for column in (0..self.of.n).step_by(V::LANES) {
            // The first part has the first columns.
            let narrow = self.of.n - column <= V::SUMS / PARTS;
            match (self.zeros.signed, narrow) {
                (false, false) => self.stripe::<PARTS, false>(count, column),
                (true, false) => self.stripe::<PARTS, true>(count, column),
                (false, true) => self.stripe::<1, false>(count, column),
                (true, true) => self.stripe::<1, true>(count, column),
            }
        }
    }

    #[inline(always)]
    fn stripe<const W: usize, const SIGNED: bool>(&self, rows: usize, column: usize) {
        let mut row = 0;
        for (height, count) in split(rows, ROWS) {
            if count == 0 {
                continue;
            }
            match height {
                6 => self.apart::<6, W, SIGNED>(row, count, column),
                5 => self.apart::<5, W, SIGNED>(row, count, column),
                4 => self.apart::<4, W, SIGNED>(row, count, column),
                3 => self.apart::<3, W, SIGNED>(row, count, column),
                2 => self.apart::<2, W, SIGNED>(row, count, column),
                _ => self.apart::<1, W, SIGNED>(row, count, column),
            }
            row += height * count;
        }
    }

    #[inline(always)]
    fn apart<const M: usize, const W: usize, const SIGNED: bool>(
        &self,
        row: usize,
        count: usize,
        column: usize,
    ) {
        V::apart(self.isa, Tiles::<V, M, W, SIGNED> { product: self, row, count, column });
    }

    /// Lays out the columns from `column` on of a block of the depth, and adds to their terms, which begin with the
    /// first block.
    ///
    /// # Safety
    ///
    /// The block and the column must be in the matrix.
    #[inline(always)]
    unsafe fn lay<const W: usize, const SIGNED: bool>(&self, column: usize, first: usize, depth: usize) {
        let &Self { isa, of: Matrices { b, n, .. }, zeros, quads, column_terms, .. } = self;
        let lanes = V::LANES.min(n - column);
        let (flip, zero) = (V::splat(isa, zeros.flip), V::splat(isa, zeros.a as u8));
        let mut terms = [V::splat(isa, 0); W];
        // SAFETY: the caller's; a quad of the block has `W` vectors.
        unsafe {
            if first > 0 {
                for w in 0..W {
                    terms[w] = V::load(isa, column_terms.add(w * V::LANES));
                }
            }
            for at in (0..depth).step_by(QUAD) {
                let mut rows = [V::splat(isa, 0); QUAD];
                for i in 0..QUAD.min(depth - at) {
                    rows[i] = V::load_some(isa, b.add((first + at + i) * n + column), lanes).xor(flip);
                }
                let (upper, lower) = (V::interleave(rows[0], rows[1]), V::interleave(rows[2], rows[3]));
                let low = V::interleave_pairs(upper[0], lower[0]);
                let high = V::interleave_pairs(upper[1], lower[1]);
                let parts = [low[0], low[1], high[0], high[1]];
                for w in 0..W {
                    parts[w].store(quads.add((at / QUAD * W + w) * V::LANES));
                    terms[w] = dot::<V, SIGNED>(terms[w], zero, parts[w]);
                }
            }
            for w in 0..W {
                terms[w].store(column_terms.add(w * V::LANES));
            }
        }
    }
}

/// sum + the dot products of quads of both matrices
#[inline(always)]
fn dot<V: ByteVector, const SIGNED: bool>(sum: V, a: V, b: V) -> V {
    if SIGNED { sum.add_products(b, a) } else { sum.add_products(a, b) }
}

/// `count` tiles of `M` rows, one below the other, of `W` parts of the columns from `column` on.
struct Tiles<'a, V: ByteVector, const M: usize, const W: usize, const SIGNED: bool> {
    product: &'a Product<V>,
    row: usize,
    count: usize,
    column: usize,
}

impl<V: ByteVector, const M: usize, const W: usize, const SIGNED: bool> Task for Tiles<'_, V, M, W, SIGNED> {
    #[inline(always)]
    fn run(self) {
        let Product { isa, of, first: top, row_terms, quads, column_terms, .. } = *self.product;
        for row in (self.row..).step_by(M).take(self.count) {
            // SAFETY: rows, columns and depth are below those that the matrices were seen to have.
            unsafe {
                let a = of.a.add((top + row) * of.k);
                let mut sums = [[V::splat(isa, 0); W]; M];
                for (first, depth) in of.blocks() {
                    if row == 0 || !of.is_one_block() {
                        self.product.lay::<W, SIGNED>(self.column, first, depth);
                    }
                    let whole = depth / QUAD;
                    let mut rows = [a.add(first); M];
                    for m in 1..M {
                        rows[m] = rows[m].add(m * of.k);
                    }
                    for at in 0..whole {
                        add::<V, M, W, SIGNED>(isa, &mut sums, rows, at * QUAD, quads.add(at * W * V::LANES));
                    }
                    if depth % QUAD > 0 {
                        let mut last = [0_u32; M];
                        for m in 0..M {
                            last[m] = rest(rows[m].add(whole * QUAD), depth % QUAD);
                            rows[m] = last.as_ptr().add(m).cast();
                        }
                        add::<V, M, W, SIGNED>(isa, &mut sums, rows, 0, quads.add(whole * W * V::LANES));
                    }
                }
                for w in 0..W {
                    let column_term = V::load(isa, column_terms.add(w * V::LANES));
                    for m in 0..M {
                        let row_term = V::quad(isa, row_terms.add(row + m).cast());
                        sums[m][w] = sums[m][w].subtract(column_term).subtract(row_term);
                    }
                }
                self.store(&sums, row);
            }
        }
    }
}

/// Adds the products of the quads of `M` rows, `at` bytes behind their beginnings, and of `W` parts of the columns.
///
/// # Safety
///
/// The quads must be readable.
#[inline(always)]
unsafe fn add<V: ByteVector, const M: usize, const W: usize, const SIGNED: bool>(
    isa: V::Isa,
    sums: &mut [[V; W]; M],
    rows: [*const u8; M],
    at: usize,
    columns: *const u8,
) {
    let mut right = [V::splat(isa, 0); W];
    for w in 0..W {
        // SAFETY: the caller's.
        right[w] = unsafe { V::load(isa, columns.add(w * V::LANES)) };
    }
    for m in 0..M {
        // SAFETY: the caller's.
        let left = unsafe { V::quad(isa, rows[m].add(at)) };
        for w in 0..W {
            sums[m][w] = dot::<V, SIGNED>(sums[m][w], left, right[w]);
        }
    }
}

/// Less than a quad of bytes, and zeros behind them.
///
/// # Safety
///
/// They must be readable.
#[inline(always)]
unsafe fn rest(from: *const u8, count: usize) -> u32 {
    let mut quad = 0;
    for at in (0..count).rev() {
        // SAFETY: the caller's.
        quad = quad << 8 | u32::from(unsafe { *from.add(at) });
    }
    quad.to_le()
}

impl<V: ByteVector, const M: usize, const W: usize, const SIGNED: bool> Tiles<'_, V, M, W, SIGNED> {
    /// Stores the codes of a tile.
    ///
    /// # Safety
    ///
    /// The tile must be in the result.
    #[inline(always)]
    unsafe fn store(&self, sums: &[[V; W]; M], row: usize) {
        let Product { isa, of, first, limits, tflite, factors, .. } = *self.product;
        let lanes = V::LANES.min(of.n - self.column);
        // SAFETY: the caller's.
        unsafe {
            let [factors, exponents] = factors.map(|words| V::load(isa, words));
            for m in 0..M {
                let mut steps = [V::splat(isa, 0); PARTS];
                for w in 0..W {
                    let sum = sums[m][w];
                    steps[w] =
                        if tflite { sum.fixed_point(factors, exponents) } else { sum.nearest(factors) };
                }
                let to = of.result.add((first + row + m) * of.n + self.column);
                if lanes == V::LANES {
                    V::store_codes(steps, limits, to);
                } else {
                    V::store_some_codes(steps, limits, to, lanes);
                }
            }
        }
    }
}
