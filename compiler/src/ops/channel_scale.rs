//! Each channel times a computed factor: the second half of squeeze-and-excite.
//!
//! `y[n,h,w,c] = activation(x[n,h,w,c] · s[n,0,0,c])`. No ONNX operator: a fusion makes it from `Mul`.

use super::{Operator, expect};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::activation::Activation;
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// None of its own.
pub const ONNX: &[Spelling] = &[];

/// Each channel times a computed factor. Operands: input `[N,H,W,C]`, factor `[N,1,1,C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelScale {
    /// Applied to the result.
    pub activation: Activation,
}

impl Operator for ChannelScale {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats("a channel scale", operands, 2..=2)?;
        let [n, _, _, channels] = expect::map("a channel scale", &operands[0])?;
        expect::shape("a channel scale", "the factor", &operands[1], &[n, 1, 1, channels])?;
        Ok(operands[0].clone())
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let channels = ty.shape[3];
        let image = ty.shape[1..].iter().product();
        let mut values = operands[0].floats().to_vec();
        let factors = operands[1].floats().chunks_exact(channels);
        for (image, factors) in values.chunks_exact_mut(image).zip(factors) {
            for pixel in image.chunks_exact_mut(channels) {
                pixel.iter_mut().zip(factors).for_each(|(x, factor)| *x = self.activation.apply(*x * factor));
            }
        }
        Array { ty: ty.clone(), data: Data::Float(values) }
    }

    fn describe(&self) -> String {
        format!("channel_scale{}", self.activation.suffix())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok((0..site.output.shape[0]).map(|image| self.image(site, image)).collect())
    }
}

impl ChannelScale {
    fn image(&self, site: &Site<'_>, image: usize) -> Request {
        let map = |ty: &TensorType| MapShape::nhwc(&ty.shape).image(image);
        let output = map(site.output);
        Request {
            family: Family::ChannelScale,
            dtype: DType::F32,
            shape: Shape {
                width: output.width,
                ..Shape::new(output.height * output.width, output.channels, 1)
            },
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), map(&site.operands[0]))),
                ("scale", Arg::Map(Operand::Input(1), map(&site.operands[1]))),
                ("output", Arg::Map(Operand::Output, output)),
                ("activation", Arg::Activation(self.activation)),
            ],
            rows: Rows::SAME,
            in_place: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_its_own_factors() {
        let input = Array::float([2, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let factor = Array::float([2, 1, 1, 2], vec![1.0, -1.0, 2.0, 0.5]);
        let op = ChannelScale { activation: Activation::RELU };
        let ty = op.infer(&[input.ty.clone(), factor.ty.clone()]).unwrap();
        let expected = vec![1.0, 0.0, 3.0, 0.0, 10.0, 3.0, 14.0, 4.0];
        assert_eq!(op.eval(&[&input, &factor], &ty).floats(), expected);
    }
}
