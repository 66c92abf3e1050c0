//! Windows of codes laid out as rows of a matrix of numbers from 0 to 255.
//!
//! Runs of a window that lie behind one another are copied 16 codes at a time, whatever their length: what is
//! written too much belongs to the next run, which is written later. Only at the end of a row of the map are
//! codes taken one by one, so that nothing outside it is read.

use crate::kernels::code_vector::CodeVector;
use crate::kernels::generic::requantize::{flip, zero_byte};
use crate::kernels::generic::window::Axis;
use crate::kernels::view::CodeSource;
use crate::memory::Memory;
use crate::steps::QuantizedConv2d;
use core::ops::Range;

/// Numbers that a step of 16 may write behind the end.
pub const SLACK: usize = 16;

/// Rows that windows of short rows may have.
const SHORT_ROWS: usize = 8;

/// The windows of a convolution of one group.
pub struct Windows<'m> {
    step: &'m QuantizedConv2d,
    axes: [Axis; 2],
    input: CodeSource<'m>,
    zero: u8,
    /// Numbers of a window, without those that fill it up.
    pub depth: usize,
    is_point: bool,
}

impl<'m> Windows<'m> {
    pub fn new(memory: &'m Memory<'_>, step: &'m QuantizedConv2d) -> Option<Self> {
        let QuantizedConv2d { input, output, kernel, stride, dilation, pad, .. } = step;
        let (inputs, outputs) = ([input.height, input.width], [output.height, output.width]);
        let depth = kernel[0].checked_mul(kernel[1])?.checked_mul(input.channels)?;
        let is_point = *kernel == [1, 1] && *stride == [1, 1] && *pad == [0, 0] && inputs == outputs;
        Some(Self {
            step,
            axes: Axis::both(*kernel, *stride, *dilation, *pad, inputs, outputs)?,
            input: CodeSource::new(memory, input)?,
            zero: zero_byte(step.codes)?,
            depth,
            is_point: is_point && depth > 0,
        })
    }

    /// Where the windows of those positions lie as they are, one every `stride` numbers; none where they must be laid
    /// out.
    #[inline(always)]
    pub fn lying(&self, first: usize, count: usize, stride: usize) -> Option<*const u8> {
        if !self.is_point || stride != self.depth || flip(self.step.codes) != 0 || count == 0 {
            return None;
        }
        let width = self.step.output.width;
        let (y, last) = (first / width, (first + count - 1) / width);
        let at = self.input.row(y);
        let is_one = self.input.row(last) == at.wrapping_add((last - y) * self.input.row_len());
        is_one.then(|| at.wrapping_add(first % width * stride))
    }

    /// Lays out the windows of `count` positions from `first` on, which are counted along rows, one every
    /// `stride` numbers.
    ///
    /// # Safety
    ///
    /// The positions must be in the output. `to` must be writable for `count · stride + SLACK` elements, and
    /// `stride` be the depth or one more.
    #[inline(always)]
    pub unsafe fn lay<V: CodeVector>(
        &self,
        isa: V::Isa,
        first: usize,
        count: usize,
        stride: usize,
        to: *mut u8,
    ) {
        let width = self.step.output.width;
        let (mut y, mut x) = (first / width, first % width);
        let mut done = 0;
        while done < count {
            let positions = (count - done).min(width - x);
            // SAFETY: the caller's.
            unsafe {
                let to = to.add(done * stride);
                if self.is_point && stride == self.depth {
                    self.run::<V>(isa, y, x * stride, positions * stride, to);
                } else {
                    // In the order of the columns: what a window writes too much belongs to the next one.
                    let short = self.short(y, x..x + positions);
                    self.each::<V>(isa, y, x..short.start, stride, to);
                    self.lay_short::<V>(isa, y, short.clone(), stride, to.add((short.start - x) * stride));
                    let rest = to.add((short.end - x) * stride);
                    self.each::<V>(isa, y, short.end..x + positions, stride, rest);
                }
            }
            done += positions;
            (y, x) = (y + 1, 0);
        }
    }

    /// Lays out the windows of those columns of a row one by one.
    ///
    /// # Safety
    ///
    /// As of [`Windows::lay`].
    #[inline(always)]
    unsafe fn each<V: CodeVector>(
        &self,
        isa: V::Isa,
        y: usize,
        columns: Range<usize>,
        stride: usize,
        mut to: *mut u8,
    ) {
        for x in columns {
            // SAFETY: the caller's.
            unsafe {
                self.window::<V>(isa, y, x, to);
                fill(to.add(self.depth), 0, stride - self.depth);
                to = to.add(stride);
            }
        }
    }

