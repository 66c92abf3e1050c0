//! A sliding window along one axis: which taps lie in the map. All arithmetic of borders is here.

use core::ops::Range;

/// No position of a block of outputs lies outside the map.
pub const INSIDE: u8 = 0;
/// As many of the first as half a window without its middle do.
pub const LEFT: u8 = 1;
/// As many of the last do.
pub const RIGHT: u8 = 2;
/// Any may.
pub const ANYWHERE: u8 = 4;

/// Rows or columns of a window over a map.
#[derive(Clone, Copy)]
pub struct Axis {
    taps: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
    input: usize,
    output: usize,
}

impl Axis {
    /// `taps` taps at distance `dilation`, moving by `stride` over `input` positions with `pad` in front of
    /// them, `output` times. `None` where the positions could overflow.
    pub fn new([taps, stride, dilation, pad]: [usize; 4], input: usize, output: usize) -> Option<Self> {
        let last = output.checked_mul(stride)?.checked_add(taps.checked_mul(dilation)?)?;
        let largest = last.checked_add(pad)?.checked_add(input)?;
        let valid = taps > 0 && stride > 0 && dilation > 0 && isize::try_from(largest).is_ok();
        valid.then_some(Self { taps, stride, dilation, pad, input, output })
    }

    /// Rows and columns of a window, from the fields of a step.
    pub fn both(
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        pad: [usize; 2],
        input: [usize; 2],
        output: [usize; 2],
    ) -> Option<[Self; 2]> {
        let axis = |i: usize| Self::new([kernel[i], stride[i], dilation[i], pad[i]], input[i], output[i]);
        Some([axis(0)?, axis(1)?])
    }

    /// The axis of the padded map, `after` positions behind it included.
    #[inline(always)]
    pub const fn padded(self, after: usize) -> Self {
        Self { pad: 0, input: self.input.saturating_add(self.pad).saturating_add(after), ..self }
    }

    /// Every `dilation`-th output from the `nth` on at a stride of 1, whose taps are every `dilation`-th position from the
    /// `nth` on: an axis without dilation. Must be asked for only where the padding is a multiple of the dilation.
    #[inline(always)]
    pub const fn phase(&self, nth: usize) -> Self {
        let Self { taps, stride, dilation, pad, input, output } = *self;
        let input = input.saturating_sub(nth).div_ceil(dilation);
        let output = output.saturating_sub(nth).div_ceil(dilation);
        Self { taps, stride, dilation: 1, pad: pad / dilation, input, output }
    }

    /// Whether [`phase`](Self::phase) may be asked for.
    #[inline(always)]
    pub const fn has_phases(&self) -> bool {
        self.dilation == 1 || self.stride == 1 && self.pad.is_multiple_of(self.dilation)
    }

    /// The position of output `at`'s first tap; one in front of the map wraps around to a huge number.
    #[inline(always)]
    pub const fn first(&self, at: usize) -> usize {
        (at * self.stride).wrapping_sub(self.pad)
    }

    /// The position that a tap of output `at` reads; one outside the map is not below its size.
    #[inline(always)]
    pub const fn position(&self, at: usize, tap: usize) -> usize {
        self.first(at).wrapping_add(tap * self.dilation)
    }

    /// The taps of output `at` that lie in the map.
    #[inline(always)]
    pub fn taps(&self, at: usize) -> Range<usize> {
        let start = at * self.stride;
        let before = self.pad.saturating_sub(start).div_ceil(self.dilation).min(self.taps);
        let reach =
            self.input.saturating_add(self.pad).saturating_sub(start).div_ceil(self.dilation).min(self.taps);
        before..reach.max(before)
    }

    /// Where the positions of `len` outputs from `at` on lie, of an odd window without dilation.
    #[inline(always)]
    pub const fn edge(&self, at: usize, len: usize) -> u8 {
        let (first, half) = (self.first(at), self.taps / 2);
        let behind = first.wrapping_add((len - 1) * self.stride + self.taps);
        // Positions in front of the map are huge; so they count as behind it too, and exactly so nowhere.
        let left = first >= self.input;
        let right = behind.wrapping_sub(1) >= self.input;
        let exactly_left = first.wrapping_add(half) == 0;
        let exactly_right = behind.wrapping_sub(half) == self.input;
        match (left, right) {
            (false, false) => INSIDE,
            (true, false) if exactly_left => LEFT,
            (false, true) if exactly_right => RIGHT,
            (true, true) if exactly_left && exactly_right => LEFT | RIGHT,
            _ => ANYWHERE,
        }
    }

    /// Positions of the map.
    #[inline(always)]
    pub const fn len(&self) -> usize {
        self.input
    }

    /// Outputs.
    #[inline(always)]
    pub const fn outputs(&self) -> usize {
        self.output
    }

    /// Which of `count` positions from the first tap of output `at` on lie in the map.
    #[inline(always)]
    pub fn held(&self, at: usize, count: usize) -> Range<usize> {
        let start = at * self.stride;
        let before = self.pad.saturating_sub(start).min(count);
        let reach = self.input.saturating_add(self.pad).saturating_sub(start).min(count);
        before..reach.max(before)
    }

    /// The outputs all of whose taps lie in the map.
    pub fn inside(&self) -> Range<usize> {
        let extent = (self.taps - 1) * self.dilation + 1;
        let start = self.pad.div_ceil(self.stride).min(self.output);
        let fits = (self.input + self.pad).checked_sub(extent).map_or(0, |last| last / self.stride + 1);
        start..fits.clamp(start, self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_says_which_positions_lie_outside() {
        for (taps, stride, pad) in [(3, 1, 1), (3, 2, 0), (3, 2, 1), (5, 1, 2), (5, 2, 1), (5, 2, 2)] {
            for input in 1..12_usize {
                let output = (input + 2 * pad).saturating_sub(taps) / stride + 1;
                let axis = Axis::new([taps, stride, 1, pad], input, output).expect("small numbers");
                for (at, len) in (0..output).flat_map(|at| (1..=output - at).map(move |len| (at, len))) {
                    let (edge, columns) = (axis.edge(at, len), (len - 1) * stride + taps);
                    for column in 0..columns {
                        let outside = axis.first(at).wrapping_add(column) >= input;
                        let said = edge & LEFT != 0 && column < taps / 2
                            || edge & RIGHT != 0 && column >= columns - taps / 2;
                        assert!(
                            edge == ANYWHERE || outside == said,
                            "{taps} taps, stride {stride}, pad {pad}, {input} positions: {len} from {at}"
                        );
                    }
                }
            }
        }
    }
}
