//! Blocks of few channels: `N` stretches of a row side by side in a vector, laid out and put back.

use crate::kernels::byte_vector::ByteVector;
use crate::kernels::vector::Task;
use core::ops::Range;

/// A row of the input, or what stands for one outside the map.
#[derive(Clone, Copy)]
pub struct Row {
    /// The block's channels of its first column.
    pub at: *const u8,
    /// From one column to the next; 0 outside the map.
    pub apart: usize,
}

/// Lays out columns, all rows of each behind one another.
pub struct LayOut<'a, V: ByteVector, const N: usize> {
    pub isa: V::Isa,
    pub rows: &'a [Row],
    /// The first columns of the stretches; those in front of the map wrap around to huge numbers.
    pub first: [usize; N],
    /// Columns of the map.
    pub width: usize,
    /// Columns to lay out.
    pub count: usize,
    /// What columns outside the map hold.
    pub zeros: *const u8,
    pub to: *mut u8,
}

impl<V: ByteVector, const N: usize> Task for LayOut<'_, V, N> {
    #[inline(always)]
    fn run(self) {
        // Positions in front of the map are huge; from there to the first column is little.
        let start =
            self.first.iter().map(|&first| if first < self.width { 0 } else { 0_usize.wrapping_sub(first) });
        let end = self.first.iter().map(|&first| self.width.wrapping_sub(first));
        let start = start.max().unwrap_or(0).min(self.count);
        let inside = start..end.min().unwrap_or(0).clamp(start, self.count);
        for (row, &Row { at, apart }) in self.rows.iter().enumerate() {
            let from = self.first.map(|first| at.wrapping_add(first.wrapping_mul(apart)));
            for i in 0..inside.start {
                self.border(row, i);
            }
            for i in inside.clone() {
                // SAFETY: whoever made the task vouches for columns in the map and for what is laid out.
                unsafe {
                    let columns = V::load_pieces(self.isa, from.map(|from| from.wrapping_add(i * apart)));
                    columns.store(self.place(row, i));
                }
            }
            for i in inside.end..self.count {
                self.border(row, i);
            }
        }
    }
}

impl<V: ByteVector, const N: usize> LayOut<'_, V, N> {
    /// A column of which some lie outside the map.
    #[inline(always)]
    fn border(&self, row: usize, i: usize) {
        let Row { at, apart } = self.rows[row];
        let from = self.first.map(|first| {
            let column = first.wrapping_add(i);
            if column < self.width { at.wrapping_add(column.wrapping_mul(apart)) } else { self.zeros }
        });
        // SAFETY: as above; zeros are readable.
        unsafe { V::load_pieces(self.isa, from).store(self.place(row, i)) }
    }

    #[inline(always)]
    fn place(&self, row: usize, i: usize) -> *mut u8 {
        self.to.wrapping_add((i * self.rows.len() + row) * V::LANES)
    }
}

/// Puts a row of outputs where it belongs.
pub struct PutBack<V: ByteVector, const N: usize> {
    pub isa: V::Isa,
    pub from: *const u8,
    /// From one output to the next that is laid out.
    pub slot: usize,
    /// Where the stretches begin.
    pub to: [*mut u8; N],
    /// From one output to the next in the map.
    pub apart: usize,
    pub outputs: Range<usize>,
}

impl<V: ByteVector, const N: usize> Task for PutBack<V, N> {
    #[inline(always)]
    fn run(self) {
        for i in self.outputs.clone() {
            // SAFETY: whoever made the task vouches for the outputs.
            unsafe {
                let codes = V::load(self.isa, self.from.wrapping_add(i * self.slot));
                codes.store_pieces(self.to.map(|to| to.wrapping_add(i * self.apart)));
            }
        }
    }
}
