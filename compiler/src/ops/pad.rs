//! Padding with one value; reflected, repeated and wrapped borders are gathers, negative pads slices.

use super::shape::{self, MAX_TABLE};
use super::slice::{self, Slice};
use super::view::{self, View};
use super::{Operator, gather};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Packed, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, Tensor, TensorType, dims};
use mobilec_targets::{Family, Shape};

/// `Pad`.
pub const ONNX: &[Spelling] = &[("Pad", import)];

/// What lies in the border.
#[derive(Clone, Copy)]
enum Border {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let border = match call.attributes.string("mode")?.as_deref() {
        None | Some("constant") => Border::Constant,
        Some("reflect") => Border::Reflect,
        Some("edge") => Border::Edge,
        Some("wrap") => Border::Wrap,
        Some(mode) => return Err(Fault::model(format!("mode = {mode:?} of Pad"))),
    };
    let pads = pads(call, call.ty(input).rank())?;
    let cut = crop(call, input, &pads)?;
    let grow: Vec<[usize; 2]> = pads.iter().map(|pair| pair.map(|n| n.max(0) as usize)).collect();
    match border {
        Border::Constant => Ok(vec![constant(call, cut, &grow)?]),
        Border::Reflect | Border::Edge | Border::Wrap => Ok(vec![mirror(call, cut, &grow, border)?]),
    }
}

/// In front and behind, along each dimension. Attributes before opset 11, operands since.
fn pads(call: &Call<'_>, rank: usize) -> Result<Vec<[i64; 2]>, Fault> {
    let given = match call.integers(1, "the list of pads")? {
        Some(pads) => pads,
        None => call.attributes.ints("pads")?.ok_or_else(|| Fault::model("Pad without pads"))?,
    };
    let axes: Vec<usize> = match call.integers(3, "the list of axes")? {
        Some(axes) => {
            shape::axes(&axes, rank)?;
            axes.iter().map(|&a| shape::axis(a, rank)).collect::<Result<_, _>>()?
        }
        None => (0..rank).collect(),
    };
    let small = given.iter().all(|n| n.unsigned_abs() < MAX_TABLE as u64);
    if given.len() != 2 * axes.len() || !small {
        return Err(Fault::model(format!("pads {given:?} for {} dimension(s)", axes.len())));
    }
    let mut pads = vec![[0, 0]; rank];
    for (i, &axis) in axes.iter().enumerate() {
        pads[axis] = [given[i], given[i + axes.len()]];
    }
    Ok(pads)
}

/// Negative pads cut off.
fn crop(call: &mut Call<'_>, value: NodeId, pads: &[[i64; 2]]) -> Result<NodeId, Fault> {
    let ty = call.ty(value);
    let mut slice = Slice::whole(&ty);
    for (axis, pair) in pads.iter().enumerate() {
        let [before, after] = pair.map(|n| n.min(0).unsigned_abs() as usize);
        slice.starts[axis] = before;
        slice.shape[axis] = ty.shape[axis].checked_sub(before + after).ok_or_else(|| {
            Fault::model(format!("pads {pair:?} cut more than dimension {axis} of {ty} has"))
        })?;
    }
    slice::emit(call, value, slice)
}

fn constant(call: &mut Call<'_>, value: NodeId, pads: &[[usize; 2]]) -> Result<NodeId, Fault> {
    let border = match call.constant(2, "the value")? {
        Some(tensor) => tensor.to_f64().first().copied().unwrap_or(0.0),
        None => f64::from(call.attributes.float_or("value", 0.0)?),
    };
    if pads.iter().all(|pair| *pair == [0, 0]) {
        return Ok(value);
    }
    let [before, after] = [0, 1].map(|side| pads.iter().map(|pair| pair[side]).collect());
    call.emit(Pad { before, after, value: border }, &[value])
}

/// One gather an axis.
fn mirror(call: &mut Call<'_>, value: NodeId, pads: &[[usize; 2]], border: Border) -> Result<NodeId, Fault> {
    let ty = call.ty(value);
    let mut value = value;
    for (axis, &[before, after]) in pads.iter().enumerate().filter(|(_, pair)| **pair != [0, 0]) {
        let length = ty.shape[axis];
        if length == 0 || length > MAX_TABLE {
            return Err(Fault::model(format!("dimension {axis} of {ty} has nothing to repeat")));
        }
        let positions = -(before as i64)..(length + after) as i64;
        let indices = positions.map(|at| border.source(at, length as i64) as usize).collect();
        value = gather::emit(call, value, axis, indices)?;
    }
    Ok(value)
}

impl Border {
    /// The index inside `0..length` that a position in the border repeats.
    fn source(self, at: i64, length: i64) -> i64 {
        match self {
            Self::Constant | Self::Edge => at.clamp(0, length - 1),
            Self::Wrap => at.rem_euclid(length),
            Self::Reflect => {
                let period = (2 * (length - 1)).max(1);
                let at = at.rem_euclid(period);
                at.min(period - at).min(length - 1)
            }
        }
    }
}

/// Padding with one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Elements in front, along each dimension.
    pub before: Vec<usize>,
    /// Elements behind, along each dimension.
    pub after: Vec<usize>,
    /// The value.
    pub value: f64,
}

impl Pad {
    /// Where the operand's elements lie in the result.
    fn inside(&self, shape: &[usize]) -> View {
        let whole = View::whole(shape);
        let starts = self.before.iter().zip(&whole.strides);
        View { offset: starts.map(|(&n, &stride)| n * stride as usize).sum(), ..whole }
    }

