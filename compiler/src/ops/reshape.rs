//! The same elements under another shape: `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`, and what changes
//! nothing at all (`Identity`, `Dropout`).

use super::{Operator, compose, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::expand::Expand;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType, dims};

/// `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`, `Identity`, `Dropout`.
pub const ONNX: &[Spelling] = &[
    ("Reshape", import_reshape),
    ("Flatten", import_flatten),
    ("Squeeze", import_squeeze),
    ("Unsqueeze", import_unsqueeze),
    ("Identity", |call| Ok(vec![call.input(0)?])),
    ("Dropout", import_dropout),
];

/// 0 copies the dimension at its place (unless `allowzero`), −1 is what is left.
fn import_reshape(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let wanted = match call.integers(1, "the shape")? {
        Some(wanted) => wanted,
        None => call.attributes.ints("shape")?.ok_or_else(|| Fault::model("Reshape without a shape"))?,
    };
    let shape = resolve(&ty, &wanted, call.attributes.int_or("allowzero", 0)? != 0)?;
    Ok(vec![compose::reshape(call, input, shape)?])
}

fn resolve(ty: &TensorType, wanted: &[i64], zeros: bool) -> Result<Vec<usize>, Fault> {
    let misfit = || Fault::model(format!("{ty} cannot take the shape {wanted:?}"));
    let dimension = |(i, &n): (usize, &i64)| match n {
        0 if !zeros => ty.shape.get(i).copied().ok_or_else(misfit),
        -1 => Ok(1),
        _ => usize::try_from(n).map_err(|_| misfit()),
    };
    let mut shape = wanted.iter().enumerate().map(dimension).collect::<Result<Vec<_>, _>>()?;
    let mut rest = wanted.iter().enumerate().filter(|&(_, &n)| n == -1).map(|(i, _)| i);
    if let Some(at) = rest.next() {
        let known = TensorType::checked(ty.dtype, shape.clone())?.elements();
        if rest.next().is_some() || known == 0 || !ty.elements().is_multiple_of(known) {
            return Err(misfit());
        }
        shape[at] = ty.elements() / known;
    }
    Ok(shape)
}

/// `[product of the dimensions before the axis, product of the others]`
fn import_flatten(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let axis = match call.attributes.int_or("axis", 1)? {
        axis if axis == ty.rank() as i64 => ty.rank(),
        axis => shape::axis(axis, ty.rank())?,
    };
    let (rows, columns) = ty.shape.split_at(axis);
    Ok(vec![compose::reshape(call, input, vec![rows.iter().product(), columns.iter().product()])?])
}

/// Axes are an attribute before opset 13 and an operand since.
fn axes(call: &Call<'_>) -> Result<Option<Vec<i64>>, Fault> {
    match call.integers(1, "the list of axes")? {
        Some(axes) => Ok(Some(axes)),
        None => call.attributes.ints("axes"),
    }
}

fn import_squeeze(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let gone: Vec<usize> = match axes(call)? {
        Some(axes) => shape::axes(&axes, ty.rank())?,
        None => (0..ty.rank()).filter(|&i| ty.shape[i] == 1).collect(),
    };
    if let Some(&axis) = gone.iter().find(|&&i| ty.shape[i] != 1) {
        return Err(Fault::model(format!("dimension {axis} of {ty} is not 1 and cannot be squeezed")));
    }
    let stays = |&(i, _): &(usize, &usize)| !gone.contains(&i);
    let shape: Vec<usize> = ty.shape.iter().enumerate().filter(stays).map(|(_, &d)| d).collect();
    Ok(vec![compose::reshape(call, input, shape)?])
}

fn import_unsqueeze(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let axes = axes(call)?.ok_or_else(|| Fault::model("Unsqueeze without axes"))?;
    let rank = ty.rank() + axes.len();
    let new = shape::axes(&axes, rank)?;
    let mut old = ty.shape.iter().copied();
    let dimension = |i| if new.contains(&i) { Some(1) } else { old.next() };
    let shape: Vec<usize> = (0..rank).filter_map(dimension).collect();
    Ok(vec![compose::reshape(call, input, shape)?])
}

