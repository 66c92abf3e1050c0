//! Convolution, dense or in groups, NHWC.
//!
//! `y[n,oy,ox,o] = Σ x[n, oy·s + ky·d − p, ox·s + kx·d − p, g·C/groups + ci] · w[o,ky,kx,ci] + bias[o]`
//! with `g = o / (O/groups)`. ONNX's `Conv` is read here, whichever operator it becomes.

use super::depthwise::Depthwise;
use super::window::onnx::{Sliding, enter, leave};
use super::{Operator, compose, epilogue, expect};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::plan::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Family, Shape};

/// `Conv` of one or two spatial dimensions.
pub const ONNX: &[Spelling] = &[("Conv", import)];

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
        let Window { kernel, stride, dilation, pad } = self.window;
        Request {
            family: Family::Conv2d,
            dtype: DType::F32,
            shape: Shape {
                kernel,
                stride,
                dilation,
                groups: self.groups,
                width: output.width,
                ..Shape::new(
                    output.height * output.width,
                    output.channels,
                    self.window.taps() * (input.channels / self.groups),
                )
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
                ("epilogue", self.epilogue.argument(output)),
            ],
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
        ],
        rows: Rows::SAME,
        in_place: false,
    }
}

/// `[O, kh, kw, C/groups]` → the matrix `[kh·kw·(C/groups)] × O`.
fn matrix(weight: &Tensor) -> Arg {
    let n = weight.ty.shape[0];
    let k = weight.ty.elements() / n;
    let rows = weight.to_f32();
    let values = (0..k * n).map(|i| rows[i % n * k + i / n]).collect();
    Arg::Weights(Packed::Matrix { values, k, n })
}

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (input, weight) = (call.input(0)?, call.input(1)?);
    let (ty, weight_ty) = (call.ty(input), call.ty(weight));
    let groups = read_groups(call, &ty, &weight_ty)?;
    let sliding = Sliding::read(call, &ty, weight_ty.shape.get(2..))?;
    let map = enter(call, input)?;
    let shape = call.ty(map).shape;
    let window = sliding.over([shape[1], shape[2]]);
    let outputs = weight_ty.shape[0];
    let epilogue = Epilogue::default();
    let result = if groups > 1 && groups == ty.shape[1] {
        let weight = taps_first(call, weight, &window)?;
        let op = Depthwise { window, multiplier: outputs / groups, epilogue };
        compose::with_bias(call, op, map, weight, outputs)?
    } else {
        let weight = ohwi(call, weight, &window)?;
        compose::with_bias(call, Conv2d { window, groups, epilogue }, map, weight, outputs)?
    };
    Ok(vec![leave(call, result, ty.rank())?])
}

/// The attribute `group`, when input and weight fit each other with it.
fn read_groups(call: &Call<'_>, input: &TensorType, weight: &TensorType) -> Result<usize, Fault> {
    let attribute = call.attributes.int_or("group", 1)?;
    let groups = usize::try_from(attribute).unwrap_or(0);
    match (&weight.shape[..], &input.shape[..]) {
        (&[outputs, depth, _, ..], &[_, channels, _, ..])
            if weight.rank() == input.rank()
                && groups > 0
                && outputs.is_multiple_of(groups)
                && depth.checked_mul(groups) == Some(channels) =>
        {
            Ok(groups)
        }
        _ => Err(Fault::model(format!(
            "a weight [O,C/group,kernel..] {weight} does not fit the input [N,C,..] {input} with group = \
             {attribute}"
        ))),
    }
}

/// `[O, C/groups, kh, kw]` → `[O, kh, kw, C/groups]`
fn ohwi(call: &mut Call<'_>, weight: NodeId, window: &Window) -> Result<NodeId, Fault> {
    let [kh, kw] = window.kernel;
    let shape = call.ty(weight).shape;
    let flat = compose::reshape(call, weight, [shape[0], shape[1], kh, kw])?;
    compose::transpose(call, flat, [0, 2, 3, 1])
}

