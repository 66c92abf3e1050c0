//! By multiply-adds of pairs in 16 bits: codes less their zero points are of 9 bits, so that two products stay far below
//! 2^31 and nothing saturates. Bound by a product and an addition for each vector of sums and pair, three a cycle.

use super::{DEPTH, Matrices, ROWS};
use crate::kernels::code_vector::{CHANNELS, CodeVector};
use crate::kernels::generic::codes::end::End;
use crate::kernels::generic::requantize::{Uniform, flip, zero_byte};
use crate::kernels::generic::split::split;
use crate::kernels::portable::matmul::products;
use crate::kernels::vector::Task;
use crate::memory::Memory;
use crate::steps::{Codes, QuantizedMatMul};
use core::mem::MaybeUninit;

/// See [`QuantizedMatMul`]; tiles of up to 6 rows × 16 columns.
#[inline(always)]
pub fn run<V: CodeVector>(isa: V::Isa, memory: &mut Memory<'_>, step: &QuantizedMatMul) -> Option<()> {
    let end = Uniform::new(memory, &step.requantize, [step.multipliers, step.shifts])?;
    let end = End::of(isa, end.requantizer(), &step.requantize)?;
    let mut rows = [MaybeUninit::<i16>::uninit(); DEPTH * ROWS];
    let mut columns = [MaybeUninit::<i16>::uninit(); DEPTH * CHANNELS];
    let (rows, columns) = (rows.as_mut_ptr().cast(), columns.as_mut_ptr().cast());
    let [a, b] = [Centre::new(step.a_codes)?, Centre::new(step.b_codes)?];
    let sizes = [step.m, step.n, step.k];
    products::<u8>(memory, &step.product(), |result, left, right| {
        let of = Matrices::new(result, left, right, sizes)?;
        Product::<V> { isa, of, a, b, rows, columns, end }.compute();
        Some(())
    })
}

/// What makes a byte a code less its zero point.
#[derive(Clone, Copy)]
struct Centre {
    flip: u8,
    minus_zero: i16,
}

impl Centre {
    fn new(codes: Codes) -> Option<Self> {
        Some(Self { flip: flip(codes), minus_zero: -i16::from(zero_byte(codes)?) })
    }
}

#[derive(Clone, Copy)]
struct Product<'m, V: CodeVector> {
    isa: V::Isa,
    of: Matrices,
    a: Centre,
    b: Centre,
    /// A block of the rows of a tile, [`DEPTH`] numbers each.
    rows: *mut i16,
    /// A block of a stripe: pairs of 16 columns in narrowing order.
    columns: *mut i16,
    end: End<'m, V>,
}

impl<V: CodeVector> Product<'_, V> {
    #[inline(always)]
    fn compute(&self) {
        let Matrices { m, n, .. } = self.of;
        for column in (0..n).step_by(CHANNELS) {
            // The last stripe is whole where there is one.
            let column = column.min(n.saturating_sub(CHANNELS));
            let mut row = 0;
            for (height, count) in split(m, ROWS) {
                if count == 0 {
                    continue;
                }
                match height {
                    6 => self.apart::<6>(row, count, column),
                    5 => self.apart::<5>(row, count, column),
                    4 => self.apart::<4>(row, count, column),
                    3 => self.apart::<3>(row, count, column),
                    2 => self.apart::<2>(row, count, column),
                    _ => self.apart::<1>(row, count, column),
                }
                row += height * count;
            }
        }
    }

    #[inline(always)]
    fn apart<const M: usize>(&self, row: usize, count: usize, column: usize) {
        V::apart(self.isa, Tiles::<V, M> { product: self, row, count, column });
    }

    /// Lays out the columns from `column` on of a block of the depth.
    ///
    /// # Safety
    ///
    /// The block and the column must be in the matrix.
    #[inline(always)]
    unsafe fn lay_columns(&self, column: usize, first: usize, depth: usize) {
        let &Self { isa, of: Matrices { b, n, .. }, b: Centre { flip, minus_zero }, .. } = self;
        let lanes = CHANNELS.min(n - column);
        // SAFETY: the caller's; a pair of the block has 32 numbers.
        unsafe {
            let minus_zero = V::pair(isa, [minus_zero; 2].as_ptr());
            let row = |at: usize| {
                let mut from = b.add((first + at) * n + column);
                let mut some = [0_u8; CHANNELS];
                if lanes < CHANNELS {
                    from.copy_to_nonoverlapping(some.as_mut_ptr(), lanes);
                    from = some.as_ptr();
                }
                V::add_pairs(V::numbers(isa, from, flip), minus_zero)
            };
            for at in (0..depth).step_by(2) {
                // Beside a row that has none, any will do: the other matrix has zeros there.
                let pairs = V::interleave(row(at), row((at + 1).min(depth - 1)));
                let to = self.columns.add(at * CHANNELS);
                V::store_pairs(pairs[0], to);
                V::store_pairs(pairs[1], to.add(CHANNELS));
            }
        }
    }

    /// Lays out `M` rows from `row` on of a block of the depth; an even number of numbers each.
    ///
    /// # Safety
    ///
    /// The block and the rows must be in the matrix.
    #[inline(always)]
    unsafe fn lay_rows<const M: usize>(&self, row: usize, first: usize, depth: usize) {
        let &Self { of: Matrices { a, k, .. }, a: Centre { flip, minus_zero }, rows, .. } = self;
        for m in 0..M {
            // SAFETY: the caller's; there is room for `DEPTH` numbers of each row, which is even.
            unsafe {
                let (from, to) = (a.add((row + m) * k + first), rows.add(m * DEPTH));
                for at in 0..depth {
                    *to.add(at) = i16::from(*from.add(at) ^ flip) + minus_zero;
                }
                if depth % 2 == 1 {
                    *to.add(depth) = 0;
                }
            }
        }
    }
}

/// `count` tiles of `M` rows, one below the other, of the columns from `column` on.
struct Tiles<'a, V: CodeVector, const M: usize> {
    product: &'a Product<'a, V>,
    row: usize,
    count: usize,
    column: usize,
}

impl<V: CodeVector, const M: usize> Task for Tiles<'_, V, M> {
    #[inline(always)]
    fn run(self) {
        let Product { isa, of, rows, columns, end, .. } = *self.product;
        let column = self.column;
        for row in (self.row..).step_by(M).take(self.count) {
            // SAFETY: rows, columns and depth are below those that the matrices were seen to have.
            unsafe {
                let zero = V::load(isa, [0; CHANNELS].as_ptr());
                let mut sums = [[zero; 2]; M];
                for (first, depth) in of.blocks() {
                    if row == 0 || !of.is_one_block() {
                        self.product.lay_columns(column, first, depth);
                    }
                    self.product.lay_rows::<M>(row, first, depth);
                    for at in (0..depth).step_by(2) {
                        let from = columns.add(at * CHANNELS);
                        let right = [V::pairs(isa, from), V::pairs(isa, from.add(CHANNELS))];
                        for m in 0..M {
                            let left = V::pair(isa, rows.add(m * DEPTH + at));
                            for w in 0..2 {
                                sums[m][w] = sums[m][w].add_products(left, right[w]);
                            }
                        }
                    }
                }
                let to = of.result.add(row * of.n + column);
                end.store(isa, sums, 0, to, of.n, CHANNELS.min(of.n - column));
            }
        }
    }
}
