//! Transposed convolution, NHWC: every input position adds its window to the result.
//!
//! `y[n, iy·s + ky·d − p, ix·s + kx·d − p, o] += x[n,iy,ix, g·C/groups + ci] · w[ky,kx,ci,o]` with
//! `g = o / (O/groups)`, then `+ bias[o]` and the activation.

use super::conv2d::check_groups;
use super::dense::add_product;
use super::window::onnx::{AutoPad, Sliding, enter, leave, sizes};
use super::{Operator, compose, epilogue, expect};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::activation::Activation;
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::plan::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `ConvTranspose` of one or two spatial dimensions.
pub const ONNX: &[Spelling] = &[("ConvTranspose", import)];

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
        let Window { kernel, stride, dilation, pad } = self.window;
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
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), input)),
                ("output", Arg::Map(Operand::Output, output)),
                ("kernel", Arg::Usizes(kernel.to_vec())),
                ("stride", Arg::Usizes(stride.to_vec())),
                ("dilation", Arg::Usizes(dilation.to_vec())),
                ("pad", Arg::Usizes(pad[..2].to_vec())),
                ("groups", Arg::Usize(self.groups)),
                ("weights", weights),
                ("bias", bias),
                ("activation", Arg::Activation(self.activation)),
            ],
            rows: Rows::Whole,
            in_place: false,
        }
    }
}

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (input, weight) = (call.input(0)?, call.input(1)?);
    let (ty, weight_ty) = (call.ty(input), call.ty(weight));
    let sliding = Sliding::read(call, &ty, weight_ty.shape.get(2..))?;
    let attribute = call.attributes.int_or("group", 1)?;
    let groups = usize::try_from(attribute).ok().filter(|&g| g > 0);
    let Some((weight, groups)) = taps_first(call, weight, &sliding.window, groups)? else {
        return Err(Fault::model(format!(
            "a weight [C,O/group,kernel..] {weight_ty} does not fit the input [N,C,..] {ty} with group = \
             {attribute}"
        )));
    };
    let map = enter(call, input)?;
    let shape = call.ty(map).shape;
    let (window, output_pad) = cut(call, &sliding, [shape[1], shape[2]], ty.rank() - 2)?;
    let outputs = call.ty(weight).shape[3];
    let op = ConvTranspose2d { window, output_pad, groups, activation: Activation::Identity };
    let result = compose::with_bias(call, op, map, weight, outputs)?;
    Ok(vec![leave(call, result, ty.rank())?])
}

/// `[C, O/groups, kh, kw]` → `[kh, kw, C/groups, O]`; `None` where the groups do not fit.
fn taps_first(
    call: &mut Call<'_>,
    weight: NodeId,
    window: &Window,
    groups: Option<usize>,
) -> Result<Option<(NodeId, usize)>, Fault> {
    let ([kh, kw], shape) = (window.kernel, call.ty(weight).shape);
    let (Some(groups), &[channels, outputs, _, ..]) = (groups, &shape[..]) else { return Ok(None) };
    if !channels.is_multiple_of(groups) {
        return Ok(None);
    }
    let depth = channels / groups;
    let grouped = compose::reshape(call, weight, [groups, depth, outputs, kh, kw])?;
    let permuted = compose::transpose(call, grouped, [3, 4, 1, 0, 2])?;
    let merged = compose::reshape(call, permuted, [kh, kw, depth, groups * outputs])?;
    Ok(Some((merged, groups)))
}

/// The window with what is cut off, and what is added, from `pads`, `auto_pad`, `output_padding` and
/// `output_shape`.
fn cut(
    call: &Call<'_>,
    sliding: &Sliding,
    input: [usize; 2],
    rank: usize,
) -> Result<(Window, [usize; 2]), Fault> {
    let mut window = sliding.window;
    let mut output_pad = read_columns_last(call, "output_padding", rank)?.unwrap_or([0; 2]);
    let same = matches!(sliding.auto, AutoPad::SameUpper | AutoPad::SameLower);
    let wanted = match read_output_shape(call, rank)? {
        Some(shape) => shape,
        None if same => [0, 1].map(|axis| input[axis].saturating_mul(window.stride[axis])),
        None => return Ok((sliding.over(input), output_pad)),
    };
    // Behind `output_shape` the specification splits like SAME_LOWER whatever is not SAME_UPPER.
    let auto = if sliding.auto == AutoPad::SameUpper { AutoPad::SameUpper } else { AutoPad::SameLower };
    for axis in 2 - rank..2 {
        let last = input[axis].saturating_sub(1).saturating_mul(window.stride[axis]);
        let whole = last.saturating_add(window.extent(axis)).saturating_add(output_pad[axis]);
        let total = whole.saturating_sub(wanted[axis]);
        [window.pad[axis], window.pad[axis + 2]] = auto.split(total);
        output_pad[axis] += wanted[axis].saturating_sub(whole);
    }
    Ok((window, output_pad))
}

