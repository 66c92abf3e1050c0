//! The sliding window that convolutions and pools share: kernel, stride, dilation, padding.
//!
//! How ONNX spells one stands in `window/onnx.rs`.

pub(super) mod onnx;

use crate::error::Fault;
use crate::plan::request::{Arg, MapShape};
use mobilec_targets::Shape;

/// Rows first, then columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Kernel height and width, in taps.
    pub kernel: [usize; 2],
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Rows and columns from one tap to the next.
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pad: [usize; 4],
}

impl Window {
    /// One tap, stride 1, no padding.
    pub const POINT: Self = Self { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };

    /// What kernels, strides, dilations and paddings stay below.
    pub const LIMIT: usize = 1 << 20;

    /// Whether it looks at one input position per output position, each once.
    pub fn is_point(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pad == [0; 4]
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The fields of a step that has a window; those below and to the right of the map follow from its output.
    pub(super) fn arguments(&self) -> [(&'static str, Arg); 4] {
        [
            ("kernel", Arg::Usizes(self.kernel.to_vec())),
            ("stride", Arg::Usizes(self.stride.to_vec())),
            ("dilation", Arg::Usizes(self.dilation.to_vec())),
            ("pad", Arg::Usizes(self.pad[..2].to_vec())),
        ]
    }

    /// What a cost model needs to know of a window, in `groups`, that makes `output` by sums of `depth`.
    pub(super) fn shape(&self, output: MapShape, groups: usize, depth: usize) -> Shape {
        Shape {
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            groups,
            width: output.width,
            ..Shape::new(output.height * output.width, output.channels, depth)
        }
    }

    /// Extent of the dilated kernel along rows (0) or columns (1).
    pub fn extent(&self, axis: usize) -> usize {
        self.kernel[axis].saturating_sub(1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }

    /// Height and width of the result.
    ///
    /// # Errors
    ///
    /// A window larger than the padded input, and what [`Window::check`] refuses.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2], Fault> {
        self.check()?;
        let size = |axis: usize| {
            let padded = input[axis].checked_add(self.pad[axis])?.checked_add(self.pad[axis + 2])?;
            padded.checked_sub(self.extent(axis)).map(|n| n / self.stride[axis] + 1)
        };
        match (size(0), size(1)) {
            (Some(height), Some(width)) => Ok([height, width]),
            _ => Err(Fault::model(format!(
                "a window of {} does not fit the {}x{} input with padding {:?}",
                self.describe(),
                input[0],
                input[1],
                self.pad
            ))),
        }
    }

    /// Refuses a kernel, stride or dilation of 0, and numbers of [`Window::LIMIT`] or more: below it,
    /// products of two of them do not overflow.
    ///
    /// # Errors
    ///
    /// As said.
    pub fn check(&self) -> Result<(), Fault> {
        let numbers = [self.kernel, self.stride, self.dilation].concat();
        if numbers.contains(&0) {
            return Err(Fault::model("kernel, stride and dilation must be at least 1"));
        }
        match numbers.iter().chain(&self.pad).find(|&&n| n >= Self::LIMIT) {
            Some(n) => Err(Fault::unsupported(format!("a window with the number {n}"))),
            None => Ok(()),
        }
    }

    /// The input row (axis 0) or column (axis 1) that tap `tap` of output `at` reads, if it lies inside.
    pub fn tap(&self, axis: usize, at: usize, tap: usize, input: usize) -> Option<usize> {
        (at * self.stride[axis] + tap * self.dilation[axis])
            .checked_sub(self.pad[axis])
            .filter(|&position| position < input)
    }

    /// Whether every output position along an axis reads at least one position inside the input.
    pub fn meets(&self, axis: usize, output: usize, input: usize) -> bool {
        (0..output).all(|at| {
            let start = at * self.stride[axis];
            let skipped = self.pad[axis].saturating_sub(start).div_ceil(self.dilation[axis]);
            skipped < self.kernel[axis] && self.tap(axis, at, skipped, input).is_some()
        })
    }

    /// `3x3 s2 d2 p0,0,1,1`: what differs from stride 1, dilation 1 and no padding.
    pub fn describe(&self) -> String {
        let pair = |[a, b]: [usize; 2]| {
            if a == b { a.to_string() } else { format!("{a}x{b}") }
        };
        let mut text = format!("{}x{}", self.kernel[0], self.kernel[1]);
        if self.stride != [1, 1] {
            text += &format!(" s{}", pair(self.stride));
        }
        if self.dilation != [1, 1] {
            text += &format!(" d{}", pair(self.dilation));
        }
        match self.pad {
            [0, 0, 0, 0] => {}
            [a, b, c, d] if a == b && b == c && c == d => text += &format!(" p{a}"),
            [a, b, c, d] => text += &format!(" p{a},{b},{c},{d}"),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: usize, stride: usize, dilation: usize, pad: usize) -> Window {
        Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [dilation; 2], pad: [pad; 4] }
    }

    #[test]
    fn stride_two_odd_size() {
        assert_eq!(window(3, 2, 1, 1).output([7, 8]), Ok([4, 4]));
    }

    #[test]
    fn hostile_numbers_are_faults() {
        assert!(window(usize::MAX, 1, usize::MAX, 0).output([7, 7]).is_err());
        assert!(window(1, 1, 1, usize::MAX).output([7, 7]).is_err());
        assert!(window(3, 0, 1, 0).output([7, 7]).is_err());
    }

    #[test]
    fn dilated_taps_can_straddle_a_small_input() {
        assert!(!window(2, 1, 2, 1).meets(0, 1, 1));
        assert!(window(3, 1, 2, 2).meets(0, 1, 1));
        assert!(!window(2, 1, 1, 2).meets(0, 4, 1));
    }

    #[test]
    fn text_names_what_differs_from_the_default() {
        assert_eq!(window(3, 2, 1, 1).describe(), "3x3 s2 p1");
        let uneven = Window { kernel: [1, 5], pad: [0, 1, 2, 3], ..Window::POINT };
        assert_eq!(uneven.describe(), "1x5 p0,1,2,3");
    }
}
