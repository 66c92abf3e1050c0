//! The sliding window that convolutions and pools share: kernel, stride, dilation, padding.

use crate::error::Fault;

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

    /// Whether it looks at one input position per output position, each once.
    pub fn is_point(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pad == [0; 4]
    }

    /// Extent of the dilated kernel along rows (0) or columns (1).
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis].max(1) - 1) * self.dilation[axis] + 1
    }

    /// Height and width of the result.
    ///
    /// # Errors
    ///
    /// A window larger than the padded input, or a kernel, stride or dilation of 0.
    pub fn output(&self, [height, width]: [usize; 2]) -> Result<[usize; 2], Fault> {
        let size = |axis: usize, input: usize| {
            if self.kernel[axis] == 0 || self.stride[axis] == 0 || self.dilation[axis] == 0 {
                return Err(Fault::model("kernel, stride and dilation must be at least 1"));
            }
            let padded = input + self.pad[axis] + self.pad[axis + 2];
            padded.checked_sub(self.extent(axis)).map(|n| n / self.stride[axis] + 1).ok_or_else(|| {
                Fault::model(format!(
                    "a window of {} does not fit the {height}x{width} input with padding {:?}",
                    self.describe(),
                    self.pad
                ))
            })
        };
        Ok([size(0, height)?, size(1, width)?])
    }

    /// The input row (axis 0) or column (axis 1) that tap `tap` of output `at` reads, if it lies inside.
    pub fn tap(&self, axis: usize, at: usize, tap: usize, input: usize) -> Option<usize> {
        (at * self.stride[axis] + tap * self.dilation[axis])
            .checked_sub(self.pad[axis])
            .filter(|&position| position < input)
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
