//! ONNX's `Conv`, whichever operator it becomes.

use super::Conv2d;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::ops::compose;
use crate::ops::depthwise::Depthwise;
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::ops::window::onnx::{Sliding, enter, leave};
use crate::tensor::TensorType;

pub(super) fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
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
    use crate::onnx::testing::Case;
    use crate::reference::Array;

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
}
