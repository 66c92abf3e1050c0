//! Transposed convolution, NHWC: every input position adds its window to the result.
//!
//! `y[n, iy·s + ky·d − p, ix·s + kx·d − p, o] += x[n,iy,ix, g·C/groups + ci] · w[ky,kx,ci,o]` with
//! `g = o / (O/groups)`, then `+ bias[o]` and the activation.

mod onnx;

use super::conv2d::check_groups;
use super::dense::add_product;
use super::{Operator, epilogue, expect};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::activation::Activation;
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::plan::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `ConvTranspose` of one or two spatial dimensions.
pub const ONNX: &[Spelling] = &[("ConvTranspose", onnx::import)];

/// Transposed convolution. Operands: input `[N,H,W,C]`, weight `[kh,kw,C/groups,O]`, bias `[O]` where
/// there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose2d {
    /// The window of the convolution that this transposes; its padding is cut off the result.
    pub window: Window,
    /// Rows and columns added below and to the right.
    pub output_pad: [usize; 2],
    /// Groups.
    pub groups: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl Operator for ConvTranspose2d {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let epilogue = self.epilogue();
        epilogue.check_operands("a transposed convolution", operands)?;
        let (input, weight) = (&operands[0], &operands[1]);
        let [n, height, width, channels] = expect::map("a transposed convolution", input)?;
        let [kh, kw, depth, outputs] = expect::map("a transposed convolution by the weight", weight)?;
        check_groups([input, weight], self.groups, [channels, depth, outputs])?;
        if [kh, kw] != self.window.kernel {
            let taps = self.window.describe();
            return Err(Fault::model(format!("a weight [kh,kw,C/groups,O] {weight} for a window of {taps}")));
        }
        let [oh, ow] = self.output([height, width])?;
        epilogue.check_result("a transposed convolution", operands, vec![n, oh, ow, outputs])
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (input, weight) = (operands[0], operands[1]);
        let &[_, height, width, channels] = &input.ty.shape[..] else { return Array::zeros(ty) };
        let mut sums = vec![0.0; ty.elements()];
        let image_elements = ty.shape[1..].iter().product();
        for (position, pixel) in input.floats().chunks_exact(channels).enumerate() {
            let (image, iy, ix) =
                (position / (height * width), position / width % height, position % width);
            let image = &mut sums[image * image_elements..][..image_elements];
            self.add_window(image, [iy, ix], pixel, weight, ty);
        }
        self.epilogue().finish(sums, operands, ty)
    }

    fn macs(&self, operands: &[TensorType], ty: &TensorType) -> u64 {
        let outputs = ty.shape.last().copied().unwrap_or(0) / self.groups.max(1);
        operands.first().map_or(0, |input| input.elements() as u64) * (self.window.taps() * outputs) as u64
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        let mut text = format!("conv_transpose {}", self.window.describe());
        if self.output_pad != [0, 0] {
            text += &format!(" o{},{}", self.output_pad[0], self.output_pad[1]);
        }
        if self.groups != 1 {
            text += &format!(" g{}", self.groups);
        }
        text + &self.epilogue().describe()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let weight = site.constant(1, "the weight of a transposed convolution")?;
        let n = weight.ty.shape[3];
        let k = weight.ty.elements() / n;
        let weights = Arg::Weights(Packed::Matrix { values: weight.to_f32(), k, n });
        let bias = epilogue::bias(site, n)?;
        let images = 0..site.output.shape[0];
        Ok(images.map(|image| self.image(site, image, weights.clone(), bias.clone())).collect())
    }
}

impl ConvTranspose2d {
    fn epilogue(&self) -> Epilogue {
        Epilogue { activation: self.activation, ..Epilogue::default() }
    }

    /// Height and width of the result: `(input − 1)·s + extent + output_pad − pads`.
    fn output(&self, input: [usize; 2]) -> Result<[usize; 2], Fault> {
        self.window.check()?;
        let size = |axis: usize| {
            let cut = self.window.pad[axis].checked_add(self.window.pad[axis + 2])?;
            let last = input[axis].checked_sub(1)?.checked_mul(self.window.stride[axis])?;
            let whole = last.checked_add(self.window.extent(axis))?.checked_add(self.output_pad[axis])?;
            whole.checked_sub(cut).filter(|&size| size > 0)
        };
        match (size(0), size(1)) {
            (Some(height), Some(width)) => Ok([height, width]),
            _ => Err(Fault::model(format!(
                "a transposed convolution {} of a {}x{} input leaves nothing of the result",
                self.window.describe(),
                input[0],
                input[1]
            ))),
        }
    }

    /// Adds what one input position gives to an image of the result.
    fn add_window(&self, image: &mut [f64], at: [usize; 2], pixel: &[f64], weight: &Array, ty: &TensorType) {
        let &[kh, kw, depth, outputs] = &weight.ty.shape[..] else { return };
        for ky in 0..kh {
            let Some(y) = self.target(0, at[0], ky, ty.shape[1]) else { continue };
            for kx in 0..kw {
                let Some(x) = self.target(1, at[1], kx, ty.shape[2]) else { continue };
                let out = &mut image[(y * ty.shape[2] + x) * outputs..][..outputs];
                let taps = &weight.floats()[(ky * kw + kx) * depth * outputs..][..depth * outputs];
                if self.groups == 1 {
                    add_product(out, pixel, taps);
                } else {
                    self.add_groups(out, pixel, taps);
                }
            }
        }
    }

    fn add_groups(&self, out: &mut [f64], pixel: &[f64], taps: &[f64]) {
        let outputs = out.len();
        let (depth, width) = (pixel.len() / self.groups, outputs / self.groups);
        for (group, (out, pixel)) in out.chunks_exact_mut(width).zip(pixel.chunks_exact(depth)).enumerate() {
            for (value, row) in pixel.iter().zip(taps.chunks_exact(outputs)) {
                let row = &row[group * width..];
                out.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
            }
        }
    }

    /// The row or column of the result that a tap of input position `at` adds to, if it is not cut off.
    fn target(&self, axis: usize, at: usize, tap: usize, output: usize) -> Option<usize> {
        (at * self.window.stride[axis] + tap * self.window.dilation[axis])
            .checked_sub(self.window.pad[axis])
            .filter(|&position| position < output)
    }

    fn image(&self, site: &Site<'_>, image: usize, weights: Arg, bias: Arg) -> Request {
        let [input, output] =
            [&site.operands[0], site.output].map(|ty| MapShape::nhwc(&ty.shape).image(image));
        let Window { kernel, stride, dilation, .. } = self.window;
        let depth = self.window.taps() * (input.channels / self.groups);
        Request {
            family: Family::ConvTranspose2d,
            dtype: DType::F32,
            shape: Shape {
                kernel,
                stride,
                dilation,
                groups: self.groups,
                width: output.width,
                ..Shape::new(input.height * input.width, output.channels, depth)
            },
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
                ("activation", Arg::Activation(self.activation)),
            ])
            .collect(),
            rows: Rows::Whole,
            in_place: false,
        }
    }
}