    /// Those of the columns whose windows lie in the map and have few rows of at most 16 codes, as in the first layer
    /// of a network; none, at the first column, where there are none.
    #[inline(always)]
    fn short(&self, y: usize, columns: Range<usize>) -> Range<usize> {
        let QuantizedConv2d { input, kernel: [kh, kw], dilation, .. } = self.step;
        let [rows, across] = self.axes;
        let none = columns.start..columns.start;
        if rows.taps(y) != (0..*kh) || *kh > SHORT_ROWS || kw * input.channels > SLACK || dilation[1] != 1 {
            return none;
        }
        let inside = across.inside();
        let (first, mut end) = (columns.start.max(inside.start), columns.end.min(inside.end));
        // All 16 codes that are read belong to the row.
        while end > first && across.first(end - 1) * input.channels + SLACK > self.input.row_len() {
            end -= 1;
        }
        if first < end { first..end } else { none }
    }

    /// Lays out the windows of columns that are [`short`](Self::short).
    ///
    /// # Safety
    ///
    /// As of [`Windows::lay`].
    #[inline(always)]
    unsafe fn lay_short<V: CodeVector>(
        &self,
        isa: V::Isa,
        y: usize,
        columns: Range<usize>,
        stride: usize,
        mut to: *mut u8,
    ) {
        let QuantizedConv2d { input, kernel: [kh, kw], .. } = self.step;
        let [rows, across] = self.axes;
        let len = kw * input.channels;
        let mut lines = [self.input.row(0); SHORT_ROWS];
        for (ky, line) in lines.iter_mut().enumerate().take(*kh) {
            *line = self.input.row(rows.position(y, ky));
        }
        let flip = flip(self.step.codes);
        for x in columns {
            let at = across.first(x) * input.channels;
            // SAFETY: the windows lie in the map, and as many codes as are read in its rows.
            unsafe {
                for (ky, line) in lines.iter().enumerate().take(*kh) {
                    V::copy(isa, line.add(at), flip, to.add(ky * len));
                }
                fill(to.add(self.depth), 0, stride - self.depth);
                to = to.add(stride);
            }
        }
    }

    #[inline(always)]
    unsafe fn window<V: CodeVector>(&self, isa: V::Isa, y: usize, x: usize, mut to: *mut u8) {
        let QuantizedConv2d { input, kernel: [kh, kw], dilation, .. } = self.step;
        let c = input.channels;
        let first = self.axes[1].first(x);
        let whole = dilation[1] == 1 && *kw <= input.width && first <= input.width - kw;
        for ky in 0..*kh {
            let row = self.axes[0].position(y, ky);
            // SAFETY: runs lie in the map; the caller vouches for the room.
            unsafe {
                if row >= input.height {
                    fill(to, self.zero, kw * c);
                } else if whole {
                    self.run::<V>(isa, row, first * c, kw * c, to);
                } else {
                    for kx in 0..*kw {
                        let column = self.axes[1].position(x, kx);
                        let to = to.add(kx * c);
                        if column < input.width {
                            self.run::<V>(isa, row, column * c, c, to);
                        } else {
                            fill(to, self.zero, c);
                        }
                    }
                }
                to = to.add(kw * c);
            }
        }
    }

    /// `len` codes of a row from `at` on.
    #[inline(always)]
    unsafe fn run<V: CodeVector>(&self, isa: V::Isa, row: usize, at: usize, len: usize, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe { lay_run::<V>(isa, &self.input, [row, at], len, flip(self.step.codes), to) }
    }

    /// Whether windows are the positions of the map.
    pub fn is_point(&self) -> bool {
        self.is_point
    }
}

/// Lays out `len` codes of a row from a place on, 16 at a time, as numbers from 0 to 255.
///
/// # Safety
///
/// The row must have them, and `to` be writable for `len + SLACK` elements.
#[inline(always)]
pub unsafe fn lay_run<V: CodeVector>(
    isa: V::Isa,
    map: &CodeSource<'_>,
    [row, at]: [usize; 2],
    len: usize,
    flip: u8,
    to: *mut u8,
) {
    let from = map.row(row);
    let end = map.row_len();
    let mut done = 0;
    // SAFETY: 16 codes are read only where the row has them.
    unsafe {
        while done < len && at + done + 16 <= end {
            V::copy(isa, from.add(at + done), flip, to.add(done));
            done += 16;
        }
        while done < len {
            *to.add(done) = *from.add(at + done) ^ flip;
            done += 1;
        }
    }
}

/// # Safety
///
/// `to` must be writable for `len` elements.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, value: u8, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's.
        unsafe { *to.add(i) = value };
    }
}
