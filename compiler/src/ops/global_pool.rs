//! Mean or maximum over the whole map: `[N,H,W,C]` → `[N,1,1,C]`.

use super::{Operator, compose, expect};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `GlobalAveragePool` and `GlobalMaxPool` of any number of spatial dimensions.
pub const ONNX: &[Spelling] =
    &[("GlobalAveragePool", |call| import(call, false)), ("GlobalMaxPool", |call| import(call, true))];

/// Mean or maximum of each channel over the whole map. Operand: `[N,H,W,C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPool {
    /// The largest value instead of the mean.
    pub max: bool,
}

impl Operator for GlobalPool {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats("a global pool", operands, 1..=1)?;
        let [n, _, _, channels] = expect::map("a global pool", &operands[0])?;
        Ok(TensorType::f32([n, 1, 1, channels]))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let &[_, height, width, channels] = &operands[0].ty.shape[..] else { return Array::zeros(ty) };
        let start = if self.max { f64::NEG_INFINITY } else { 0.0 };
        let mut values = vec![start; ty.elements()];
        let images = operands[0].floats().chunks_exact(height * width * channels);
        for (out, image) in values.chunks_exact_mut(channels).zip(images) {
            for pixel in image.chunks_exact(channels) {
                let pairs = out.iter_mut().zip(pixel);
                pairs.for_each(|(a, &b)| *a = if self.max { a.max(b) } else { *a + b });
            }
        }
        if !self.max {
            values.iter_mut().for_each(|sum| *sum /= (height * width) as f64);
        }
        Array { ty: ty.clone(), data: Data::Float(values) }
    }

    fn describe(&self) -> String {
        if self.max { "global_max_pool" } else { "global_average_pool" }.into()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok((0..site.output.shape[0]).map(|image| self.image(site, image)).collect())
    }
}

impl GlobalPool {
    fn image(&self, site: &Site<'_>, image: usize) -> Request {
        let [input, output] =
            [&site.operands[0], site.output].map(|ty| MapShape::nhwc(&ty.shape).image(image));
        let positions = input.height * input.width;
        Request {
            family: Family::GlobalPool,
            dtype: DType::F32,
            shape: Shape {
                kernel: [input.height, input.width],
                ..Shape::new(1, input.channels, positions)
            },
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), input)),
                ("output", Arg::Map(Operand::Output, output)),
                ("max", Arg::Bool(self.max)),
            ],
            rows: Rows::Accumulate,
            in_place: false,
        }
    }
}

/// `[N, C, spatial..]` → `[N, C, 1, ..]`
fn import(call: &mut Call<'_>, max: bool) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let [n, channels, ref spatial @ ..] = ty.shape[..] else {
        return Err(Fault::model(format!("{} of {ty}; it takes [N,C,H,W]", call.operator)));
    };
    let planes = if spatial.len() == 2 { input } else {
        compose::reshape(call, input, [n, channels, 1, spatial.iter().product()])?
    };
    let map = call.to_nhwc(planes)?;
    let pooled = call.emit(GlobalPool { max }, &[map])?;
    let result = call.to_nchw(pooled)?;
    let ones = spatial.iter().map(|_| 1);
    Ok(vec![compose::reshape(call, result, [n, channels].into_iter().chain(ones).collect::<Vec<_>>())?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(max: bool, expected: [f64; 4]) {
        let input = Array::float([2, 1, 2, 2], vec![1.0, -1.0, 3.0, -5.0, 2.0, 0.0, 4.0, 8.0]);
        let op = GlobalPool { max };
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(op.eval(&[&input], &ty), Array::float([2, 1, 1, 2], expected.to_vec()));
    }

    #[test]
    fn channels_and_images_are_kept_apart() {
        check(false, [2.0, -3.0, 3.0, 4.0]);
        check(true, [3.0, -1.0, 4.0, 8.0]);
    }
}
