//! Convolution, dense or in groups, NHWC.
//!
//! `y[n,oy,ox,o] = Σ x[n, oy·s + ky·d − p, ox·s + kx·d − p, g·C/groups + ci] · w[o,ky,kx,ci] + bias[o]`
//! with `g = o / (O/groups)`. How ONNX's `Conv` is read stands in `conv2d/onnx.rs`.

mod onnx;

use super::{Operator, epilogue, expect};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::plan::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Family, Shape};

/// `Conv` of one or two spatial dimensions.
pub const ONNX: &[Spelling] = &[("Conv", onnx::import)];

/// Convolution, dense or in groups. Operands: input `[N,H,W,C]`, weight `[O,kh,kw,C/groups]` (OHWI),
/// then bias `[O]` and residual where there are any (a residual comes with a bias).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// The sliding window.
    pub window: Window,
    /// Groups.
    pub groups: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
}

impl Operator for Conv2d {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        self.epilogue.check_operands("a convolution", operands)?;
        let (input, weight) = (&operands[0], &operands[1]);
        let [n, height, width, channels] = expect::map("a convolution", input)?;
        let [outputs, kh, kw, depth] = expect::map("a convolution by the weight", weight)?;
        check_groups([input, weight], self.groups, [channels, depth, outputs])?;
        if [kh, kw] != self.window.kernel {
            let taps = self.window.describe();
            return Err(Fault::model(format!("a weight OHWI {weight} for a window of {taps}")));
        }
        let [oh, ow] = self.window.output([height, width])?;
        self.epilogue.check_result("a convolution", operands, vec![n, oh, ow, outputs])
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (input, weight) = (operands[0], operands[1]);
        let size = [input.ty.shape[1], input.ty.shape[2]];
        let channels = input.ty.shape[3];
        let mut sums = vec![0.0; ty.elements()];
        let rows = sums.chunks_exact_mut(ty.shape[2] * ty.shape[3]);
        for (row, out) in rows.enumerate() {
            let (image, oy) = (row / ty.shape[1], row % ty.shape[1]);
            for ky in 0..self.window.kernel[0] {
                if let Some(y) = self.window.tap(0, oy, ky, size[0]) {
                    let at = (image * size[0] + y) * size[1] * channels;
                    let row = &input.floats()[at..at + size[1] * channels];
                    self.add_row(out, row, weight, ky);
                }
            }
        }
        self.epilogue.finish(sums, operands, ty)
    }

    fn macs(&self, operands: &[TensorType], ty: &TensorType) -> u64 {
        let depth: usize = operands.get(1).map_or(0, |weight| weight.shape.iter().skip(1).product());
        ty.elements() as u64 * depth as u64
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        let groups = if self.groups == 1 { String::new() } else { format!(" g{}", self.groups) };
        format!("conv2d {}{groups}{}", self.window.describe(), self.epilogue.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let weight = site.constant(1, "the weight of a convolution")?;
        let bias = epilogue::bias(site, weight.ty.shape[0])?;
        let weights = matrix(weight);
        if self.window.is_point() && self.groups == 1 {
            let [input, output] = [&site.operands[0], site.output].map(|ty| MapShape::flat(&ty.shape));
            return Ok(vec![pointwise([input, output], weights, bias, &self.epilogue)]);
        }
        let images = 0..site.output.shape[0];
        Ok(images.map(|image| self.image(site, image, weights.clone(), bias.clone())).collect())
    }
}

impl Conv2d {
    /// Adds what the taps of one kernel row give to one row of the result.
    fn add_row(&self, out: &mut [f64], row: &[f64], weight: &Array, ky: usize) {
        let &[outputs, kh, kw, depth] = &weight.ty.shape[..] else { return };
        let channels = depth * self.groups;
        let width = row.len() / channels;
        for (ox, out) in out.chunks_exact_mut(outputs).enumerate() {
            for kx in 0..kw {
                let Some(x) = self.window.tap(1, ox, kx, width) else { continue };
                let pixel = &row[x * channels..(x + 1) * channels];
                let groups = out.chunks_exact_mut(outputs / self.groups).zip(pixel.chunks_exact(depth));
                let mut taps = weight.floats()[(ky * kw + kx) * depth..].chunks(kh * kw * depth);
                for (out, pixel) in groups {
                    for (sum, taps) in out.iter_mut().zip(&mut taps) {
                        *sum += dot(pixel, taps);
                    }
                }
            }
        }
    }