    /// The value, as an array of one element of the type.
    fn border(&self, dtype: DType) -> Array {
        if dtype.is_float() {
            Array::float([], vec![self.value])
        } else {
            Array::int(dtype, [], vec![self.value as i64])
        }
    }
}

impl Operator for Pad {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("pad", operands)?;
        if self.before.len() != input.rank() || self.after.len() != input.rank() {
            return Err(Fault::model(format!("{} of {input}", self.describe())));
        }
        let sums = input.shape.iter().zip(self.before.iter().zip(&self.after));
        let shape: Vec<usize> =
            sums.map(|(d, (&before, &after))| d.saturating_add(before).saturating_add(after)).collect();
        Ok(TensorType::new(input.dtype, shape))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let input = operands[0];
        let mut result = self.border(ty.dtype).gather(ty.clone(), |_| 0);
        let at = self.inside(&ty.shape).index(&input.ty.shape);
        match (&mut result.data, &input.data) {
            (Data::Float(to), Data::Float(from)) => {
                from.iter().enumerate().for_each(|(i, &x)| to[at(i)] = x);
            }
            (Data::Int(to), Data::Int(from)) => from.iter().enumerate().for_each(|(i, &x)| to[at(i)] = x),
            (Data::Float(_), Data::Int(_)) | (Data::Int(_), Data::Float(_)) => {}
        }
        result
    }

    fn describe(&self) -> String {
        let mut text = format!("pad before={} after={}", dims(&self.before), dims(&self.after));
        if self.value != 0.0 {
            text += &format!(" value={}", self.value);
        }
        text
    }

    /// Everything is filled, then the operand copied inside.
    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("pad", site.operands)?;
        let len = site.output.elements();
        let value = Tensor::from(&self.border(input.dtype)).bytes().to_vec();
        let fill = Request {
            family: Family::Fill,
            dtype: view::moved(input.dtype),
            shape: Shape::elements(len),
            fields: vec![
                ("output", Arg::Place(Operand::Output, 0)),
                ("len", Arg::Usize(len)),
                ("value", Arg::Weights(Packed::Raw(value))),
            ],
            rows: Rows::Whole,
            in_place: false,
        };
        let inside = self.inside(&site.output.shape);
        let copy = view::copy(input.dtype, &input.shape, 0, &View::whole(&input.shape), &inside)?;
        Ok(if input.elements() == 0 { vec![fill] } else { vec![fill, copy] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    #[test]
    fn the_operand_lies_inside_the_border() {
        let input = Array::float([1, 2], vec![1.0, 2.0]);
        let op = Pad { before: vec![1, 0], after: vec![0, 1], value: 9.0 };
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(op.eval(&[&input], &ty), Array::float([2, 3], vec![9.0, 9.0, 9.0, 1.0, 2.0, 9.0]));
    }

    #[test]
    fn the_copy_starts_behind_the_border() {
        let operands = [TensorType::f32([1, 2])];
        let output = TensorType::f32([2, 3]);
        let site = Site { operands: &operands, constants: &[None], output: &output };
        let op = Pad { before: vec![1, 0], after: vec![0, 1], value: 9.0 };
        let requests = op.lower(&site).unwrap();
        let value = Arg::Weights(Packed::Raw(9.0_f32.to_le_bytes().to_vec()));
        assert_eq!(requests[0].fields[2], ("value", value));
        assert_eq!(requests[1].fields[1], ("output", Arg::Place(Operand::Output, 12)));
    }

    fn check(border: Border, length: i64, positions: std::ops::Range<i64>, expect: &[i64]) {
        assert_eq!(positions.map(|at| border.source(at, length)).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn borders_repeat_as_numpy_repeats() {
        check(Border::Reflect, 3, -3..6, &[1, 2, 1, 0, 1, 2, 1, 0, 1]);
        check(Border::Reflect, 1, -2..2, &[0, 0, 0, 0]);
        check(Border::Edge, 3, -2..5, &[0, 0, 0, 1, 2, 2, 2]);
        check(Border::Wrap, 3, -2..5, &[1, 2, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn padding_that_overflows_is_too_large() {
        let op = Pad { before: vec![usize::MAX], after: vec![2], value: 0.0 };
        let ty = op.infer(&[TensorType::f32([3])]).unwrap();
        assert!(TensorType::checked(ty.dtype, ty.shape).is_err());
    }

    #[test]
    fn negative_pads_cut_before_the_rest_is_mirrored() {
        let x = Array::float([4], vec![1.0, 2.0, 3.0, 4.0]);
        let case = Case::new("Pad", 13).text("mode", "reflect").input(x).list(&[2, -1]);
        let became = case.run().unwrap();
        assert_eq!(became.values, [Array::float([5], vec![3.0, 2.0, 1.0, 2.0, 3.0])]);
    }

    #[test]
    fn axes_that_are_named_are_padded() {
        let x = Array::int(DType::U8, [1, 2], vec![1, 2]);
        let value = Array::int(DType::U8, [], vec![255]);
        let case = Case::new("Pad", 18).input(x).list(&[0, 1]).constant(value).list(&[-1]);
        assert_eq!(case.run().unwrap().values, [Array::int(DType::U8, [1, 3], vec![1, 2, 255])]);
    }
}
