//! Sums and products of codes by the rule of ONNX, four vectors of any width at a time.
//!
//! Codes of one value a channel are repeated in a buffer, so that rows are passed over in long runs whatever the
//! number of channels; what is left over goes through a buffer too. Bound by vector instructions: 10 of them for 16
//! codes of both operands and their result.

use super::end::bounds;
use crate::kernels::generic::requantize::{Requantizer, flip, limits};
use crate::kernels::portable::combine_one_by_one as one_by_one;
use crate::kernels::step_vector::StepVector;
use crate::kernels::vector::Task;
use crate::kernels::view::{CodeSink, CodeSource, same_shape};
use crate::memory::Memory;
use crate::steps::{Codes, QuantizedCombine, Rounding};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Codes that are repeated.
const REPEATED: usize = 4096;

/// The most codes at a time.
const MOST: usize = 64;

/// See [`QuantizedCombine`]. By the rule of TensorFlow Lite it is computed one by one.
#[inline(always)]
pub fn run<V: StepVector>(
    isa: V::Isa,
    memory: &Memory<'_>,
    step: &QuantizedCombine,
    rows: Range<usize>,
) -> Option<()> {
    if step.requantize.rounding == Rounding::Tflite {
        return one_by_one(memory, step, rows);
    }
    same_shape([&step.a, &step.output])?;
    let each = same_shape([&step.a, &step.b]).is_some();
    let one = (step.b.height, step.b.width, step.b.channels) == (1, 1, step.a.channels);
    if !each && !one || 4 * V::LANES > MOST {
        return None;
    }
    let scalar = Requantizer::new(memory, &step.requantize, [step.multipliers, step.shifts], 3)?;
    let factor = |at: usize| f32::from_bits(scalar.multipliers.get(at).map_or(0, |m| m.cast_unsigned()));
    let side = |codes: Codes, factor: f32| Side {
        flip: flip(codes),
        zero: codes.zero_point.wrapping_sub(limits(codes)[0]),
        factor: if step.product { 1.0 } else { factor },
    };
    let pair = Pair::<V> {
        isa,
        product: step.product,
        factor: factor(0),
        a: side(step.a_codes, factor(0)),
        b: side(step.b_codes, factor(1)),
        limits: V::limits(isa, &bounds(&scalar, &step.requantize)?),
    };
    let (a, b) = (CodeSource::new(memory, &step.a)?, CodeSource::new(memory, &step.b)?);
    let output = CodeSink::new(memory, &step.output, &rows)?;
    let (channels, width) = (step.a.channels, step.a.width);
    let mut repeated = [MaybeUninit::<u8>::uninit(); REPEATED];
    let repeated = repeated.as_mut_ptr().cast::<u8>();
    // Positions of a run.
    let most = if each { width } else { (REPEATED / channels.max(1)).clamp(1, width.max(1)) };
    let is_repeated = !each && most > 1;
    if is_repeated {
        for at in 0..most {
            // SAFETY: `b` has as many channels, and the buffer room for `most` times as many.
            unsafe { b.row(0).copy_to_nonoverlapping(repeated.add(at * channels), channels) };
        }
    }
    for y in rows {
        let mut x = 0;
        while x < width {
            let count = most.min(width - x);
            let b = if is_repeated { repeated.cast_const() } else { b.row(if each { y } else { 0 }) };
            // SAFETY: the elements are in all maps.
            let (a, to) = unsafe { (a.row(y).add(x * channels), output.row(y).add(x * channels)) };
            V::apart(isa, Line { pair: &pair, a, b, to, len: count * channels });
            x += count;
        }
    }
    Some(())
}

/// How the codes of one operand become steps.
#[derive(Clone, Copy)]
struct Side {
    flip: u8,
    zero: i32,
    factor: f32,
}

#[derive(Clone, Copy)]
struct Pair<V: StepVector> {
    isa: V::Isa,
    product: bool,
    /// Of a product.
    factor: f32,
    a: Side,
    b: Side,
    limits: V::Limits,
}

struct Line<'a, V: StepVector> {
    pair: &'a Pair<V>,
    a: *const u8,
    b: *const u8,
    to: *mut u8,
    len: usize,
}

impl<V: StepVector> Task for Line<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { pair, a, b, to, len } = self;
        let pair = *pair;
        let step = 4 * V::LANES;
        let whole = len / step * step;
        // SAFETY: whoever made the line vouches for `len` elements.
        unsafe {
            match (pair.product, pair.a.flip | pair.b.flip) {
                (true, 0) => pair.all::<true, false>(a, b, to, whole),
                (true, _) => pair.all::<true, true>(a, b, to, whole),
                (false, 0) => pair.all::<false, false>(a, b, to, whole),
                (false, _) => pair.all::<false, true>(a, b, to, whole),
            }
            let left = len - whole;
            if left > 0 {
                let mut buffers = [[0; MOST]; 3];
                a.add(whole).copy_to_nonoverlapping(buffers[0].as_mut_ptr(), left);
                b.add(whole).copy_to_nonoverlapping(buffers[1].as_mut_ptr(), left);
                let [a, b, result] = &mut buffers;
                if pair.product {
                    pair.vectors::<true, true>(a.as_ptr(), b.as_ptr(), result.as_mut_ptr());
                } else {
                    pair.vectors::<false, true>(a.as_ptr(), b.as_ptr(), result.as_mut_ptr());
                }
                result.as_ptr().copy_to_nonoverlapping(to.add(whole), left);
            }
        }
    }
}

impl<V: StepVector> Pair<V> {
    /// `len` codes, a multiple of four vectors; without `FLIP` all are unsigned.
    ///
    /// # Safety
    ///
    /// They must be readable from each operand and writable to the result.
    #[inline(always)]
    unsafe fn all<const PRODUCT: bool, const FLIP: bool>(
        &self,
        a: *const u8,
        b: *const u8,
        to: *mut u8,
        len: usize,
    ) {
        for at in (0..len).step_by(4 * V::LANES) {
            // SAFETY: the caller's.
            unsafe { self.vectors::<PRODUCT, FLIP>(a.add(at), b.add(at), to.add(at)) };
        }
    }

    /// # Safety
    ///
    /// Four vectors of codes must be readable from each operand and writable to the result.
    #[inline(always)]
    unsafe fn vectors<const PRODUCT: bool, const FLIP: bool>(&self, a: *const u8, b: *const u8, to: *mut u8) {
        let Self { isa, factor, a: mut first, b: mut second, limits, .. } = *self;
        if !FLIP {
            (first.flip, second.flip) = (0, 0);
        }
        // SAFETY: the caller's.
        unsafe {
            let mut steps = [V::steps(isa, a, first.flip, first.zero, first.factor); 4];
            for i in 0..4 {
                let at = i * V::LANES;
                let x = V::steps(isa, a.add(at), first.flip, first.zero, first.factor);
                let y = V::steps(isa, b.add(at), second.flip, second.zero, second.factor);
                // The product of two numbers below 2^8 is exact.
                steps[i] = if PRODUCT { x.multiply(y).scale(factor) } else { x.add(y) };
            }
            V::store(steps, limits, to);
        }
    }
}
