//! What operators ask of their operands, and the sentences for operands that do not fit.

use crate::error::Fault;
use crate::tensor::{DType, TensorType};
use std::ops::RangeInclusive;

/// As many operands as `range` allows, all of them `f32`.
pub(super) fn floats(
    operator: &str,
    operands: &[TensorType],
    range: RangeInclusive<usize>,
) -> Result<(), Fault> {
    if !range.contains(&operands.len()) {
        return Err(Fault::model(format!(
            "{operator} takes {} to {} operands, not {}",
            range.start(),
            range.end(),
            operands.len()
        )));
    }
    match operands.iter().find(|ty| ty.dtype != DType::F32) {
        Some(ty) => Err(Fault::unsupported(format!("{operator} of {ty}; it computes in f32"))),
        None => Ok(()),
    }
}

/// A map `[N, H, W, C]` with at least one element.
pub(super) fn map(operator: &str, ty: &TensorType) -> Result<[usize; 4], Fault> {
    match ty.shape[..] {
        [n, h, w, c] if !ty.shape.contains(&0) => Ok([n, h, w, c]),
        [_, _, _, _] => Err(Fault::model(format!("{operator} of {ty}, which has no elements"))),
        _ => Err(Fault::model(format!("{operator} of {ty}; it takes a map [N,H,W,C]"))),
    }
}

/// An operand of exactly this shape.
pub(super) fn shape(operator: &str, what: &str, ty: &TensorType, shape: &[usize]) -> Result<(), Fault> {
    if ty.shape == shape {
        Ok(())
    } else {
        let wanted = TensorType::new(ty.dtype, shape);
        Err(Fault::model(format!("{what} of {operator} is {ty}, but {wanted} fits")))
    }
}
