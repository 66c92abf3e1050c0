//! Dense convolution that reads planes, `[1,C,H,W]`, and makes a map, `[1,H,W,C]`: the first layer of a network
//! whose input is NCHW, without a transpose before it. Only [layout](crate::passes::lay_out) makes it.

use super::conv2d::{Conv2d, matrix};
use super::{Operator, epilogue, expect};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::transpose::Transpose;
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::Family;

/// No operator of ONNX reads planes and makes a map.
pub const ONNX: &[Spelling] = &[];

/// See the [module documentation](self). Operands as of [`Conv2d`], but for the input, `[1,C,H,W]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanarConv2d {
    /// The convolution of the transposed input; one group.
    pub conv: Conv2d,
}

/// From planes to a map.
pub const INWARD: [usize; 4] = [0, 2, 3, 1];

impl PlanarConv2d {
    /// The operands' types with the input transposed.
    fn inward(operands: &[TensorType]) -> Result<Vec<TensorType>, Fault> {
        let mut types = operands.to_vec();
        if let Some(input) = types.first_mut() {
            *input = transpose().infer(std::slice::from_ref(input))?;
        }
        Ok(types)
    }
}

fn transpose() -> Transpose {
    Transpose { permutation: INWARD.to_vec() }
}

impl Operator for PlanarConv2d {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [images, ..] = expect::map("a convolution of planes", operands.first().ok_or_else(missing)?)?;
        if images != 1 || self.conv.groups != 1 {
            return Err(Fault::bug("a convolution of planes takes one image in one group"));
        }
        self.conv.infer(&Self::inward(operands)?)
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let mut inner = operands.to_vec();
        let Some(input) = inner.first_mut() else { return Array::zeros(ty) };
        let planes = input.ty.shape.clone();
        let map = INWARD.map(|axis| planes.get(axis).copied().unwrap_or(1));
        let turned = transpose().eval(&[input], &TensorType::new(input.ty.dtype, map));
        *input = &turned;
        self.conv.eval(&inner, ty)
    }

    fn macs(&self, operands: &[TensorType], ty: &TensorType) -> u64 {
        self.conv.macs(operands, ty)
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("planar {}", self.conv.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [_, channels, height, width] = expect::map("a convolution of planes", &site.operands[0])?;
        let weight = site.constant(1, "the weight of a convolution")?;
        let output = MapShape::nhwc(&site.output.shape);
        let window = &self.conv.window;
        Ok(vec![Request {
            family: Family::PlanarConv2d,
            dtype: DType::F32,
            shape: window.shape(output, 1, window.taps() * channels),
            fields: [
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("size", Arg::Usizes(vec![channels, height, width])),
                ("output", Arg::Map(Operand::Output, output)),
            ]
            .into_iter()
            .chain(window.arguments())
            .chain([
                ("weights", matrix(weight)),
                ("bias", epilogue::bias(site, weight.ty.shape[0])?),
                ("epilogue", self.conv.epilogue.argument(output)),
            ])
            .collect(),
            rows: Rows::of(window),
            in_place: false,
        }])
    }
}

fn missing() -> Fault {
    Fault::model("a convolution of planes has no input")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::values;
    use crate::ops::epilogue::Epilogue;
    use crate::ops::window::Window;

    #[test]
    fn planes_are_convolved_as_their_transpose() {
        let floats = |seed, n| values(seed, n).into_iter().map(f64::from).collect::<Vec<_>>();
        let window = Window { kernel: [3, 3], stride: [2, 2], pad: [1; 4], ..Window::POINT };
        let conv = Conv2d { window, groups: 1, epilogue: Epilogue::default() };
        let planes = Array::float([1, 3, 5, 4], floats(1, 60));
        let weight = Array::float([2, 3, 3, 3], floats(2, 54));
        let map = TensorType::f32([1, 5, 4, 3]);
        let turned = transpose().eval(&[&planes], &map);
        let ty = conv.infer(&[map, weight.ty.clone()]).unwrap();
        let planar = PlanarConv2d { conv: conv.clone() };
        assert_eq!(planar.infer(&[planes.ty.clone(), weight.ty.clone()]).unwrap(), ty);
        assert_eq!(planar.eval(&[&planes, &weight], &ty), conv.eval(&[&turned, &weight], &ty));
    }
}
