//! Pooling over a window, NHWC.

use super::window::onnx::{AutoPad, Sliding, enter, leave};
use super::{Operator, compose, expect};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::pad::Pad;
use crate::ops::window::Window;
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `AveragePool` and `MaxPool` of one or two spatial dimensions.
pub const ONNX: &[Spelling] = &[("AveragePool", import_average), ("MaxPool", import_max)];

/// Pooling over a window. Operand: `[N,H,W,C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool2d {
    /// The sliding window.
    pub window: Window,
    /// How a window is pooled.
    pub pooling: Pooling,
}

/// How a window is pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value inside the map.
    Max,
    /// The mean over the window's positions inside the map.
    Average,
    /// The mean over the window's positions inside the padded map.
    AveragePadded,
}

impl Pooling {
    /// Its name in the runtime's steps.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Max => "Pooling::Max",
            Self::Average => "Pooling::Average",
            Self::AveragePadded => "Pooling::AveragePadded",
        }
    }
}

impl Operator for Pool2d {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats("a pool", operands, 1..=1)?;
        let [n, height, width, channels] = expect::map("a pool", &operands[0])?;
        let [oh, ow] = self.window.output([height, width])?;
        let ty = TensorType::checked(DType::F32, [n, oh, ow, channels])?;
        if self.window.meets(0, oh, height) && self.window.meets(1, ow, width) {
            return Ok(ty);
        }
        Err(Fault::model(format!(
            "a window of {} that lies wholly in the padding of {}",
            self.window.describe(),
            operands[0]
        )))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (&[_, height, width, channels], &[_, oh, ow, _]) = (&operands[0].ty.shape[..], &ty.shape[..])
        else {
            return Array::zeros(ty);
        };
        let mut values = vec![self.start(); ty.elements()];
        for (position, out) in values.chunks_exact_mut(channels).enumerate() {
            let (image, oy, ox) = (position / (oh * ow), position / ow % oh, position % ow);
            let pixels = self.pixels([oy, ox], [height, width]);
            let mut count = 0;
            for [y, x] in pixels {
                let at = ((image * height + y) * width + x) * channels;
                self.take(out, &operands[0].floats()[at..at + channels]);
                count += 1;
            }
            if self.pooling != Pooling::Max {
                // With padding every position counts: an output's window lies inside the padded map.
                let padded = self.pooling == Pooling::AveragePadded;
                let count = if padded { self.window.taps() } else { count };
                out.iter_mut().for_each(|sum| *sum /= count as f64);
            }
        }
        Array { ty: ty.clone(), data: Data::Float(values) }
    }

    fn describe(&self) -> String {
        let (name, padded) = match self.pooling {
            Pooling::Max => ("max_pool", ""),
            Pooling::Average => ("average_pool", ""),
            Pooling::AveragePadded => ("average_pool", " with padding"),
        };
        format!("{name} {}{padded}", self.window.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok((0..site.output.shape[0]).map(|image| self.image(site, image)).collect())
    }
}

impl Pool2d {
    /// The value of no position.
    fn start(&self) -> f64 {
        match self.pooling {
            Pooling::Max => f64::NEG_INFINITY,
            Pooling::Average | Pooling::AveragePadded => 0.0,
        }
    }

    /// Takes one position, all channels of it, into the values so far.
    fn take(&self, out: &mut [f64], pixel: &[f64]) {
        let pairs = out.iter_mut().zip(pixel);
        match self.pooling {
            Pooling::Max => pairs.for_each(|(max, value)| *max = max.max(*value)),
            Pooling::Average | Pooling::AveragePadded => pairs.for_each(|(sum, value)| *sum += value),
        }
    }

    /// The positions inside the map that output `at` reads.
    pub(super) fn pixels(&self, at: [usize; 2], input: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
        let window = self.window;
        let inside = move |axis: usize| {
            (0..window.kernel[axis]).filter_map(move |tap| window.tap(axis, at[axis], tap, input[axis]))
        };
        inside(0).flat_map(move |y| inside(1).map(move |x| [y, x]))
    }

    fn image(&self, site: &Site<'_>, image: usize) -> Request {
        let [input, output] =
            [&site.operands[0], site.output].map(|ty| MapShape::nhwc(&ty.shape).image(image));
        let Window { kernel, stride, dilation, pad } = self.window;
        Request {
            family: Family::Pool2d,
            dtype: DType::F32,
            shape: Shape {
                kernel,
                stride,
                dilation,
                width: output.width,
                ..Shape::new(output.height * output.width, output.channels, self.window.taps())
            },
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), input)),
                ("output", Arg::Map(Operand::Output, output)),
                ("kernel", Arg::Usizes(kernel.to_vec())),
                ("stride", Arg::Usizes(stride.to_vec())),
                ("dilation", Arg::Usizes(dilation.to_vec())),
                ("pad", Arg::Usizes(pad.to_vec())),
                ("pooling", Arg::Path(self.pooling.path())),
            ],
            rows: Rows::of(&self.window),
            in_place: false,
        }
    }
}

fn import_max(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    if call.attributes.int_or("storage_order", 0)? != 0 {
        return Err(Fault::unsupported("MaxPool with storage_order = 1, which is about its indices"));
    }
    import(call, Pooling::Max)
}

