//! Shape arithmetic that operators share: axes, broadcasting, a tensor seen along an axis.
//!
//! Axes and dimensions may come from a hostile model; what cannot be is a [`Fault`]. Sizes of tensors
//! that exist are bounded by [`TensorType::checked`].

use crate::error::Fault;
use crate::tensor::{TensorType, dims};

/// Entries of the largest table (indices, interpolation positions) that an operator carries.
pub const MAX_TABLE: usize = 1 << 20;

/// Exactly `N` operands of an operator that is called `what` in the message.
///
/// # Errors
///
/// Another number of operands.
pub fn operands<'a, const N: usize>(
    what: &str,
    operands: &'a [TensorType],
) -> Result<&'a [TensorType; N], Fault> {
    operands
        .try_into()
        .map_err(|_| Fault::model(format!("{what} takes {N} operand(s) and has {}", operands.len())))
}

/// ONNX (NumPy) broadcasting: aligned at the last dimension, a length of 1 stretches.
///
/// # Errors
///
/// Dimensions that differ and are not 1.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Fault> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(Fault::model(format!("[{}] and [{}] do not broadcast", dims(a), dims(b)))),
        })
        .collect()
}

/// An axis of a tensor; a negative one counts from the end.
///
/// # Errors
///
/// An axis outside the rank.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let from = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    from.and_then(|a| usize::try_from(a).ok())
        .filter(|&a| a < rank)
        .ok_or_else(|| Fault::model(format!("axis {axis} is outside a tensor of {rank} dimension(s)")))
}

/// Different axes, ascending; negative ones count from the end.
///
/// # Errors
///
/// An axis outside the rank, or twice the same.
pub fn axes(values: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let mut axes = values.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Fault::model(format!("axes {values:?} name a dimension twice")));
    }
    Ok(axes)
}

/// Dimensions as a model gives them.
///
/// # Errors
///
/// A negative one.
pub fn dimensions(values: &[i64]) -> Result<Vec<usize>, Fault> {
    let dimension = |&n: &i64| {
        usize::try_from(n)
            .map_err(|_| Fault::model(format!("dimension {n} of the shape {values:?} is negative")))
    };
    values.iter().map(dimension).collect()
}

/// A tensor seen along some neighbouring axes: `[outer, len, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Product of the dimensions before.
    pub outer: usize,
    /// Product of the dimensions themselves.
    pub len: usize,
    /// Product of the dimensions behind.
    pub inner: usize,
}

impl Split {
    /// Along one axis, which must be inside the rank.
    pub fn at(shape: &[usize], axis: usize) -> Self {
        Self::over(shape, axis..axis + 1)
    }

    /// Along neighbouring axes, which must be inside the rank.
    pub fn over(shape: &[usize], axes: std::ops::Range<usize>) -> Self {
        Self {
            outer: shape[..axes.start].iter().product(),
            len: shape[axes.clone()].iter().product(),
            inner: shape[axes.end..].iter().product(),
        }
    }

    /// `(o, i)` of a flat position in `[outer, inner]`.
    pub fn outer_inner(&self, flat: usize) -> (usize, usize) {
        (flat / self.inner.max(1), flat % self.inner.max(1))
    }

    /// Flat position of `[o, l, i]`.
    pub fn position(&self, outer: usize, l: usize, inner: usize) -> usize {
        (outer * self.len + l) * self.inner + inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_aligns_at_the_last_dimension() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]), Ok(vec![2, 4, 3]));
        assert_eq!(broadcast(&[], &[0, 2]), Ok(vec![0, 2]));
        assert!(broadcast(&[2], &[3]).is_err());
    }

    #[test]
    fn axes_count_from_either_end() {
        assert_eq!(axes(&[-1, 0], 4), Ok(vec![0, 3]));
        assert!(axes(&[3, -1], 4).is_err());
        assert!(axis(i64::MIN, 4).is_err());
        assert!(axis(0, 0).is_err());
    }
}
