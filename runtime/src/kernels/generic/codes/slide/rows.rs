//! The rows of a block of channels: what is done at each column.

use super::beside::{LayOut, PutBack, Row};
use super::{Block, Constants, Line, PARTS_OF_WEIGHTS, PLAIN, TFLITE, part_len, quads};
use crate::kernels::byte_vector::{ByteVector, PARTS};
use crate::kernels::generic::requantize::flip;
use crate::kernels::vector::Task;
use crate::steps::QuantizedDepthwise;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Rows of the input that a step may read, at most.
const ROWS: usize = 5;

/// Rows of outputs that are made at once, at most.
const OUTPUTS: usize = 2;

/// Outputs of a row that see a column, at most.
const SUMS: usize = 5;

/// Bytes in which blocks of few channels are laid out: half of the level 1 cache.
const LAID_OUT: usize = 16 << 10;

/// Rows of outputs, `R` at a time, at a column stride of `S`.
pub struct Rows<'a, V: ByteVector, const K: usize, const R: usize, const S: usize, const WAY: u8> {
    pub line: Line<'a, V, K>,
    pub rows: Range<usize>,
}

/// What each step needs.
#[derive(Clone, Copy)]
struct AtHand<V: ByteVector> {
    isa: V::Isa,
    constants: Constants,
    limits: V::Limits,
    flip: u8,
}

/// Where the next columns of the input lie.
#[derive(Clone, Copy)]
struct Columns {
    at: [*const u8; ROWS],
    /// From one column to the next; 0 for rows outside the map.
    apart: [usize; ROWS],
    /// From one step to the next: as many columns as the stride.
    further: [usize; ROWS],
}

/// Room for the codes of few channels or at a border.
#[repr(C, align(64))]
struct LaidOut<const N: usize>([MaybeUninit<u8>; N]);

impl<V: ByteVector, const K: usize, const R: usize, const S: usize, const WAY: u8> Task
    for Rows<'_, V, K, R, S, WAY>
{
    #[inline(always)]
    fn run(self) {
        let mut room = LaidOut([MaybeUninit::uninit(); LAID_OUT]);
        let room = room.0.as_mut_ptr().cast::<u8>();
        let Block { width, .. } = self.line.block;
        let output = &self.line.band.step.output;
        let pieces = V::LANES / width;
        // Columns that are outputs, and those that end the last of them.
        let most = LAID_OUT / (Self::ROWS * S * V::LANES) - Self::BEFORE;
        for y in self.rows.clone().step_by(R) {
            let mut x = 0;
            while x < output.width {
                let len = if pieces == 1 { output.width } else { (output.width - x).min(most * pieces) };
                // SAFETY: the rows are the band's; stretches and what they need fit the room.
                unsafe { self.stretch(y, x, len, room) }
                x += len;
            }
        }
    }
}

