//! Broadcasting to a shape: `Expand`, and `Tile` as an expansion of dimensions of its own.

use super::view::{self, View};
use super::{Operator, compose, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{TensorType, dims};

/// `Expand` and `Tile`.
pub const ONNX: &[Spelling] = &[("Expand", import), ("Tile", import_tile)];

/// The shape and the input's are broadcast with each other.
fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let wanted = call.integers(1, "the shape")?.ok_or_else(|| Fault::model("Expand without a shape"))?;
    let shape = shape::broadcast(&call.ty(input).shape, &shape::dimensions(&wanted)?)?;
    Ok(vec![emit(call, input, shape)?])
}

fn emit(call: &mut Call<'_>, value: NodeId, shape: Vec<usize>) -> Result<NodeId, Fault> {
    if call.ty(value).shape == shape { Ok(value) } else { call.emit(Expand { shape }, &[value]) }
}

/// `[a, b]` by `[r, s]`: `[1, a, 1, b]` → `[r, a, s, b]` → `[r·a, s·b]`
fn import_tile(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let repeats = call.integers(1, "the list of repeats")?;
    let repeats = shape::dimensions(&repeats.ok_or_else(|| Fault::model("Tile without repeats"))?)?;
    if repeats.len() != ty.rank() {
        return Err(Fault::model(format!("{ty} by repeats {repeats:?}")));
    }
    let (mut apart, mut tiled, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for (&d, &r) in ty.shape.iter().zip(&repeats) {
        if r != 1 && d != 1 {
            apart.push(1);
            tiled.push(r);
        }
        apart.push(d);
        tiled.push(if d == 1 { r } else { d });
        whole.push(d.saturating_mul(r));
    }
    let value = compose::reshape(call, input, apart)?;
    let value = emit(call, value, tiled)?;
    Ok(vec![compose::reshape(call, value, whole)?])
}

/// Broadcasting to a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Expand {
    /// The result's shape.
    pub shape: Vec<usize>,
}

impl Operator for Expand {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("expand", operands)?;
        match shape::broadcast(&input.shape, &self.shape) {
            Ok(shape) if shape == self.shape => Ok(TensorType::new(input.dtype, shape)),
            Ok(_) | Err(_) => {
                Err(Fault::model(format!("{input} does not stretch to [{}]", dims(&self.shape))))
            }
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let view = View::broadcast(&operands[0].ty.shape, &ty.shape);
        operands[0].gather(ty.clone(), view.index(&ty.shape))
    }

    fn describe(&self) -> String {
        "expand".into()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("expand", site.operands)?;
        let to = &site.output.shape;
        let view = View::broadcast(&input.shape, to);
        Ok(vec![view::copy(input.dtype, to, 0, &view, &View::whole(to))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    #[test]
    fn ones_stretch_and_dimensions_are_added_in_front() {
        let input = Array::float([2, 1], vec![1.0, 2.0]);
        let op = Expand { shape: vec![2, 2, 2] };
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(op.eval(&[&input], &ty).floats(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn the_shape_must_be_the_result_of_broadcasting() {
        assert!(Expand { shape: vec![1, 2] }.infer(&[TensorType::f32([3, 2])]).is_err());
        assert!(Expand { shape: vec![2] }.infer(&[TensorType::f32([3, 2])]).is_err());
    }

    #[test]
    fn tiles_repeat_whole_dimensions() {
        let x = Array::float([2, 1], vec![1.0, 2.0]);
        let tiled = Case::new("Tile", 13).input(x).list(&[2, 2]).run().unwrap();
        assert_eq!(tiled.values, [Array::float([4, 2], vec![1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0])]);
    }
}