/// `output_shape`: the spatial dimensions, with or without batch and channels in front.
fn read_output_shape(call: &Call<'_>, rank: usize) -> Result<Option<[usize; 2]>, Fault> {
    match call.attributes.ints("output_shape")?.map(|list| list.len()) {
        Some(len) if len == rank + 2 => {
            let whole = sizes(call, "output_shape", len)?;
            Ok(whole.map(|list| if rank == 2 { [list[2], list[3]] } else { [1, list[2]] }))
        }
        Some(_) => Ok(read_columns_last(call, "output_shape", rank)?),
        None => Ok(None),
    }
}

/// Numbers for rows and columns; with one spatial dimension, 0 for the rows.
fn read_columns_last(call: &Call<'_>, name: &str, rank: usize) -> Result<Option<[usize; 2]>, Fault> {
    Ok(sizes(call, name, rank)?.map(|list| match list[..] {
        [height, width] => [height, width],
        [width] => [0, width],
        _ => [0; 2],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    /// One row of three ones, spread by a kernel of `taps` from 1 on.
    fn spread(taps: usize) -> Case {
        let kernel = (1..=taps).map(|v| v as f64).collect();
        let ones = Array::float([1, 1, 3], vec![1.0; 3]);
        Case::new("ConvTranspose", 11).input(ones).constant(Array::float([1, 1, taps], kernel))
    }

    fn check(case: Case, values: &[f64]) {
        let expected = Array::float([1, 1, values.len()], values.to_vec());
        assert_eq!(case.run().unwrap().values, [expected]);
    }

    #[test]
    fn windows_overlap_and_pads_are_cut_off() {
        check(spread(3), &[1.0, 3.0, 6.0, 5.0, 3.0]);
        check(spread(3).ints("pads", &[1, 0]), &[3.0, 6.0, 5.0, 3.0]);
        check(spread(2).ints("strides", &[2]), &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        check(spread(2).ints("dilations", &[2]), &[1.0, 1.0, 3.0, 2.0, 2.0]);
        check(spread(2).ints("output_padding", &[1]), &[1.0, 3.0, 3.0, 2.0, 0.0]);
    }

    #[test]
    fn an_output_shape_cuts_more_above_but_for_same_upper() {
        let case = || spread(3).ints("output_shape", &[4]);
        check(case(), &[3.0, 6.0, 5.0, 3.0]);
        check(case().text("auto_pad", "SAME_UPPER"), &[1.0, 3.0, 6.0, 5.0]);
        check(case().text("auto_pad", "VALID"), &[3.0, 6.0, 5.0, 3.0]);
        check(spread(3).text("auto_pad", "SAME_UPPER"), &[3.0, 6.0, 5.0]);
        check(spread(1).ints("output_shape", &[5]), &[1.0, 1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn groups_have_their_own_outputs() {
        let x = Array::float([1, 2, 1, 1], vec![1.0, 2.0]);
        let w = Array::float([2, 2, 1, 1], vec![1.0, 2.0, 3.0, 4.0]);
        let case = Case::new("ConvTranspose", 7).input(x).constant(w).int("group", 2);
        let expected = Array::float([1, 4, 1, 1], vec![1.0, 2.0, 6.0, 8.0]);
        assert_eq!(case.run().unwrap().values, [expected]);
    }

    #[test]
    fn nothing_left_is_a_fault() {
        assert!(spread(1).ints("pads", &[2, 1]).run().is_err());
    }
}
