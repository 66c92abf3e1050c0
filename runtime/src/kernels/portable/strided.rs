//! Strided views of operands, and the walk over their rows.
//!
//! Dimensions that lie behind one another in every operand are merged, so that the innermost loop, which
//! is the only one that counts, is as long as it can be.

use super::access::Operands;
use crate::memory::Plain;
use crate::steps::Place;

/// Dimensions of a step's shape.
pub const RANK: usize = 6;

/// The product of dimensions.
pub fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &dimension| product.checked_mul(dimension))
}

/// The indices of a shape, and `N` operands' strides along its dimensions.
#[derive(Clone, Debug)]
pub struct Walk<const N: usize> {
    shape: [usize; RANK],
    strides: [[isize; RANK]; N],
}

impl<const N: usize> Walk<N> {
    /// A walk over a shape whose dimensions are all at least 1.
    pub fn new(shape: [usize; RANK], strides: [[isize; RANK]; N]) -> Option<Self> {
        let mut walk = Self { shape: [1; RANK], strides: [[0; RANK]; N] };
        let mut target = RANK;
        for (from, &len) in shape.iter().enumerate().rev() {
            let steps = strides.map(|strides| strides.get(from).copied().unwrap_or(0));
            if len == 1 {
                continue;
            }
            if walk.continues(target, steps)? {
                let walked = walk.shape.get_mut(target)?;
                *walked = walked.checked_mul(len)?;
            } else {
                target = target.checked_sub(1)?;
                *walk.shape.get_mut(target)? = len;
                for (walked, step) in walk.strides.iter_mut().zip(steps) {
                    *walked.get_mut(target)? = step;
                }
            }
        }
        Some(walk)
    }

    /// Whether a dimension with these strides goes on, in all operands, where dimension `target` ends.
    fn continues(&self, target: usize, steps: [isize; N]) -> Option<bool> {
        let Some(&len) = self.shape.get(target) else { return Some(false) };
        let len = isize::try_from(len).ok()?;
        for (walked, step) in self.strides.iter().zip(steps) {
            if walked.get(target)?.checked_mul(len)? != step {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Exchanges the two innermost loops where the inner one is short; only where order does not matter.
    pub fn long_rows_first(&mut self) {
        const SHORT: usize = 8;
        let [.., outer, inner] = self.shape;
        if inner < SHORT && inner < outer {
            self.shape.swap(RANK - 2, RANK - 1);
            self.strides.iter_mut().for_each(|strides| strides.swap(RANK - 2, RANK - 1));
        }
    }

    /// Elements of a row: of the innermost dimension.
    pub fn row_len(&self) -> usize {
        self.shape[RANK - 1]
    }

    /// Strides inside a row.
    pub fn row_strides(&self) -> [isize; N] {
        core::array::from_fn(|operand| self.strides[operand][RANK - 1])
    }

    /// The elements that one operand's indices reach.
    pub fn reach(&self, operand: usize) -> Option<Reach> {
        let (mut low, mut high) = (0_isize, 0_isize);
        for (&len, &stride) in self.shape.iter().zip(self.strides.get(operand)?) {
            let last = isize::try_from(len.checked_sub(1)?).ok()?.checked_mul(stride)?;
            let end = if last < 0 { &mut low } else { &mut high };
            *end = end.checked_add(last)?;
        }
        let origin = low.unsigned_abs();
        Some(Reach { origin, len: origin.checked_add(high.unsigned_abs())?.checked_add(1)? })
    }

    /// An operand of which index 0 lies at `place`.
    pub fn view<'m, T: Plain>(
        &self,
        operand: usize,
        operands: &Operands<'m, '_>,
        place: Place,
    ) -> Option<View<'m, T>> {
        let reach = self.reach(operand)?;
        let elements = operands.slice(reach.first::<T>(place)?, reach.len)?;
        Some(View { elements, origin: reach.origin })
    }

    /// For each row, in row-major order, the offsets of its first elements from index 0.
    pub fn rows(&self) -> Rows<'_, N> {
        let count = elements(&self.shape[..RANK - 1]).unwrap_or(0);
        Rows { walk: self, index: [0; RANK - 1], offsets: [0; N], left: count }
    }
}

/// The elements from the lowest to the highest that a view reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Elements before index 0.
    pub origin: usize,
    /// All elements.
    pub len: usize,
}

impl Reach {
    /// Where the lowest element lies when index 0 lies at `place`.
    pub fn first<T>(&self, place: Place) -> Option<Place> {
        let before = self.origin.checked_mul(size_of::<T>())?;
        Some(match place {
            Place::Arena(at) => Place::Arena(at.checked_sub(before)?),
            Place::Input(index, at) => Place::Input(index, at.checked_sub(before)?),
            Place::Weights(at) => Place::Weights(at.checked_sub(before)?),
        })
    }
}

/// An operand's elements, found by their offset from index 0.
#[derive(Clone, Copy, Debug)]
pub struct View<'m, T> {
    elements: &'m [T],
    origin: usize,
}

impl<'m, T: Copy> View<'m, T> {
    /// `len` neighbours.
    #[inline]
    pub fn row(&self, offset: isize, len: usize) -> Option<&'m [T]> {
        let start = self.origin.checked_add_signed(offset)?;
        self.elements.get(start..start.checked_add(len)?)
    }

    /// One element.
    #[inline]
    pub fn at(&self, offset: isize) -> Option<T> {
        self.elements.get(self.origin.checked_add_signed(offset)?).copied()
    }
}

/// See [`Walk::rows`].
pub struct Rows<'w, const N: usize> {
    walk: &'w Walk<N>,
    index: [usize; RANK - 1],
    offsets: [isize; N],
    left: usize,
}

impl<const N: usize> Iterator for Rows<'_, N> {
    type Item = [isize; N];

    #[inline]
    fn next(&mut self) -> Option<[isize; N]> {
        self.left = self.left.checked_sub(1)?;
        let row = self.offsets;
        for d in (0..RANK - 1).rev() {
            self.index[d] += 1;
            let back = if self.index[d] < self.walk.shape[d] { 0 } else { self.index[d] as isize };
            for (offset, strides) in self.offsets.iter_mut().zip(&self.walk.strides) {
                *offset = offset.wrapping_add(strides[d].wrapping_mul(1 - back));
            }
            if back == 0 {
                break;
            }
            self.index[d] = 0;
        }
        Some(row)
    }
}
