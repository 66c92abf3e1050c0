//! `Resize` and `Upsample`: nearest becomes a gather for each axis, linear an interpolation.
//!
//! Coordinates are computed in single precision and in the order of ONNX Runtime's formulas, because
//! nearest-neighbour ties are decided by their rounding.

use super::Interpolate;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::ops::gather;
use crate::ops::shape::{self, MAX_TABLE};
use crate::tensor::TensorType;

/// How a position of the result is found in the input: `coordinate_transformation_mode`.
#[derive(Clone, Copy, PartialEq)]
enum Transform {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    TfHalfPixelForNearest,
    AlignCorners,
    Asymmetric,
}

/// How a coordinate becomes an index: `nearest_mode`.
#[derive(Clone, Copy)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// Before opset 11: downwards when enlarging, upwards when shrinking.
    Simple,
}

/// Coordinates this near to the middle of two indices are taken as a tie, so that a factor such as 4/7,
/// which no `f32` is, rounds as the exact one would.
const TIE: f32 = 1e-6;

/// What the whole node says.
struct Rule {
    transform: Transform,
    /// `None` for linear interpolation.
    nearest: Option<Rounding>,
}

/// One axis: lengths, and the factor, which need not be their quotient.
#[derive(Clone, Copy)]
struct Axis {
    axis: usize,
    from: usize,
    to: usize,
    scale: f32,
}

/// Operands are (input, scales) in opset 10, (input, roi, scales, sizes) since.
pub(super) fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    if call.opset < 11 {
        return import_upsample(call);
    }
    let rule = rule(call)?;
    let axes = axes(call)?;
    apply(call, &rule, &axes)
}

/// Opset 7 has the scales as an attribute, 9 as an operand; `Resize` of opset 10 is the same.
pub(super) fn import_upsample(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let nearest = match mode(call)? {
        Mode::Nearest => Some(Rounding::Simple),
        Mode::Linear => None,
    };
    let ty = call.ty(call.input(0)?);
    let scales = match call.constant(1, "the list of scales")? {
        Some(scales) => scales.to_f32(),
        None => call.attributes.floats("scales")?.unwrap_or_default(),
    };
    let all: Vec<usize> = (0..ty.rank()).collect();
    let axes = scaled(&ty, &all, &scales)?;
    apply(call, &Rule { transform: Transform::Asymmetric, nearest }, &axes)
}

enum Mode {
    Nearest,
    Linear,
}

fn mode(call: &Call<'_>) -> Result<Mode, Fault> {
    match call.attributes.string("mode")?.as_deref() {
        None | Some("nearest") => Ok(Mode::Nearest),
        Some("linear" | "bilinear") => Ok(Mode::Linear),
        Some(mode) => {
            let message = format!("mode = {mode:?} is not supported; nearest and linear are");
            Err(Fault::unsupported(message)
                .help("export with mode=\"bilinear\", or cut the model there with --until-output NAME"))
        }
    }
}

fn rule(call: &Call<'_>) -> Result<Rule, Fault> {
    let unsupported = |what: &str| Err(Fault::unsupported(format!("{what} of Resize")));
    let transform = match call.attributes.string("coordinate_transformation_mode")?.as_deref() {
        None | Some("half_pixel") => Transform::HalfPixel,
        Some("half_pixel_symmetric") => Transform::HalfPixelSymmetric,
        Some("pytorch_half_pixel") => Transform::PytorchHalfPixel,
        Some("tf_half_pixel_for_nn") => Transform::TfHalfPixelForNearest,
        Some("align_corners") => Transform::AlignCorners,
        Some("asymmetric") => Transform::Asymmetric,
        Some(name) => return unsupported(&format!("coordinate_transformation_mode = {name:?}")),
    };
    if call.attributes.int_or("antialias", 0)? != 0 {
        return unsupported("antialias = 1");
    }
    let rounding = match call.attributes.string("nearest_mode")?.as_deref() {
        None | Some("round_prefer_floor" | "") => Rounding::PreferFloor,
        Some("round_prefer_ceil") => Rounding::PreferCeil,
        Some("floor") => Rounding::Floor,
        Some("ceil") => Rounding::Ceil,
        Some(name) => return unsupported(&format!("nearest_mode = {name:?}")),
    };
    match mode(call)? {
        Mode::Nearest => Ok(Rule { transform, nearest: Some(rounding) }),
        Mode::Linear => Ok(Rule { transform, nearest: None }),
    }
}

