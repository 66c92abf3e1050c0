//! Element by element and channel by channel: activations, sums of maps, factors of channels.

use super::activation::apply;
use crate::kernels::vector::Vector;
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
        unsafe { map::<V>(isa, &step.activation, from, to, len) }
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
    for piece in pieces(rows, [a.rows(), b.rows(), output.rows()]) {
        let len = piece.len() * a.row_len();
        let (a, b, to) = (a.row(piece.start), b.row(piece.start), output.row(piece.start));
        // SAFETY: the rows of a piece lie behind one another, so there are `len` elements.
        unsafe {
            match step.op {
                BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div => {
                    zip::<V>(isa, step, a, b, to, len);
                }
                BinaryOp::Min => one_by_one::<V>(isa, step, min, a, b, to, len),
                BinaryOp::Max => one_by_one::<V>(isa, step, max, a, b, to, len),
                BinaryOp::Pow => one_by_one::<V>(isa, step, math::powf, a, b, to, len),
                BinaryOp::Mod => one_by_one::<V>(isa, step, math::modulo, a, b, to, len),
                BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => return None,
            }
        }
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
    [scale, shift]: [*const f32; 2],
    activation: &Activation,
    rows: Range<usize>,
) -> Option<()> {
    same_shape([input, output])?;
    let c = input.channels;
    let width = input.width;
    let input = Source::new(memory, input)?;
    let output = Sink::new(memory, output, &rows)?;
    for y in rows {
        for x in 0..width {
            for channel in (0..c).step_by(V::LANES) {
                let lanes = V::LANES.min(c - channel);
                // SAFETY: row `y` has `width` positions of `c` channels, and there are `c` constants.
                unsafe {
                    let value = V::load_some(isa, input.row(y).add(x * c + channel), lanes);
                    let scale = V::load_some(isa, scale.add(channel), lanes);
                    let value = if SHIFT {
                        value.mul_add(scale, V::load_some(isa, shift.add(channel), lanes))
                    } else {
                        value.mul(scale)
                    };
                    apply(isa, activation, value).store_some(output.row(y).add(x * c + channel), lanes);
                }
            }
        }
    }
    Some(())
}

/// # Safety
///
/// `len` elements must be readable and writable.
#[inline(always)]
unsafe fn map<V: Vector>(isa: V::Isa, activation: &Activation, from: *const f32, to: *mut f32, len: usize) {
    for at in (0..len).step_by(V::LANES) {
        let lanes = V::LANES.min(len - at);
        // SAFETY: `at + lanes` is at most `len`.
        unsafe {
            let value = V::load_some(isa, from.add(at), lanes);
            apply(isa, activation, value).store_some(to.add(at), lanes);
        }
    }
}

/// # Safety
///
/// `len` elements must be readable and writable.
#[inline(always)]
unsafe fn zip<V: Vector>(
    isa: V::Isa,
    step: &Combine,
    a: *const f32,
    b: *const f32,
    to: *mut f32,
    len: usize,
) {
    for at in (0..len).step_by(V::LANES) {
        let lanes = V::LANES.min(len - at);
        // SAFETY: `at + lanes` is at most `len`.
        unsafe {
            let a = V::load_some(isa, a.add(at), lanes);
            let b = V::load_some(isa, b.add(at), lanes);
            let value = match step.op {
                BinaryOp::Sub => a.sub(b),
                BinaryOp::Mul => a.mul(b),
                BinaryOp::Div => a.div(b),
                _ => a.add(b),
            };
            apply(isa, &step.activation, value).store_some(to.add(at), lanes);
        }
    }
}

/// Operations that no instruction set has; then the activation, in place.
///
/// # Safety
///
/// `len` elements must be readable and writable.
#[inline(always)]
unsafe fn one_by_one<V: Vector>(
    isa: V::Isa,
    step: &Combine,
    op: fn(f32, f32) -> f32,
    a: *const f32,
    b: *const f32,
    to: *mut f32,
    len: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        for at in 0..len {
            *to.add(at) = op(*a.add(at), *b.add(at));
        }
        if step.activation != Activation::Identity {
            map::<V>(isa, &step.activation, to.cast_const(), to, len);
        }
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
