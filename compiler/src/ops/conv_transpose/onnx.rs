//! ONNX's `ConvTranspose`.

use super::ConvTranspose2d;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::ops::activation::Activation;
use crate::ops::compose;
use crate::ops::window::Window;
use crate::ops::window::onnx::{AutoPad, Sliding, enter, leave, sizes};

pub(super) fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
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
    use crate::onnx::testing::Case;
    use crate::reference::Array;

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