    fn image(&self, site: &Site<'_>, image: usize, weights: Arg, bias: Arg) -> Request {
        let [input, output] =
            [&site.operands[0], site.output].map(|ty| MapShape::nhwc(&ty.shape).image(image));
        Request {
            family: Family::Conv2d,
            dtype: DType::F32,
            shape: self.window.shape(output, self.groups, self.window.taps() * (input.channels / self.groups)),
            fields: [
                ("input", Arg::Map(Operand::Input(0), input)),
                ("output", Arg::Map(Operand::Output, output)),
            ]
            .into_iter()
            .chain(self.window.arguments())
            .chain([
                ("groups", Arg::Usize(self.groups)),
                ("weights", weights),
                ("bias", bias),
                ("epilogue", self.epilogue.argument(output)),
            ])
            .collect(),
            rows: Rows::of(&self.window),
            in_place: false,
        }
    }
}

/// Refuses a weight of `depth` input channels a group and `outputs` output channels that does not fit.
pub(super) fn check_groups(
    [input, weight]: [&TensorType; 2],
    groups: usize,
    [channels, depth, outputs]: [usize; 3],
) -> Result<(), Fault> {
    let fits = groups > 0 && outputs.is_multiple_of(groups) && depth.checked_mul(groups) == Some(channels);
    if fits {
        return Ok(());
    }
    Err(Fault::model(format!("a weight {weight} does not fit the input {input} in {groups} groups")))
}

/// `Σ a[i] · b[i]` over the elements of `a`.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A matrix product by constants: 1×1 convolution or fully connected.
pub(super) fn pointwise(
    [input, output]: [MapShape; 2],
    weights: Arg,
    bias: Arg,
    epilogue: &Epilogue,
) -> Request {
    Request {
        family: Family::Pointwise,
        dtype: DType::F32,
        shape: Shape {
            width: output.width,
            ..Shape::new(output.height * output.width, output.channels, input.channels)
        },
        fields: vec![
            ("input", Arg::Map(Operand::Input(0), input)),
            ("output", Arg::Map(Operand::Output, output)),
            ("weights", weights),
            ("bias", bias),
            ("epilogue", epilogue.argument(output)),
            ("prefetch", Arg::Prefetch),
        ],
        rows: Rows::SAME,
        in_place: false,
    }
}

/// `[O, kh, kw, C/groups]` → the matrix `[kh·kw·(C/groups)] × O`.
pub(super) fn matrix(weight: &Tensor) -> Arg {
    let n = weight.ty.shape[0];
    let k = weight.ty.elements() / n;
    let rows = weight.to_f32();
    let values = (0..k * n).map(|i| rows[i % n * k + i / n]).collect();
    Arg::Weights(Packed::Matrix { values, k, n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_is_a_call_unless_the_window_is_a_point() {
        let families = |window: Window| {
            let op = Conv2d { window, groups: 1, epilogue: Epilogue::default() };
            let [kh, kw] = window.kernel;
            let operands = [TensorType::f32([2, 4, 4, 3]), TensorType::f32([5, kh, kw, 3])];
            let output = op.infer(&operands).unwrap();
            let weight = Tensor::from_f32([5, kh, kw, 3], &[]);
            let site = Site { operands: &operands, constants: &[None, Some(&weight)], output: &output };
            op.lower(&site).unwrap().iter().map(|r| (r.family, r.shape.m)).collect::<Vec<_>>()
        };
        assert_eq!(families(Window::POINT), [(Family::Pointwise, 32)]);
        let wide = Window { kernel: [3, 3], pad: [1; 4], ..Window::POINT };
        assert_eq!(families(wide), [(Family::Conv2d, 16), (Family::Conv2d, 16)]);
    }

    #[test]
    fn the_matrix_has_output_channels_as_columns() {
        let weight = Tensor::from_f32([2, 1, 1, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let Arg::Weights(Packed::Matrix { values, k, n }) = matrix(&weight) else { panic!() };
        assert_eq!((values, k, n), (vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0], 3, 2));
    }
}