/// `[C·multiplier, 1, kh, kw]` → `[kh, kw, C·multiplier]`
fn taps_first(call: &mut Call<'_>, weight: NodeId, window: &Window) -> Result<NodeId, Fault> {
    let [kh, kw] = window.kernel;
    let outputs = call.ty(weight).shape[0];
    let flat = compose::reshape(call, weight, [outputs, kh, kw])?;
    compose::transpose(call, flat, [1, 2, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    fn conv(opset: i64, x: Array, w: Array) -> Case {
        Case::new("Conv", opset).input(x).constant(w)
    }

    fn count(shape: &[usize]) -> Array {
        let values = (1..=shape.iter().product::<usize>()).map(|v| v as f64).collect();
        Array::float(shape, values)
    }

    fn check(case: Case, operator: &str, shape: &[usize], values: &[f64]) {
        let became = case.run().unwrap();
        assert!(became.text.contains(operator), "{}", became.text);
        assert_eq!(became.values, [Array::float(shape, values.to_vec())]);
    }

    #[test]
    fn an_odd_row_of_padding_stands_above_with_same_lower() {
        let case = |auto: &str| conv(11, count(&[1, 1, 1, 3]), count(&[1, 1, 1, 2])).text("auto_pad", auto);
        check(case("SAME_LOWER"), "conv2d 1x2 p0,1,0,0(", &[1, 1, 1, 3], &[2.0, 5.0, 8.0]);
        check(case("SAME_UPPER"), "conv2d 1x2 p0,0,0,1(", &[1, 1, 1, 3], &[5.0, 8.0, 3.0]);
        check(case("VALID"), "conv2d 1x2(", &[1, 1, 1, 2], &[5.0, 8.0]);
    }

    #[test]
    fn groups_read_their_own_channels() {
        let case = conv(7, count(&[1, 4, 1, 1]), count(&[2, 2, 1, 1])).int("group", 2);
        check(case, "conv2d 1x1 g2(", &[1, 2, 1, 1], &[5.0, 25.0]);
    }

    #[test]
    fn as_many_groups_as_channels_are_depthwise() {
        let case = conv(7, count(&[1, 2, 1, 2]), count(&[4, 1, 1, 2])).int("group", 2);
        check(case, "depthwise 1x2 m2(", &[1, 4, 1, 1], &[5.0, 11.0, 39.0, 53.0]);
    }

    #[test]
    fn one_spatial_dimension_is_a_map_of_one_row() {
        let case = conv(7, count(&[1, 1, 4]), count(&[1, 1, 2])).ints("strides", &[2]).ints("pads", &[1, 0]);
        check(case, "conv2d 1x2 s1x2 p0,1,0,0(", &[1, 1, 2], &[2.0, 8.0]);
    }

    #[test]
    fn a_computed_bias_is_added_behind() {
        let case = conv(7, count(&[1, 1, 1, 1]), count(&[2, 1, 1, 1])).input(count(&[2]));
        check(case, "add(", &[1, 2, 1, 1], &[2.0, 4.0]);
    }

    #[test]
    fn what_does_not_fit_is_said_in_the_models_own_layout() {
        let fault = conv(7, count(&[1, 3, 4, 4]), count(&[2, 2, 3, 3])).run().err().unwrap();
        let weight = "a weight [O,C/group,kernel..] f32[2,2,3,3]";
        let rest = "does not fit the input [N,C,..] f32[1,3,4,4] with group = 1";
        assert_eq!(fault.message, format!("{weight} {rest}"));
        let volume = conv(7, count(&[1, 1, 2, 2, 2]), count(&[1, 1, 1, 1, 1])).run().err().unwrap();
        assert!(volume.message.contains("3 spatial dimensions"), "{volume}");
        let negative = conv(7, count(&[1, 1, 2, 2]), count(&[1, 1, 1, 1])).ints("pads", &[0, 0, -1, 0]);
        assert!(negative.run().err().unwrap().message.contains("must not be negative"));
    }

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
