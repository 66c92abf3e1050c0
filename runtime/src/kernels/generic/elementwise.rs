//! Element by element and channel by channel: activations, sums of maps, factors of channels.

use super::epilogue;
use crate::kernels::vector::{Task, Vector, WIDEST};
use crate::kernels::view::{Sink, Source, constants, pieces, same_shape};
use crate::math;
use crate::memory::Memory;
use crate::steps::{Activate, Activation, BinaryOp, ChannelAffine, ChannelScale, Combine, Map};
use core::ops::Range;

/// See [`Activate`].
#[inline(always)]
pub fn activate<V: Vector>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Activate,
    rows: Range<usize>,
) -> Option<()> {
    same_shape([&step.input, &step.output])?;
    let input = Source::new(memory, &step.input)?;
    let output = Sink::new(memory, &step.output, &rows)?;
    for piece in pieces(rows, [input.rows(), output.rows()]) {
        let len = piece.len() * input.row_len();
        let (from, to) = (input.row(piece.start), output.row(piece.start));
        // SAFETY: the rows of a piece lie behind one another, so there are `len` elements.
        unsafe { each::<V>(isa, Op::First, &step.activation, [from; 3], to, len) }
    }
    Some(())
}

/// See [`Combine`].
#[inline(always)]
pub fn combine<V: Vector>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &Combine,
    rows: Range<usize>,
) -> Option<()> {
    same_shape([&step.a, &step.b, &step.output])?;
    let a = Source::new(memory, &step.a)?;
    let b = Source::new(memory, &step.b)?;
    let output = Sink::new(memory, &step.output, &rows)?;
    let op = match step.op {
        BinaryOp::Add => Op::Add,
        BinaryOp::Sub => Op::Sub,
        BinaryOp::Mul => Op::Mul,
        BinaryOp::Div => Op::Div,
        BinaryOp::Min => Op::Scalar(min),
        BinaryOp::Max => Op::Scalar(max),
        BinaryOp::Pow => Op::Scalar(math::powf),
        BinaryOp::Mod => Op::Scalar(math::modulo),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => return None,
    };
    for piece in pieces(rows, [a.rows(), b.rows(), output.rows()]) {
        let len = piece.len() * a.row_len();
        let (a, b) = (a.row(piece.start), b.row(piece.start));
        // SAFETY: the rows of a piece lie behind one another, so there are `len` elements.
        unsafe { each::<V>(isa, op, &step.activation, [a, b, b], output.row(piece.start), len) }
    }
    Some(())
}

/// See [`ChannelScale`].
#[inline(always)]
pub fn channel_scale<V: Vector>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &ChannelScale,
    rows: Range<usize>,
) -> Option<()> {
    let ChannelScale { input, scale, output, activation } = step;
    if [scale.height, scale.width, scale.channels] != [1, 1, input.channels] {
        return None;
    }
    let scale = Source::new(memory, scale)?.row(0);
    affine::<V, false>(isa, memory, [input, output], [scale, scale], activation, rows)
}

/// See [`ChannelAffine`].
#[inline(always)]
pub fn channel_affine<V: Vector>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &ChannelAffine,
    rows: Range<usize>,
) -> Option<()> {
    let ChannelAffine { input, output, activation, .. } = step;
    let scale = constants(memory, step.scale, input.channels)?;
    let shift = constants(memory, step.shift, input.channels)?;
    affine::<V, true>(isa, memory, [input, output], [scale, shift], activation, rows)
}

/// `activation(input · scale [+ shift])` of each position.
#[inline(always)]
fn affine<V: Vector, const SHIFT: bool>(
    isa: V::Isa,
    memory: &Memory<'_>,
    [input, output]: [&Map; 2],
    constants: [*const f32; 2],
    activation: &Activation,
    rows: Range<usize>,
) -> Option<()> {
    same_shape([input, output])?;
    let (c, width) = (input.channels, input.width);
    let input = Source::new(memory, input)?;
    let output = Sink::new(memory, output, &rows)?;
    let vectors = if c.is_multiple_of(V::LANES) { c / V::LANES } else { 0 };
    for y in rows {
        let (from, to) = (input.row(y), output.row(y));
        match vectors {
            1 => V::apart(isa, Few::<V, 1, SHIFT> { isa, from, to, width, constants, activation }),
            2 => V::apart(isa, Few::<V, 2, SHIFT> { isa, from, to, width, constants, activation }),
            3 => V::apart(isa, Few::<V, 3, SHIFT> { isa, from, to, width, constants, activation }),
            4 => V::apart(isa, Few::<V, 4, SHIFT> { isa, from, to, width, constants, activation }),
            _ => {}
        }
        if let 1..=4 = vectors {
            continue;
        }
        for x in 0..width {
            // SAFETY: row `y` has `width` positions of `c` channels, and there are `c` constants.
            unsafe {
                let from = [from.add(x * c), constants[0], constants[1]];
                let op = if SHIFT { Op::MulAdd } else { Op::Mul };
                each::<V>(isa, op, activation, from, to.add(x * c), c);
            }
        }
    }
    Some(())
}