impl<V: ByteVector, const K: usize, const R: usize, const S: usize, const WAY: u8> Rows<'_, V, K, R, S, WAY> {
    /// Rows of the input.
    const ROWS: usize = K + R - 1;

    /// Outputs that are begun before the first one is finished.
    const BEFORE: usize = (K - 1) / S;

    /// `R` rows of outputs from `y` on, `len` columns from `x` on, whose codes are laid out at `room` where the
    /// block is narrower than a vector.
    ///
    /// # Safety
    ///
    /// The outputs must exist, and the room hold what they read.
    #[inline(always)]
    unsafe fn stretch(&self, y: usize, x: usize, len: usize, room: *mut u8) {
        let Self { line: Line { band, block, constants }, .. } = *self;
        let channels = band.step.output.channels;
        let pieces = V::LANES / block.width;
        let whole = pieces == 1;
        let each = len.div_ceil(pieces);
        let steps = each + Self::BEFORE;
        let slot = Self::ROWS * S * V::LANES;
        let rows = self.lines(y);
        let (inside, further) = if whole { (self.inside(steps), channels) } else { (0..steps, slot) };
        let mut to = [room; OUTPUTS];
        for r in 0..R {
            let row = band.output.row(y + r).wrapping_add(block.first);
            to[r] = if whole { row } else { room.wrapping_add(r * V::LANES) };
        }
        // Everything that the loop reads is a local: what it stores cannot change it.
        let at_hand = AtHand::<V> {
            isa: band.isa,
            constants,
            limits: V::limits(band.isa, &constants.bounds),
            flip: flip(band.step.codes),
        };
        // SAFETY: the caller's.
        unsafe {
            match pieces {
                1 => {}
                2 => self.lay_out::<2>(&rows, x, len, room),
                _ => self.lay_out::<4>(&rows, x, len, room),
            }
            let mut sums = [[[V::splat(band.isa, 0); PARTS]; OUTPUTS]; SUMS];
            for step in 0..Self::BEFORE {
                let columns = if whole {
                    self.border(&rows, step, room)
                } else {
                    Self::laid_out(room.wrapping_add(step * slot), 0)
                };
                for s in 0..S {
                    Self::column(at_hand, &mut sums, &columns, s);
                }
                for i in 0..Self::BEFORE {
                    sums[i] = sums[i + 1];
                }
            }
            let mut done = Self::BEFORE;
            while done < steps {
                let mut count = 1;
                let mut columns;
                if !whole {
                    count = steps - done;
                    columns = Self::laid_out(room.wrapping_add(done * slot), slot);
                } else if inside.contains(&done) {
                    count = inside.end - done;
                    columns = rows;
                    let first = (done * S).wrapping_sub(band.step.pad[1]);
                    for row in 0..Self::ROWS {
                        columns.at[row] = rows.at[row].wrapping_add(first.wrapping_mul(rows.apart[row]));
                    }
                } else {
                    columns = self.border(&rows, done, room);
                }
                done += count;
                for _ in 0..count {
                    Self::column(at_hand, &mut sums, &columns, 0);
                    for r in 0..R {
                        Self::store(at_hand, sums[0][r], to[r]);
                        to[r] = to[r].wrapping_add(further);
                    }
                    for s in 1..S {
                        Self::column(at_hand, &mut sums, &columns, s);
                    }
                    for i in 0..Self::BEFORE {
                        sums[i] = sums[i + 1];
                    }
                    for row in 0..Self::ROWS {
                        columns.at[row] = columns.at[row].wrapping_add(columns.further[row]);
                    }
                }
            }
            match pieces {
                1 => {}
                2 => self.put_back::<2>(y, x, len, room),
                _ => self.put_back::<4>(y, x, len, room),
            }
        }
    }

    /// The rows of the input that the outputs from row `y` on read.
    #[inline(always)]
    fn lines(&self, y: usize) -> Columns {
        let Line { band, block, .. } = self.line;
        let QuantizedDepthwise { input, .. } = band.step;
        let mut lines = Columns { at: [band.zeros.as_ptr(); ROWS], apart: [0; ROWS], further: [0; ROWS] };
        for row in 0..Self::ROWS {
            let position = band.axes[0].position(y, row);
            if position < input.height {
                lines.at[row] = band.input.row(position).wrapping_add(block.first);
                lines.apart[row] = input.channels;
                lines.further[row] = S * input.channels;
            }
        }
        lines
    }

    /// Columns that are laid out.
    #[inline(always)]
    fn laid_out(at: *const u8, further: usize) -> Columns {
        let mut columns =
            Columns { at: [at; ROWS], apart: [Self::ROWS * V::LANES; ROWS], further: [further; ROWS] };
        for row in 0..Self::ROWS {
            columns.at[row] = at.wrapping_add(row * V::LANES);
        }
        columns
    }

    /// Of as many steps those all of whose columns lie in the map.
    #[inline(always)]
    fn inside(&self, steps: usize) -> Range<usize> {
        let QuantizedDepthwise { input, pad, .. } = self.line.band.step;
        let start = pad[1].div_ceil(S).min(steps);
        start..((input.width + pad[1]) / S).clamp(start, steps)
    }

    /// The columns of a step of a block as wide as a vector, of which some may lie outside the map; several are copied
    /// to `room`.
    ///
    /// # Safety
    ///
    /// The room must hold them.
    #[inline(always)]
    unsafe fn border(&self, rows: &Columns, step: usize, room: *mut u8) -> Columns {
        let Line { band, .. } = self.line;
        let mut columns = if S == 1 { *rows } else { Self::laid_out(room, 0) };
        for s in 0..S {
            let column = (step * S + s).wrapping_sub(band.step.pad[1]);
            for row in 0..Self::ROWS {
                let inside = rows.at[row].wrapping_add(column.wrapping_mul(rows.apart[row]));
                let from = if column < band.step.input.width { inside } else { band.zeros.as_ptr() };
                if S == 1 {
                    columns.at[row] = from;
                } else {
                    // SAFETY: columns in the map are readable, and so are zeros; the caller vouches for the room.
                    unsafe {
                        V::load(band.isa, from).store(room.add((s * Self::ROWS + row) * V::LANES));
                    }
                }
            }
        }
        columns
    }

    /// The first outputs of `N` stretches that cover `len` outputs from `x` on, which may overlap.
    #[inline(always)]
    fn stretches<const N: usize>(x: usize, len: usize) -> [usize; N] {
        let each = len.div_ceil(N);
        let mut first = [x; N];
        for piece in 0..N {
            first[piece] += (piece * each).min(len - each);
        }
        first
    }

    /// Lays out what `N` stretches read.
    ///
    /// # Safety
    ///
    /// The room must hold it.
    #[inline(always)]
    unsafe fn lay_out<const N: usize>(&self, lines: &Columns, x: usize, len: usize, room: *mut u8) {
        let Line { band, .. } = self.line;
        let mut rows = [Row { at: room, apart: 0 }; ROWS];
        for row in 0..Self::ROWS {
            rows[row] = Row { at: lines.at[row], apart: lines.apart[row] };
        }
        let first = Self::stretches::<N>(x, len).map(|first| (first * S).wrapping_sub(band.step.pad[1]));
        let lay_out = LayOut::<V, N> {
            isa: band.isa,
            rows: rows.get(..Self::ROWS).unwrap_or(&[]),
            first,
            width: band.step.input.width,
            count: (len.div_ceil(N) + Self::BEFORE) * S,
            zeros: band.zeros.as_ptr(),
            to: room,
        };
        V::apart(band.isa, lay_out);
    }

    /// Puts the outputs of `N` stretches where they belong.
    ///
    /// # Safety
    ///
    /// They must be laid out.
    #[inline(always)]
    unsafe fn put_back<const N: usize>(&self, y: usize, x: usize, len: usize, room: *mut u8) {
        let Line { band, block, .. } = self.line;
        let channels = band.step.output.channels;
        for r in 0..R {
            let row = band.output.row(y + r).wrapping_add(block.first);
            let to = Self::stretches::<N>(x, len).map(|first| row.wrapping_add(first * channels));
            let from = room.wrapping_add(r * V::LANES);
            let (slot, outputs) = (Self::ROWS * S * V::LANES, 0..len.div_ceil(N));
            V::apart(band.isa, PutBack::<V, N> { isa: band.isa, from, slot, to, apart: channels, outputs });
        }
    }

    /// Adds the products of a column to all sums that see it, column `s` of its step; the last ones begin with the
    /// first column.
    ///
    /// # Safety
    ///
    /// The column must be readable.
    #[inline(always)]
    unsafe fn column(
        at_hand: AtHand<V>,
        sums: &mut [[[V; PARTS]; OUTPUTS]; SUMS],
        columns: &Columns,
        s: usize,
    ) {
        let AtHand { isa, constants, flip, .. } = at_hand;
        // SAFETY: the caller's; constants are padded to whole vectors.
        unsafe {
            let mut rows = [V::splat(isa, 0); 8];
            for row in 0..4 * quads(K) {
                // What no tap reads is any row.
                let at = row.min(Self::ROWS - 1);
                rows[row] = V::load(isa, columns.at[at].wrapping_add(s * columns.apart[at]));
            }
            if WAY != PLAIN {
                for row in &mut rows {
                    *row = row.xor(V::splat(isa, flip));
                }
            }
            if s == 0 {
                for part in 0..PARTS {
                    let bias = V::load(isa, constants.bias.add(part * V::SUMS).cast());
                    sums[Self::BEFORE][0][part] = bias;
                    sums[Self::BEFORE][1][part] = bias;
                }
            }
            let mut weights = constants.weights;
            let mut left = if WAY < PARTS_OF_WEIGHTS { 1 } else { constants.parts };
            loop {
                for quad in 0..quads(K) {
                    let [a, b] = [&rows[4 * quad..], &rows[4 * quad + 2..]];
                    let (a, b) = (V::interleave(a[0], a[1]), V::interleave(b[0], b[1]));
                    for part in 0..PARTS {
                        let numbers = V::interleave_pairs(a[part / 2], b[part / 2])[part % 2];
                        let below = numbers.rotate();
                        for i in 0..=Self::BEFORE {
                            let tap = s + S * (Self::BEFORE - i);
                            if tap < K {
                                let at = (tap * quads(K) + quad) * PARTS + part;
                                let weights = V::load(isa, weights.add(at * V::LANES));
                                sums[i][0][part] = sums[i][0][part].add_products(numbers, weights);
                                if R == 2 {
                                    sums[i][1][part] = sums[i][1][part].add_products(below, weights);
                                }
                            }
                        }
                    }
                }
                left -= 1;
                if WAY < PARTS_OF_WEIGHTS || left == 0 {
                    return;
                }
                weights = weights.add(part_len::<V>(K));
            }
        }
    }

    /// Stores the codes of sums.
    ///
    /// # Safety
    ///
    /// `to` must be writable for a vector.
    #[inline(always)]
    unsafe fn store(at_hand: AtHand<V>, sums: [V; PARTS], to: *mut u8) {
        let AtHand { isa, constants, limits, .. } = at_hand;
        let mut steps = sums;
        // SAFETY: the caller's; constants are padded to whole vectors.
        unsafe {
            for part in 0..PARTS {
                let at = part * V::SUMS;
                let factors = V::load(isa, constants.multipliers.add(at).cast());
                steps[part] = if WAY == TFLITE {
                    sums[part].fixed_point(factors, V::load(isa, constants.shifts.add(at).cast()))
                } else {
                    sums[part].nearest(factors)
                };
            }
            if WAY == PLAIN {
                V::store_numbers(steps, to);
            } else {
                V::store_codes(steps, limits, to);
            }
        }
    }
}