/// The axes with their new lengths, from `scales` or from `sizes`; exporters write an empty list for the
/// one that they do not mean.
fn axes(call: &Call<'_>) -> Result<Vec<Axis>, Fault> {
    let ty = call.ty(call.input(0)?);
    let axes: Vec<usize> = match call.attributes.ints("axes")? {
        Some(axes) => {
            shape::axes(&axes, ty.rank())?;
            axes.iter().map(|&axis| shape::axis(axis, ty.rank())).collect::<Result<_, _>>()?
        }
        None => (0..ty.rank()).collect(),
    };
    let scales = call.constant(2, "the list of scales")?.map(|t| t.to_f32()).filter(|s| !s.is_empty());
    let sizes = call.integers(3, "the list of sizes")?.filter(|s| !s.is_empty());
    match (scales, sizes) {
        (Some(scales), None) => scaled(&ty, &axes, &scales),
        (None, Some(sizes)) => sized(call, &ty, &axes, &shape::dimensions(&sizes)?),
        (Some(_), Some(_)) => Err(Fault::model("Resize with both scales and sizes")),
        (None, None) => Err(Fault::model("Resize with neither scales nor sizes")),
    }
}

fn scaled(ty: &TensorType, axes: &[usize], scales: &[f32]) -> Result<Vec<Axis>, Fault> {
    if scales.len() != axes.len() {
        return Err(Fault::model(format!("{} scales for {} axes of {ty}", scales.len(), axes.len())));
    }
    let axis = |(&axis, &scale): (&usize, &f32)| {
        let from = ty.shape[axis];
        let to = (from as f32 * scale).floor();
        if scale > 0.0 && to <= MAX_TABLE as f32 {
            Ok(Axis { axis, from, to: to as usize, scale })
        } else {
            Err(Fault::model(format!("scale {scale} of dimension {axis} of {ty}")))
        }
    };
    axes.iter().zip(scales).map(axis).collect()
}

/// `keep_aspect_ratio_policy`: each axis its own factor, or the smallest or largest of them for all.
fn sized(call: &Call<'_>, ty: &TensorType, axes: &[usize], sizes: &[usize]) -> Result<Vec<Axis>, Fault> {
    if sizes.len() != axes.len() || sizes.iter().any(|&n| n > MAX_TABLE) {
        return Err(Fault::model(format!("sizes {sizes:?} for {} axes of {ty}", axes.len())));
    }
    let own = |(&axis, &to): (&usize, &usize)| {
        let from = ty.shape[axis];
        Axis { axis, from, to, scale: to as f32 / from as f32 }
    };
    let own: Vec<Axis> = axes.iter().zip(sizes).map(own).collect();
    let scales = own.iter().map(|axis| axis.scale);
    let scale = match call.attributes.string("keep_aspect_ratio_policy")?.as_deref() {
        None | Some("stretch") => return Ok(own),
        Some("not_larger") => scales.fold(f32::INFINITY, f32::min),
        Some("not_smaller") => scales.fold(0.0, f32::max),
        Some(policy) => return Err(Fault::model(format!("keep_aspect_ratio_policy = {policy:?}"))),
    };
    let common = |axis: &Axis| {
        let to = (axis.from as f32 * scale).round();
        if to <= MAX_TABLE as f32 {
            Ok(Axis { to: to as usize, scale, ..*axis })
        } else {
            Err(Fault::model(format!("sizes {sizes:?} of {ty}")))
        }
    };
    own.iter().map(common).collect()
}

/// Rows and columns of an NCHW map are changed in NHWC, where transposes around meet others and vanish.
fn apply(call: &mut Call<'_>, rule: &Rule, axes: &[Axis]) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let ty = call.ty(input);
    let changed: Vec<Axis> = axes.iter().copied().filter(|axis| !rule.keeps(axis)).collect();
    if ty.elements() == 0 && !changed.is_empty() {
        return Err(Fault::model(format!("Resize of {ty}, which has no elements")));
    }
    let map = ty.rank() == 4 && !changed.is_empty() && changed.iter().all(|axis| axis.axis >= 2);
    let mut value = if map { call.to_nhwc(input)? } else { input };
    for axis in changed {
        let at = if map { axis.axis - 1 } else { axis.axis };
        value = rule.emit(call, value, at, axis)?;
    }
    Ok(vec![if map { call.to_nchw(value)? } else { value }])
}

impl Rule {
    /// Whether an axis stays as it is.
    fn keeps(&self, axis: &Axis) -> bool {
        axis.from == axis.to && axis.scale == 1.0
    }

    fn emit(&self, call: &mut Call<'_>, value: NodeId, at: usize, axis: Axis) -> Result<NodeId, Fault> {
        let coordinates = (0..axis.to).map(|i| self.transform.coordinate(i as f32, &axis));
        match self.nearest {
            Some(rounding) => {
                let indices = coordinates.map(|x| rounding.index(x, &axis)).collect();
                gather::emit(call, value, at, indices)
            }
            None => {
                let taps = coordinates.map(|x| taps(x, axis.from)).collect();
                call.emit(Interpolate { axis: at, taps }, &[value])
            }
        }
    }
}

