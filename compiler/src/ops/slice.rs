//! Part of a tensor, with steps: `Slice`, and `Split` as one slice an output.

use super::view::{self, View};
use super::{Operator, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{TensorType, dims};

/// `Slice` and `Split`.
pub const ONNX: &[Spelling] = &[("Slice", import), ("Split", import_split)];

/// Attributes before opset 10, operands since. Negative indices count from the end, all are clamped.
fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let mut slice = Slice::whole(&ty);
    let starts = list(call, 1, "starts")?.ok_or_else(|| Fault::model("Slice without starts"))?;
    let ends = list(call, 2, "ends")?.ok_or_else(|| Fault::model("Slice without ends"))?;
    let axes = list(call, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(call, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(Fault::model(format!("starts {starts:?}, ends {ends:?}, axes {axes:?}: lengths differ")));
    }
    shape::axes(&axes, ty.rank())?;
    for (i, &axis) in axes.iter().enumerate() {
        slice.narrow(shape::axis(axis, ty.rank())?, starts[i], ends[i], steps[i])?;
    }
    Ok(vec![emit(call, input, slice)?])
}

fn list(call: &Call<'_>, position: usize, name: &str) -> Result<Option<Vec<i64>>, Fault> {
    match call.integers(position, name)? {
        Some(values) => Ok(Some(values)),
        None => call.attributes.ints(name),
    }
}

/// The slice of a value; the value itself where that is all of it.
///
/// # Errors
///
/// A slice that does not lie inside the value.
pub(super) fn emit(call: &mut Call<'_>, value: NodeId, slice: Slice) -> Result<NodeId, Fault> {
    if slice == Slice::whole(&call.ty(value)) { Ok(value) } else { call.emit(slice, &[value]) }
}

/// Lengths are an attribute before opset 13 and an operand since; without them the parts are equal, or,
/// with `num_outputs`, equal but for a shorter last one.
fn import_split(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let axis = shape::axis(call.attributes.int_or("axis", 0)?, ty.rank())?;
    let lengths = match list(call, 1, "split")? {
        Some(lengths) => shape::dimensions(&lengths)?,
        None => parts(call, ty.shape[axis])?,
    };
    let total = lengths.iter().try_fold(0_usize, |sum, &n| sum.checked_add(n));
    if total != Some(ty.shape[axis]) {
        return Err(Fault::model(format!("parts {lengths:?} of {ty} along axis {axis}")));
    }
    let mut slice = Slice::whole(&ty);
    let mut part = |&length: &usize| {
        slice.shape[axis] = length;
        let output = emit(call, input, slice.clone());
        slice.starts[axis] += length;
        output
    };
    lengths.iter().map(&mut part).collect()
}

fn parts(call: &Call<'_>, length: usize) -> Result<Vec<usize>, Fault> {
    let count = match call.attributes.int("num_outputs")? {
        Some(count) => usize::try_from(count).unwrap_or(0),
        None => call.outputs,
    };
    let uneven = call.attributes.int("num_outputs")?.is_some();
    if count == 0 || count > length.max(1) || (!uneven && !length.is_multiple_of(count)) {
        return Err(Fault::model(format!("a dimension of {length} cannot be split into {count} parts")));
    }
    let part = length.div_ceil(count);
    Ok((0..count).map(|i| part.min(length.saturating_sub(i * part))).collect())
}

/// Part of a tensor, with steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// First index along each dimension.
    pub starts: Vec<usize>,
    /// Step along each dimension; may be negative.
    pub steps: Vec<isize>,
    /// The result's shape.
    pub shape: Vec<usize>,
}

impl Slice {
    /// All of a tensor.
    pub fn whole(ty: &TensorType) -> Self {
        Self { starts: vec![0; ty.rank()], steps: vec![1; ty.rank()], shape: ty.shape.clone() }
    }

    /// Takes `start..end` by `step`, as ONNX and NumPy count, of a dimension that is still whole.
    ///
    /// # Errors
    ///
    /// A step of 0.
    pub fn narrow(&mut self, axis: usize, start: i64, end: i64, step: i64) -> Result<(), Fault> {
        let length = self.shape[axis] as i64;
        if step == 0 {
            return Err(Fault::model("a step of 0"));
        }
        if length == 0 {
            return Ok(());
        }
        let from = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
        // One beyond the last index is `length` upwards and -1 downwards.
        let (start, end) = if step > 0 {
            (from(start).clamp(0, length), from(end).clamp(0, length))
        } else {
            (from(start).clamp(0, length - 1), from(end).clamp(-1, length - 1))
        };
        let count = match step {
            1.. if end > start => (end - start - 1) / step + 1,
            ..=-1 if end < start => (start - end - 1) / step.saturating_neg() + 1,
            _ => 0,
        };
        self.shape[axis] = count as usize;
        self.starts[axis] = if count == 0 { 0 } else { start as usize };
        self.steps[axis] = if count <= 1 { 1 } else { step as isize };
        Ok(())
    }

    fn view(&self, input: &TensorType) -> View {
        let whole = View::whole(&input.shape);
        if self.shape.contains(&0) {
            return whole;
        }
        let offset = |axis: usize| self.starts[axis] * whole.strides[axis] as usize;
        let stride = |axis: usize| match self.shape[axis] {
            1 => whole.strides[axis],
            _ => whole.strides[axis] * self.steps[axis],
        };
        let axes = 0..input.rank();
        View { offset: axes.clone().map(offset).sum(), strides: axes.map(stride).collect() }
    }