/// A row of `width` positions of `N` vectors, times constants that stay in registers.
struct Few<'a, V: Vector, const N: usize, const SHIFT: bool> {
    isa: V::Isa,
    from: *const f32,
    to: *mut f32,
    width: usize,
    constants: [*const f32; 2],
    activation: &'a Activation,
}

impl<V: Vector, const N: usize, const SHIFT: bool> Task for Few<'_, V, N, SHIFT> {
    #[inline(always)]
    fn run(self) {
        let Self { isa, from, to, width, constants, activation } = self;
        // SAFETY: whoever made the task vouches for the row, and for as many constants as channels.
        unsafe {
            let (mut scale, mut shift) = ([V::splat(isa, 0.0); N], [V::splat(isa, 0.0); N]);
            for n in 0..N {
                scale[n] = V::load(isa, constants[0].add(n * V::LANES));
                shift[n] = V::load(isa, constants[1].add(n * V::LANES));
            }
            for x in 0..width {
                let at = x * N * V::LANES;
                let mut values = [[V::splat(isa, 0.0); N]];
                for n in 0..N {
                    let value = V::load(isa, from.add(at + n * V::LANES));
                    values[0][n] =
                        if SHIFT { value.mul_add(scale[n], shift[n]) } else { value.mul(scale[n]) };
                }
                epilogue::activate::<V, 1, N, true>(isa, activation, &mut values);
                for n in 0..N {
                    values[0][n].store(to.add(at + n * V::LANES));
                }
            }
        }
    }
}

/// What is computed of up to three operands before the activation.
#[derive(Clone, Copy)]
enum Op {
    First,
    Add,
    Sub,
    Mul,
    Div,
    MulAdd,
    Scalar(fn(f32, f32) -> f32),
}

/// `to[i] = activation(op(from[..][i]))` for `len` elements.
///
/// # Safety
///
/// `len` elements must be readable from the operands that the operation has, and writable.
#[inline(always)]
unsafe fn each<V: Vector>(
    isa: V::Isa,
    op: Op,
    activation: &Activation,
    from: [*const f32; 3],
    to: *mut f32,
    len: usize,
) {
    let mut at = 0;
    while at < len {
        // SAFETY: the elements end at `len`.
        at += unsafe {
            let from = from.map(|from| from.wrapping_add(at));
            if len - at >= 4 * V::LANES {
                vectors::<V, 4>(isa, op, activation, from, to.add(at), V::LANES)
            } else {
                vectors::<V, 1>(isa, op, activation, from, to.add(at), V::LANES.min(len - at))
            }
        };
    }
}

/// `N` vectors, of which the last has `lanes` elements. Answers how many elements they are.
///
/// # Safety
///
/// As of [`each`].
#[inline(always)]
unsafe fn vectors<V: Vector, const N: usize>(
    isa: V::Isa,
    op: Op,
    activation: &Activation,
    from: [*const f32; 3],
    to: *mut f32,
    lanes: usize,
) -> usize {
    let mut values = [[V::splat(isa, 0.0); N]];
    for n in 0..N {
        let lanes = if n + 1 < N { V::LANES } else { lanes };
        let at = n * V::LANES;
        // SAFETY: the caller's; an operand is read only where the operation has it.
        values[0][n] = unsafe {
            let a = V::load_some(isa, from[0].add(at), lanes);
            let b = match op {
                Op::First => a,
                _ => V::load_some(isa, from[1].add(at), lanes),
            };
            match op {
                Op::First => a,
                Op::Add => a.add(b),
                Op::Sub => a.sub(b),
                Op::Mul => a.mul(b),
                Op::Div => a.div(b),
                Op::MulAdd => a.mul_add(b, V::load_some(isa, from[2].add(at), lanes)),
                Op::Scalar(f) => lane_by_lane(isa, f, a, b),
            }
        };
    }
    epilogue::activate::<V, 1, N, true>(isa, activation, &mut values);
    for n in 0..N {
        let lanes = if n + 1 < N { V::LANES } else { lanes };
        // SAFETY: the caller's.
        unsafe { values[0][n].store_some(to.add(n * V::LANES), lanes) }
    }
    (N - 1) * V::LANES + lanes
}

/// A function that no instruction set has.
#[inline(always)]
fn lane_by_lane<V: Vector>(isa: V::Isa, f: fn(f32, f32) -> f32, a: V, b: V) -> V {
    let (mut left, mut right) = ([0.0; WIDEST], [0.0; WIDEST]);
    // SAFETY: no vector is wider than the buffers.
    unsafe {
        a.store(left.as_mut_ptr());
        b.store(right.as_mut_ptr());
        for lane in 0..V::LANES {
            left[lane] = f(left[lane], right[lane]);
        }
        V::load(isa, left.as_ptr())
    }
}

/// The smaller one; not a number where an operand is none.
fn min(a: f32, b: f32) -> f32 {
    if a < b || a.is_nan() { a } else { b }
}

/// The larger one; not a number where an operand is none.
fn max(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}
