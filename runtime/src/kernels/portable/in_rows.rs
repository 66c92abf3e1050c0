//! Slices in rows, without a path to a panic.

use core::slice::{ChunksExact, ChunksExactMut};

/// A slice as rows of a number of elements, of which a kernel has checked that it is not 0 where there are
/// elements; as the compiler cannot know, 0 counts as 1.
pub trait InRows<T> {
    /// Rows of `len` elements.
    fn rows(&self, len: usize) -> ChunksExact<'_, T>;

    /// Rows of `len` elements.
    fn rows_mut(&mut self, len: usize) -> ChunksExactMut<'_, T>;
}

impl<T> InRows<T> for [T] {
    #[inline(always)]
    fn rows(&self, len: usize) -> ChunksExact<'_, T> {
        self.chunks_exact(len.max(1))
    }

    #[inline(always)]
    fn rows_mut(&mut self, len: usize) -> ChunksExactMut<'_, T> {
        self.chunks_exact_mut(len.max(1))
    }
}
