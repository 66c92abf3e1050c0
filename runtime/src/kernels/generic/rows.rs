//! The rows of a tile as few pointers.

use super::accumulate::row_of_sums;
use crate::kernels::vector::Vector;

/// Elements of `M` rows that lie at equal distances. A tile of many rows keeps a pointer to every third one: the others
/// lie 1, 2, 4 and 8 rows behind one of them, which is what an address can say. A pointer for each row would not fit the
/// registers, and the compiler would make one from the other, a sum for each. Of a few rows it does well.
pub struct Rows<const M: usize> {
    pointers: [*const f32; MOST.div_ceil(APART)],
    /// Bytes from one row to the next.
    stride: usize,
}

impl<const M: usize> Rows<M> {
    const POINTERS: usize = if M > FEW { M.div_ceil(APART) } else { 1 };

    /// The rows from `first` on, `stride` elements apart.
    #[inline(always)]
    pub fn new(first: *const f32, stride: usize) -> Self {
        let stride = stride.wrapping_mul(size_of::<f32>());
        let pointers = core::array::from_fn(|i| first.wrapping_byte_add((i * APART).wrapping_mul(stride)));
        Self { pointers, stride }.known_by_register()
    }

    /// The next element of each row.
    #[inline(always)]
    pub fn next(self) -> Self {
        Self { pointers: self.pointers.map(|pointer| pointer.wrapping_add(1)), ..self }.known_by_register()
    }

    /// Hides from the compiler how the pointers were made.
    #[inline(always)]
    fn known_by_register(mut self) -> Self {
        if M > FEW {
            for pointer in &mut self.pointers[..Self::POINTERS] {
                *pointer = opaque(*pointer);
            }
        }
        self
    }

    /// `sums[m][w] += row m's element · row[w]`
    ///
    /// # Safety
    ///
    /// The elements must be readable.
    #[inline(always)]
    pub unsafe fn multiply<V: Vector, const W: usize>(
        &self,
        isa: V::Isa,
        sums: &mut [[V; W]; M],
        row: [V; W],
    ) {
        for m in 0..M {
            let (pointer, rows) = if M > FEW { NEAREST[m] } else { (0, m) };
            // SAFETY: the caller's.
            unsafe {
                let a = self.pointers[pointer].wrapping_byte_add(rows.wrapping_mul(self.stride));
                row_of_sums(isa, &mut sums[m], a, row);
            }
        }
    }
}

/// A pointer of which the compiler does not know how it was made.
#[inline(always)]
#[allow(clippy::pointers_in_nomem_asm_block, reason = "nothing is read through it here")]
fn opaque(pointer: *const f32) -> *const f32 {
    #[cfg(target_arch = "x86_64")]
    {
        let same;
        // SAFETY: there is no instruction, and the register keeps its content.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) pointer => same, options(pure, nomem, nostack, preserves_flags));
        }
        same
    }
    #[cfg(not(target_arch = "x86_64"))]
    pointer
}

/// Rows of a tile that a pointer each may have.
pub const FEW: usize = 6;

/// Rows of a tile at most.
const MOST: usize = 14;

/// Rows from one pointer to the next.
const APART: usize = 3;

/// Which pointer is 0, 1, 2, 4 or 8 rows before each row, and how many.
const NEAREST: [(usize, usize); MOST] = {
    let mut nearest = [(0, 0); MOST];
    let mut m = 0;
    while m < MOST {
        let mut pointer = m / APART;
        while !matches!(m - pointer * APART, 0 | 1 | 2 | 4 | 8) {
            pointer -= 1;
        }
        nearest[m] = (pointer, m - pointer * APART);
        m += 1;
    }
    nearest
};