    /// Whether every index that is taken along a dimension lies inside `length`.
    fn fits(&self, axis: usize, length: usize) -> bool {
        let Some(last) = self.shape[axis].checked_sub(1) else { return true };
        let end = isize::try_from(last)
            .ok()
            .and_then(|last| last.checked_mul(self.steps[axis]))
            .and_then(|way| self.starts[axis].checked_add_signed(way));
        self.starts[axis] < length && (last == 0 || end.is_some_and(|end| end < length))
    }
}

impl Operator for Slice {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("slice", operands)?;
        let rank = input.rank();
        let ranks = [self.starts.len(), self.steps.len(), self.shape.len()];
        if ranks != [rank; 3] || !(0..rank).all(|axis| self.fits(axis, input.shape[axis])) {
            let message = format!("{} to [{}] is not inside {input}", self.describe(), dims(&self.shape));
            return Err(Fault::model(message));
        }
        Ok(TensorType::new(input.dtype, self.shape.clone()))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        operands[0].gather(ty.clone(), self.view(&operands[0].ty).index(&ty.shape))
    }

    /// `slice :,2:,9::-1`: start and step of each dimension; the lengths are in the result's type.
    fn describe(&self) -> String {
        let part = |(&start, &step): (&usize, &isize)| match (start, step) {
            (0, 1) => ":".to_owned(),
            (_, 1) => format!("{start}:"),
            _ => format!("{start}::{step}"),
        };
        let parts: Vec<String> = self.starts.iter().zip(&self.steps).map(part).collect();
        format!("slice {}", parts.join(","))
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("slice", site.operands)?;
        let to = &site.output.shape;
        Ok(vec![view::copy(input.dtype, to, 0, &self.view(input), &View::whole(to))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    /// Slices `0..5` and compares with what NumPy gives.
    fn check(start: i64, end: i64, step: i64, expect: &[i64]) {
        let input = Array::int(crate::tensor::DType::I64, [5], (0..5).collect());
        let mut slice = Slice::whole(&input.ty);
        slice.narrow(0, start, end, step).unwrap();
        let ty = slice.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(slice.eval(&[&input], &ty).ints(), expect, "{start}:{end}:{step}");
    }

    #[test]
    fn indices_are_clamped() {
        check(1, i64::MAX, 1, &[1, 2, 3, 4]);
        check(-100, 2, 1, &[0, 1]);
        check(7, 9, 1, &[]);
        check(3, 1, 1, &[]);
        check(i64::MIN, i64::MAX, 1, &[0, 1, 2, 3, 4]);
    }

    #[test]
    fn steps_leave_elements_out() {
        check(0, 5, 2, &[0, 2, 4]);
        check(1, -1, 2, &[1, 3]);
        check(1, 5, i64::MAX, &[1]);
    }

    #[test]
    fn negative_steps_walk_down() {
        check(-1, i64::MIN, -1, &[4, 3, 2, 1, 0]);
        check(10, 0, -2, &[4, 2]);
        check(3, -6, -1, &[3, 2, 1, 0]);
        check(0, 3, -1, &[]);
        check(-100, -200, -1, &[0]);
        check(4, 0, i64::MIN, &[4]);
    }

    #[test]
    fn an_empty_dimension_stays_empty() {
        let mut slice = Slice::whole(&TensorType::f32([0]));
        for step in [1, -1] {
            slice.narrow(0, -1, i64::MIN, step).unwrap();
            assert_eq!(slice.shape, [0]);
        }
    }

    #[test]
    fn a_slice_outside_is_refused() {
        let input = [TensorType::f32([5])];
        assert!(Slice { starts: vec![5], steps: vec![1], shape: vec![1] }.infer(&input).is_err());
        assert!(Slice { starts: vec![1], steps: vec![-1], shape: vec![3] }.infer(&input).is_err());
        assert!(Slice { starts: vec![0], steps: vec![isize::MAX], shape: vec![3] }.infer(&input).is_err());
    }

    #[test]
    fn a_split_is_a_slice_for_each_output() {
        let x = Array::float([2, 3], (0..6).map(f64::from).collect());
        let case = Case::new("Split", 13).int("axis", 1).outputs(2).input(x.clone());
        let values = case.clone().list(&[1, 2]).run().unwrap().values;
        assert_eq!(values[0], Array::float([2, 1], vec![0.0, 3.0]));
        assert_eq!(values[1], Array::float([2, 2], vec![1.0, 2.0, 4.0, 5.0]));
        assert!(case.clone().run().is_err(), "3 is not even");
        let uneven = case.int("num_outputs", 2).run().unwrap().values;
        assert_eq!([&uneven[0].ty.shape, &uneven[1].ty.shape], [&[2, 2], &[2, 1]]);
    }

    #[test]
    fn all_of_a_tensor_is_no_slice() {
        let x = Array::float([2, 3], (0..6).map(f64::from).collect());
        let became = Case::new("Slice", 9).ints("starts", &[0]).ints("ends", &[9]).input(x).run().unwrap();
        assert!(!became.text.contains("slice"), "{}", became.text);
    }
}
