//! How ONNX spells a window: `kernel_shape`, `strides`, `dilations`, `pads`, `auto_pad`, over one or two
//! spatial dimensions. One dimension becomes the columns of a map of one row.

use super::Window;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::ops::compose;
use crate::tensor::TensorType;

/// `auto_pad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum AutoPad {
    /// `NOTSET`: as `pads` says.
    Explicit,
    /// An output of `input / stride` rows; the odd row of padding is below.
    SameUpper,
    /// An output of `input / stride` rows; the odd row of padding is above.
    SameLower,
    /// None.
    Valid,
}

/// The attributes of a window.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Sliding {
    /// All but what `auto` decides.
    pub(in crate::ops) window: Window,
    /// How to pad.
    pub(in crate::ops) auto: AutoPad,
}

impl Sliding {
    /// Reads the attributes of a call whose operand 0 is `input`, `[N, C, spatial..]`. `kernel` is what
    /// the weight says, where there is one.
    pub(in crate::ops) fn read(
        call: &Call<'_>,
        input: &TensorType,
        kernel: Option<&[usize]>,
    ) -> Result<Self, Fault> {
        let rank = spatial_rank(call, input)?;
        let window = Window {
            kernel: read_kernel(call, rank, kernel)?,
            stride: pair(call, "strides", rank)?.unwrap_or([1; 2]),
            dilation: pair(call, "dilations", rank)?.unwrap_or([1; 2]),
            pad: read_pads(call, rank)?,
        };
        window.check()?;
        Ok(Self { window, auto: read_auto_pad(call)? })
    }

    /// The window with its padding over an input of this height and width.
    pub(in crate::ops) fn over(mut self, input: [usize; 2]) -> Window {
        if self.auto == AutoPad::Explicit {
            return self.window;
        }
        for (axis, size) in input.into_iter().enumerate() {
            let reach = (size.div_ceil(self.window.stride[axis]).max(1) - 1) * self.window.stride[axis];
            let total = reach.saturating_add(self.window.extent(axis)).saturating_sub(size);
            [self.window.pad[axis], self.window.pad[axis + 2]] = self.auto.split(total);
        }
        self.window
    }
}

impl AutoPad {
    /// `total` rows of padding, split into those above and those below.
    pub(in crate::ops) fn split(self, total: usize) -> [usize; 2] {
        let [less, more] = [total / 2, total - total / 2];
        match self {
            Self::SameUpper => [less, more],
            Self::SameLower | Self::Explicit => [more, less],
            Self::Valid => [0; 2],
        }
    }
}

/// `[N, C, H, W]` or `[N, C, W]` → `[N, H, W, C]`
pub(in crate::ops) fn enter(call: &mut Call<'_>, value: NodeId) -> Result<NodeId, Fault> {
    let ty = call.ty(value);
    let map = match (spatial_rank(call, &ty)?, &ty.shape[..]) {
        (1, &[n, c, w]) => compose::reshape(call, value, [n, c, 1, w])?,
        _ => value,
    };
    call.to_nhwc(map)
}

/// `[N, H, W, C]` → `[N, C, H, W]`, or `[N, C, W]` where the input had rank 3.
pub(in crate::ops) fn leave(call: &mut Call<'_>, map: NodeId, rank: usize) -> Result<NodeId, Fault> {
    let value = call.to_nchw(map)?;
    match (rank, &call.ty(value).shape[..]) {
        (3, &[n, c, _, w]) => compose::reshape(call, value, [n, c, w]),
        _ => Ok(value),
    }
}

fn spatial_rank(call: &Call<'_>, input: &TensorType) -> Result<usize, Fault> {
    match input.rank() {
        rank @ (3 | 4) => Ok(rank - 2),
        5.. => Err(Fault::unsupported(format!(
            "{} of {input}: {} spatial dimensions; one and two are supported",
            call.operator,
            input.rank() - 2
        ))),
        _ => Err(Fault::model(format!("{} of {input}; it takes [N,C,H,W]", call.operator))),
    }
}

fn read_kernel(call: &Call<'_>, rank: usize, weight: Option<&[usize]>) -> Result<[usize; 2], Fault> {
    let given = pair(call, "kernel_shape", rank)?;
    let of_weight = weight.map(|kernel| match *kernel {
        [height, width] => [height, width],
        _ => [1, kernel.first().copied().unwrap_or(1)],
    });
    match (given, of_weight) {
        (Some(given), Some(weight)) if given != weight => Err(Fault::model(format!(
            "kernel_shape is {}x{}, but the weight has {}x{} taps",
            given[0], given[1], weight[0], weight[1]
        ))),
        (_, Some(kernel)) | (Some(kernel), None) => Ok(kernel),
        (None, None) => Err(Fault::model("attribute kernel_shape is missing")),
    }
}

fn read_pads(call: &Call<'_>, rank: usize) -> Result<[usize; 4], Fault> {
    let Some(pads) = sizes(call, "pads", 2 * rank)? else {
        return Ok([0; 4]);
    };
    match pads[..] {
        [top, left, bottom, right] => Ok([top, left, bottom, right]),
        [left, right] => Ok([0, left, 0, right]),
        _ => Ok([0; 4]),
    }
}

fn read_auto_pad(call: &Call<'_>) -> Result<AutoPad, Fault> {
    match call.attributes.string("auto_pad")?.as_deref() {
        None | Some("NOTSET" | "") => Ok(AutoPad::Explicit),
        Some("SAME_UPPER") => Ok(AutoPad::SameUpper),
        Some("SAME_LOWER") => Ok(AutoPad::SameLower),
        Some("VALID") => Ok(AutoPad::Valid),
        Some(other) => Err(Fault::model(format!("auto_pad = {other:?} is not in the specification"))),
    }
}

/// A number for rows and one for columns; with one spatial dimension, 1 for the rows.
fn pair(call: &Call<'_>, name: &str, rank: usize) -> Result<Option<[usize; 2]>, Fault> {
    Ok(sizes(call, name, rank)?.map(|list| match list[..] {
        [height, width] => [height, width],
        [width] => [1, width],
        _ => [1; 2],
    }))
}

/// A list of `count` numbers that are not negative.
pub(in crate::ops) fn sizes(call: &Call<'_>, name: &str, count: usize) -> Result<Option<Vec<usize>>, Fault> {
    let Some(list) = call.attributes.ints(name)? else {
        return Ok(None);
    };
    if list.len() != count {
        return Err(Fault::model(format!("{name} is {list:?}; it needs {count} numbers")));
    }
    let sizes: Result<Vec<usize>, _> = list.iter().map(|&n| usize::try_from(n)).collect();
    sizes.map(Some).map_err(|_| Fault::unsupported(format!("{name} is {list:?}; it must not be negative")))
}