fn import_average(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let padded = call.attributes.int_or("count_include_pad", 0)? != 0;
    import(call, if padded { Pooling::AveragePadded } else { Pooling::Average })
}

/// The indices that `MaxPool` can return are not made: only the values are.
fn import(call: &mut Call<'_>, mut pooling: Pooling) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    compose::float(call, input)?;
    let ty = call.ty(input);
    let sliding = Sliding::read(call, &ty, None)?;
    let mut map = enter(call, input)?;
    let shape = call.ty(map).shape;
    let size = [shape[1], shape[2]];
    let mut window = sliding.over(size);
    if call.attributes.int_or("ceil_mode", 0)? != 0 && sliding.auto == AutoPad::Explicit {
        let larger = ceil(&window, size)?;
        let grows = larger.pad.iter().zip(window.pad).any(|(&larger, pad)| larger > pad);
        if grows && pooling == Pooling::AveragePadded {
            (map, window) = explicit_border(call, map, window, larger)?;
            pooling = Pooling::Average;
        } else {
            window = larger;
        }
    }
    let result = call.emit(Pool2d { window, pooling }, &[map])?;
    Ok(vec![leave(call, result, ty.rank())?])
}

/// The window padded below and to the right so that the output's size is rounded up. A position that
/// would start behind the input is left out.
fn ceil(window: &Window, input: [usize; 2]) -> Result<Window, Fault> {
    window.output(input)?;
    let mut larger = *window;
    for (axis, size) in input.into_iter().enumerate() {
        let (stride, head) = (window.stride[axis], size + window.pad[axis]);
        let steps = (head + window.pad[axis + 2] - window.extent(axis)).div_ceil(stride);
        let last = if steps * stride >= head { steps.max(1) - 1 } else { steps };
        larger.pad[axis + 2] = (last * stride + window.extent(axis)).saturating_sub(head);
    }
    Ok(larger)
}

/// A mean that counts the padding of `window`, but not the rest of the padding of `larger`: the first
/// becomes zeros of the map.
fn explicit_border(
    call: &mut Call<'_>,
    map: NodeId,
    window: Window,
    larger: Window,
) -> Result<(NodeId, Window), Fault> {
    let [top, left, bottom, right] = window.pad;
    let counted = [bottom.min(larger.pad[2]), right.min(larger.pad[3])];
    let border =
        Pad { before: vec![0, top, left, 0], after: vec![0, counted[0], counted[1], 0], value: 0.0 };
    let map = call.emit(border, &[map])?;
    let pad = [0, 0, larger.pad[2] - counted[0], larger.pad[3] - counted[1]];
    Ok((map, Window { pad, ..window }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    /// A row of 1, 2, 3 … pooled.
    fn row(operator: &'static str, width: usize, kernel: i64) -> Case {
        let values = (1..=width).map(|v| v as f64).collect();
        Case::new(operator, 22).input(Array::float([1, 1, width], values)).ints("kernel_shape", &[kernel])
    }

    fn check(case: Case, values: &[f64]) {
        let expected = Array::float([1, 1, values.len()], values.to_vec());
        assert_eq!(case.run().unwrap().values, [expected]);
    }

    #[test]
    fn ceil_adds_a_window_that_reaches_over_the_edge() {
        check(row("MaxPool", 4, 3).ints("strides", &[2]), &[3.0]);
        check(row("MaxPool", 4, 3).ints("strides", &[2]).int("ceil_mode", 1), &[3.0, 4.0]);
        check(row("AveragePool", 4, 3).ints("strides", &[2]).int("ceil_mode", 1), &[2.0, 3.5]);
    }

    #[test]
    fn ceil_leaves_out_a_window_that_starts_in_the_padding() {
        let case = row("MaxPool", 2, 1).ints("strides", &[2]).ints("pads", &[0, 1]);
        check(case.int("ceil_mode", 1), &[1.0]);
    }

    #[test]
    fn counted_padding_ends_where_the_pads_end() {
        let case = |pads: [i64; 2]| {
            let case = row("AveragePool", 4, 3).ints("strides", &[3]).ints("pads", &pads);
            case.int("ceil_mode", 1).int("count_include_pad", 1)
        };
        check(case([1, 1]), &[1.0, 7.0 / 3.0]);
        check(case([0, 1]), &[2.0, 2.0]);
        check(case([0, 0]), &[2.0, 4.0]);
    }

    #[test]
    fn a_mean_counts_padding_only_when_told() {
        let case = || row("AveragePool", 2, 2).ints("pads", &[1, 0]);
        check(case(), &[1.0, 1.5]);
        check(case().int("count_include_pad", 1), &[0.5, 1.5]);
    }

    #[test]
    fn dilation_skips_positions() {
        check(row("MaxPool", 5, 2).ints("dilations", &[3]), &[4.0, 5.0]);
    }

    #[test]
    fn a_window_of_padding_alone_is_a_fault() {
        assert!(row("MaxPool", 2, 1).ints("pads", &[1, 0]).run().is_err());
        assert!(row("AveragePool", 2, i64::MAX).run().is_err());
    }
}
