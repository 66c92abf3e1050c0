//! What becomes of a tile of sums: the rule of ONNX in vectors, that of TensorFlow Lite one by one.

use crate::kernels::code_vector::{Bounds, CHANNELS, CodeVector};
use crate::kernels::generic::requantize::{Requantizer, flip, limits, zero_byte};
use crate::memory::Memory;
use crate::steps::{Requantize, Rounding};

/// The end of a layer whose constants are padded to whole panels.
pub struct End<'m> {
    scalar: Requantizer<'m>,
    bounds: Bounds,
}

/// Which channel a sum in narrowing order belongs to; and, as it exchanges two quarters, where a channel's is.
const NARROWING: [usize; CHANNELS] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];

impl<'m> End<'m> {
    /// For `n` channels, a multiple of 16.
    pub fn new(
        memory: &'m Memory<'_>,
        requantize: &Requantize,
        constants: [usize; 2],
        n: usize,
    ) -> Option<Self> {
        let scalar = Requantizer::new(memory, requantize, constants, n)?;
        Some(Self { bounds: bounds(&scalar, requantize)?, scalar })
    }

    /// Stores the first `lanes` of 16 channels of `M` positions, their sums in narrowing order.
    ///
    /// # Safety
    ///
    /// `channel` must be a multiple of 16 below `n`, and each `to` writable for `lanes` elements, up to 16.
    #[inline(always)]
    pub unsafe fn store<V: CodeVector, const M: usize>(
        &self,
        isa: V::Isa,
        sums: [[V; 2]; M],
        channel: usize,
        to: [*mut u8; M],
        lanes: usize,
    ) {
        // SAFETY: the caller's; multipliers are padded to 16.
        unsafe {
            if self.scalar.rounding == Rounding::Tflite {
                for m in 0..M {
                    // A buffer of its own, so that the tile needs no address and stays in registers elsewhere.
                    let mut spilled = [0; CHANNELS];
                    sums[m][0].store(spilled.as_mut_ptr());
                    sums[m][1].store(spilled.as_mut_ptr().add(CHANNELS / 2));
                    self.one_by_one(&NARROWING.map(|at| spilled[at]), channel, to[m], lanes);
                }
                return;
            }
            let multipliers = V::load_narrowing(isa, self.scalar.multipliers.as_ptr().add(channel));
            if lanes == CHANNELS {
                for m in 0..M {
                    V::requantize(sums[m], multipliers, &self.bounds, to[m]);
                }
            } else {
                for m in 0..M {
                    let mut buffer = [0; CHANNELS];
                    V::requantize(sums[m], multipliers, &self.bounds, buffer.as_mut_ptr());
                    buffer.as_ptr().copy_to_nonoverlapping(to[m], lanes.min(CHANNELS));
                }
            }
        }
    }

    /// Stores up to 8 channels of `M` positions, their sums in order.
    ///
    /// # Safety
    ///
    /// As [`End::store`], for up to 8 elements.
    #[inline(always)]
    pub unsafe fn store_half<V: CodeVector, const M: usize>(
        &self,
        isa: V::Isa,
        sums: [V; M],
        channel: usize,
        to: [*mut u8; M],
        lanes: usize,
    ) {
        // SAFETY: the caller's.
        unsafe {
            if self.scalar.rounding == Rounding::Tflite {
                for m in 0..M {
                    let mut spilled = [0; CHANNELS / 2];
                    sums[m].store(spilled.as_mut_ptr());
                    self.one_by_one(&spilled, channel, to[m], lanes);
                }
                return;
            }
            let multipliers = V::load(isa, self.scalar.multipliers.as_ptr().add(channel));
            let pairs = if lanes == CHANNELS / 2 { M / 2 } else { 0 };
            for pair in 0..pairs {
                let at = [2 * pair, 2 * pair + 1];
                V::requantize_two(at.map(|m| sums[m]), multipliers, &self.bounds, at.map(|m| to[m]));
            }
            for m in 2 * pairs..M {
                sums[m].requantize_half(multipliers, &self.bounds, to[m], lanes);
            }
        }
    }
}

impl End<'_> {
    /// Stores the codes of `lanes` sums in order.
    ///
    /// # Safety
    ///
    /// `to` must be writable for as many elements.
    #[inline(never)]
    unsafe fn one_by_one(&self, sums: &[i32], channel: usize, to: *mut u8, lanes: usize) {
        for (at, sum) in sums.iter().enumerate().take(lanes) {
            // SAFETY: the caller's.
            unsafe { *to.add(at) = self.scalar.byte(*sum, channel + at) };
        }
    }
}

/// The bounds of a requantisation.
pub fn bounds(scalar: &Requantizer<'_>, requantize: &Requantize) -> Option<Bounds> {
    let least = limits(requantize.codes)[0];
    let range = scalar.range.map(|code| (code - least) as u8);
    let zero = zero_byte(requantize.codes)?.into();
    Some(Bounds { zero, range, flip: flip(requantize.codes) })
}
