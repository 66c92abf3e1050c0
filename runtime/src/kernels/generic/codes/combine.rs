//! Sums and products of codes by the rule of ONNX, eight at a time; what is left over goes through a buffer.

use super::end::bounds;
use crate::kernels::code_vector::{Bounds, CodeVector};
use crate::kernels::generic::requantize::{Requantizer, flip, limits};
use crate::kernels::portable::combine_one_by_one as one_by_one;
use crate::kernels::vector::Task;
use crate::kernels::view::{CodeSink, CodeSource, same_shape};
use crate::memory::Memory;
use crate::steps::{Codes, QuantizedCombine, Rounding};
use core::ops::Range;

/// Codes at a time.
const LANES: usize = 8;

/// See [`QuantizedCombine`]. By the rule of TensorFlow Lite it is computed one by one.
#[inline(always)]
pub fn run<V: CodeVector>(
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
    let scalar = Requantizer::new(memory, &step.requantize, [step.multipliers, step.shifts], 3)?;
    if !each && !one {
        return None;
    }
    let factor = |at: usize| f32::from_bits(scalar.multipliers.get(at).map_or(0, |m| m.cast_unsigned()));
    let side = |codes: Codes, factor: f32| Side {
        flip: flip(codes),
        zero: codes.zero_point.wrapping_sub(limits(codes)[0]),
        factor,
    };
    let pair = Pair {
        product: step.product.then_some(factor(0)),
        a: side(step.a_codes, if step.product { 1.0 } else { factor(0) }),
        b: side(step.b_codes, if step.product { 1.0 } else { factor(1) }),
        bounds: bounds(&scalar, &step.requantize)?,
    };
    let (a, b) = (CodeSource::new(memory, &step.a)?, CodeSource::new(memory, &step.b)?);
    let output = CodeSink::new(memory, &step.output, &rows)?;
    let channels = step.a.channels;
    for y in rows {
        let (a, b, to) = (a.row(y), b.row(if each { y } else { 0 }), output.row(y));
        let (pieces, len) = if each { (1, step.a.width * channels) } else { (step.a.width, channels) };
        for piece in 0..pieces {
            // SAFETY: the elements are in all maps.
            let (a, to) = unsafe { (a.add(piece * len), to.add(piece * len)) };
            V::apart(isa, Line::<V> { pair: &pair, isa, a, b, to, len });
        }
    }
    Some(())
}

/// How the codes of one operand become steps.
struct Side {
    flip: u8,
    zero: i32,
    factor: f32,
}

struct Pair {
    /// The factor of a product.
    product: Option<f32>,
    a: Side,
    b: Side,
    bounds: Bounds,
}

struct Line<'a, V: CodeVector> {
    pair: &'a Pair,
    isa: V::Isa,
    a: *const u8,
    b: *const u8,
    to: *mut u8,
    len: usize,
}

impl<V: CodeVector> Task for Line<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { pair, isa, a, b, to, len } = self;
        // SAFETY: whoever made the line vouches for `len` elements.
        unsafe {
            for at in (0..len / LANES * LANES).step_by(LANES) {
                pair.vector::<V>(isa, a.add(at), b.add(at), to.add(at));
            }
            let (done, left) = (len / LANES * LANES, len % LANES);
            if left > 0 {
                let mut buffers = [[0; LANES]; 3];
                a.add(done).copy_to_nonoverlapping(buffers[0].as_mut_ptr(), left);
                b.add(done).copy_to_nonoverlapping(buffers[1].as_mut_ptr(), left);
                pair.vector::<V>(isa, buffers[0].as_ptr(), buffers[1].as_ptr(), buffers[2].as_mut_ptr());
                buffers[2].as_ptr().copy_to_nonoverlapping(to.add(done), left);
            }
        }
    }
}

impl Pair {
    /// # Safety
    ///
    /// Eight elements must be readable from each operand and writable to the result.
    #[inline(always)]
    unsafe fn vector<V: CodeVector>(&self, isa: V::Isa, a: *const u8, b: *const u8, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe {
            let x = V::steps(isa, a, self.a.flip, self.a.zero, self.a.factor);
            let y = V::steps(isa, b, self.b.flip, self.b.zero, self.b.factor);
            match self.product {
                // The product of two numbers below 2^8 is exact.
                Some(factor) => {
                    let factors = [factor.to_bits().cast_signed(); LANES];
                    let factor = V::load(isa, factors.as_ptr());
                    x.multiply_steps(y).multiply_steps(factor).store_steps(&self.bounds, to);
                }
                None => x.add_steps(y).store_steps(&self.bounds, to),
            }
        }
    }
}