impl Transform {
    fn coordinate(self, x: f32, axis: &Axis) -> f32 {
        let (from, to, scale) = (axis.from as f32, axis.to as f32, axis.scale);
        match self {
            Self::HalfPixel => (x + 0.5) / scale - 0.5,
            Self::PytorchHalfPixel if axis.to <= 1 => 0.0,
            Self::PytorchHalfPixel => (x + 0.5) / scale - 0.5,
            Self::TfHalfPixelForNearest => (x + 0.5) / scale,
            Self::AlignCorners if axis.to <= 1 => 0.0,
            Self::AlignCorners => x * (from - 1.0) / (to - 1.0),
            Self::Asymmetric => x / scale,
            Self::HalfPixelSymmetric => {
                let offset = from / 2.0 * (1.0 - to / (scale * from));
                (f64::from(offset) + (f64::from(x) + 0.5) / f64::from(scale) - 0.5) as f32
            }
        }
    }
}

impl Rounding {
    fn index(self, x: f32, axis: &Axis) -> usize {
        let tie = (x - x.floor() - 0.5).abs() < TIE;
        let rounded = match self {
            Self::PreferFloor if tie => x.floor(),
            Self::PreferCeil if tie => x.ceil(),
            Self::PreferFloor | Self::PreferCeil => x.round(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Simple if axis.scale < 1.0 => x.ceil(),
            Self::Simple => x.trunc(),
        };
        (rounded.max(0.0) as usize).min(axis.from - 1)
    }
}

/// The neighbours of a coordinate, which is clamped into the axis, and the weight of the second.
fn taps(x: f32, length: usize) -> (usize, usize, f32) {
    let x = x.clamp(0.0, (length - 1) as f32);
    let low = (x as usize).min(length - 1);
    let high = (low + 1).min(length - 1);
    (low, high, if low == high { 0.0 } else { x - low as f32 })
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::Case;
    use crate::reference::Array;

    /// A row of four.
    fn row() -> Array {
        Array::float([1, 1, 1, 4], vec![0.0, 1.0, 2.0, 3.0])
    }

    /// Resizes [`row`] to a width, and compares with ONNX Runtime's answer.
    fn check(width: i64, mode: &str, transform: &str, nearest: &str, expect: &[f64]) {
        let case = Case::new("Resize", 13)
            .text("mode", mode)
            .text("coordinate_transformation_mode", transform)
            .text("nearest_mode", nearest);
        let case = case.input(row()).absent().absent().list(&[1, 1, 1, width]);
        let values = case.run().unwrap().values;
        let apart = values[0].floats().iter().zip(expect).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-6 && values[0].floats().len() == expect.len(), "{transform}: {values:?}");
    }

    #[test]
    fn nearest_rounds_ties_as_told() {
        check(2, "nearest", "half_pixel", "round_prefer_floor", &[0.0, 2.0]);
        check(2, "nearest", "half_pixel", "round_prefer_ceil", &[1.0, 3.0]);
        check(2, "nearest", "asymmetric", "floor", &[0.0, 2.0]);
        check(3, "nearest", "asymmetric", "ceil", &[0.0, 2.0, 3.0]);
        check(2, "nearest", "tf_half_pixel_for_nn", "floor", &[1.0, 3.0]);
    }

    #[test]
    fn linear_mixes_neighbours() {
        check(2, "linear", "half_pixel", "floor", &[0.5, 2.5]);
        check(3, "linear", "align_corners", "floor", &[0.0, 1.5, 3.0]);
        check(8, "linear", "asymmetric", "floor", &[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0]);
        check(1, "linear", "pytorch_half_pixel", "floor", &[0.0]);
    }

    #[test]
    fn the_old_resize_rounds_up_when_it_shrinks() {
        let scale = |x| Array::float([4], vec![1.0, 1.0, 1.0, x]);
        let shrunk = Case::new("Resize", 10).input(row()).constant(scale(0.75)).run().unwrap();
        assert_eq!(shrunk.values[0].floats(), [0.0, 2.0, 3.0]);
        let grown = Case::new("Upsample", 9).input(row()).constant(scale(1.5)).run().unwrap();
        assert_eq!(grown.values[0].floats(), [0.0, 0.0, 1.0, 2.0, 2.0, 3.0]);
    }

    #[test]
    fn maps_are_resized_in_nhwc_and_unchanged_axes_not_at_all() {
        let case = Case::new("Resize", 13).input(row()).absent().absent().list(&[1, 1, 1, 8]);
        let text = case.run().unwrap().text;
        assert!(text.contains("gather axis=2") && !text.contains("gather axis=1"), "{text}");
    }

    #[test]
    fn cubic_is_refused_with_help() {
        let case = Case::new("Resize", 13).text("mode", "cubic").input(row()).absent().absent();
        let fault = case.list(&[1, 1, 1, 8]).run().map(|_| ()).unwrap_err();
        assert_eq!(fault.message, "mode = \"cubic\" is not supported; nearest and linear are");
        assert!(fault.help.is_some());
    }
}