/// When inferring, the input; the mask, if it is asked for, keeps everything.
fn import_dropout(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let training = call.integers(2, "training_mode")?.is_some_and(|mode| mode.iter().any(|&m| m != 0));
    if training {
        return Err(Fault::unsupported("Dropout with training_mode").help("export the model in eval mode"));
    }
    let input = call.input(0)?;
    let mut outputs = vec![input];
    if call.outputs > 1 {
        let one = call.emit_scalar(DType::Bool, 1.0);
        let shape = call.ty(input).shape;
        outputs.push(call.emit(Expand { shape }, &[one])?);
    }
    Ok(outputs)
}

/// The first operand's elements under another shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The result's shape, every dimension given.
    pub shape: Vec<usize>,
}

impl Operator for Reshape {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("reshape", operands)?;
        let ty = TensorType::checked(input.dtype, self.shape.clone())?;
        if ty.elements() == input.elements() {
            Ok(ty)
        } else {
            Err(Fault::model(format!("{input} cannot take the shape [{}]", dims(&self.shape))))
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        Array { ty: ty.clone(), data: operands[0].data.clone() }
    }

    fn describe(&self) -> String {
        "reshape".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }

    fn is_view(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    fn check(shape: &[usize], wanted: &[i64], expect: Option<&[usize]>) {
        assert_eq!(resolve(&TensorType::f32(shape), wanted, false).ok().as_deref(), expect, "{wanted:?}");
    }

    #[test]
    fn zero_copies_and_minus_one_is_what_is_left() {
        check(&[2, 3, 4], &[0, -1], Some(&[2, 12]));
        check(&[2, 3, 4], &[4, 0, -1], Some(&[4, 3, 2]));
        check(&[], &[-1], Some(&[1]));
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        check(&[2, 3], &[-1, -1], None);
        check(&[2, 3], &[4, -1], None);
        check(&[2, 3], &[2, 3, 0], None);
        check(&[2, 3], &[-2, 3], None);
        check(&[2, 3], &[i64::MAX, i64::MAX, -1], None);
        check(&[0, 3], &[0, -1], None);
    }

    #[test]
    fn allowzero_keeps_an_empty_dimension() {
        assert_eq!(resolve(&TensorType::f32([0, 3]), &[3, 0], true), Ok(vec![3, 0]));
    }

    fn shape_of(case: Case) -> Vec<usize> {
        case.run().unwrap().values[0].ty.shape.clone()
    }

    #[test]
    fn axes_are_attributes_or_operands() {
        let x = Array::float([1, 3, 1], vec![0.0; 3]);
        assert_eq!(shape_of(Case::new("Squeeze", 11).input(x.clone())), [3]);
        assert_eq!(shape_of(Case::new("Squeeze", 11).ints("axes", &[0]).input(x.clone())), [3, 1]);
        assert_eq!(shape_of(Case::new("Squeeze", 13).input(x.clone()).list(&[-1])), [1, 3]);
        assert!(Case::new("Squeeze", 13).input(x.clone()).list(&[1]).run().is_err());
        assert_eq!(shape_of(Case::new("Unsqueeze", 13).input(x.clone()).list(&[-1, 0])), [1, 1, 3, 1, 1]);
        assert_eq!(shape_of(Case::new("Flatten", 13).int("axis", -1).input(x)), [3, 1]);
    }

    #[test]
    fn dropout_keeps_everything() {
        let x = Array::float([2], vec![1.0, 2.0]);
        let became = Case::new("Dropout", 13).outputs(2).input(x.clone()).run().unwrap();
        assert_eq!(became.values, [x, Array::int(DType::Bool, [2], vec![1, 1])]);
    }
}
