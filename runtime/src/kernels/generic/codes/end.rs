//! What becomes of a tile of sums, by either rule, in vectors.

use crate::kernels::code_vector::{Bounds, CHANNELS, CodeVector};
use crate::kernels::generic::requantize::{Requantizer, flip, limits, zero_byte};
use crate::kernels::vector::Task;
use crate::memory::Memory;
use crate::steps::{Requantize, Rounding};
use core::marker::PhantomData;

/// Channels of a vector.
const LANES: usize = CHANNELS / 2;

/// The end of a layer whose constants are padded to whole panels. Loops copy it, so that nothing they store can
/// change it.
#[derive(Clone, Copy)]
pub struct End<'m, V: CodeVector> {
    multipliers: *const i32,
    shifts: *const i32,
    tflite: bool,
    limits: V::Limits,
    memory: PhantomData<&'m ()>,
}

impl<'m, V: CodeVector> End<'m, V> {
    /// For `n` channels, a multiple of 16.
    #[inline(always)]
    pub fn new(
        isa: V::Isa,
        memory: &'m Memory<'_>,
        requantize: &Requantize,
        constants: [usize; 2],
        n: usize,
    ) -> Option<Self> {
        Self::of(isa, Requantizer::new(memory, requantize, constants, n)?, requantize)
    }

    /// With the constants of a multiple of 16 channels.
    #[inline(always)]
    pub fn of(isa: V::Isa, scalar: Requantizer<'m>, requantize: &Requantize) -> Option<Self> {
        Some(Self {
            multipliers: scalar.multipliers.as_ptr(),
            shifts: scalar.shifts.as_ptr(),
            tflite: scalar.rounding == Rounding::Tflite,
            limits: V::limits(isa, &bounds(&scalar, requantize)?),
            memory: PhantomData,
        })
    }

    /// Stores the first `lanes` of 16 channels of `M` positions, their sums in narrowing order, each `distance`
    /// codes behind the one before.
    ///
    /// # Safety
    ///
    /// `channel` must be a multiple of 16 below `n`, and `to` writable for `lanes` elements, up to 16, of each.
    #[inline(always)]
    pub unsafe fn store<const M: usize>(
        self,
        isa: V::Isa,
        sums: [[V; 2]; M],
        channel: usize,
        to: *mut u8,
        distance: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's; constants are padded to 16.
        unsafe {
            if self.tflite || lanes < CHANNELS {
                // A copy, so that the tile needs no address and stays in registers elsewhere.
                let spilled = sums;
                V::apart(isa, Slow { end: self, isa, sums: &spilled, channel, to, distance, lanes });
                return;
            }
            let factors = V::load_narrowing(isa, self.multipliers.add(channel));
            for pair in 0..M / 2 {
                let [a, b] = [2 * pair, 2 * pair + 1];
                let first = [sums[a][0].nearest(factors[0]), sums[a][1].nearest(factors[1])];
                let second = [sums[b][0].nearest(factors[0]), sums[b][1].nearest(factors[1])];
                let to = [to.add(a * distance), to.add(b * distance)];
                V::store_two([first, second], self.limits, to);
            }
            if M % 2 == 1 {
                let [low, high] = sums[M - 1];
                let steps = [low.nearest(factors[0]), high.nearest(factors[1])];
                V::store_two([steps; 2], self.limits, [to.add((M - 1) * distance); 2]);
            }
        }
    }

    /// Stores up to 8 channels of `N` positions, their sums in order; else as [`End::store`].
    ///
    /// # Safety
    ///
    /// As [`End::store`], for a multiple of 8 and up to 8 elements.
    #[inline(always)]
    pub unsafe fn store_half<const N: usize>(
        self,
        isa: V::Isa,
        sums: [V; N],
        channel: usize,
        to: *mut u8,
        distance: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's; constants are padded to 16.
        unsafe {
            if self.tflite || lanes < LANES {
                // As above.
                let mut spilled = [[sums[0]]; N];
                for n in 1..N {
                    spilled[n] = [sums[n]];
                }
                V::apart(isa, Slow { end: self, isa, sums: &spilled, channel, to, distance, lanes });
                return;
            }
            let factors = V::load(isa, self.multipliers.add(channel));
            for four in 0..N.div_ceil(4) {
                let mut steps = [sums[4 * four].nearest(factors); 4];
                let mut places = [to.add(4 * four * distance); 4];
                for i in 1..4 {
                    // The last one is stored as often as it takes.
                    let n = if 4 * four + i < N { 4 * four + i } else { N - 1 };
                    steps[i] = sums[n].nearest(factors);
                    places[i] = to.add(n * distance);
                }
                V::store_four(steps, self.limits, places);
            }
        }
    }
}

/// [`End::store`] for any rule and any number of channels, out of line: `W` vectors of each position, two in
/// narrowing order.
struct Slow<'a, V: CodeVector, const W: usize> {
    end: End<'a, V>,
    isa: V::Isa,
    sums: &'a [[V; W]],
    channel: usize,
    to: *mut u8,
    distance: usize,
    lanes: usize,
}

impl<V: CodeVector, const W: usize> Task for Slow<'_, V, W> {
    #[inline(always)]
    fn run(self) {
        let Self { end, isa, sums, channel, to, distance, lanes } = self;
        for (m, sums) in sums.iter().enumerate() {
            // SAFETY: whoever made the task vouches for `lanes` elements of each position; constants are padded.
            unsafe {
                let factors = load::<V, W>(isa, end.multipliers.add(channel));
                let mut steps = [sums[0], sums[W - 1]];
                if end.tflite {
                    let shifts = load::<V, W>(isa, end.shifts.add(channel));
                    for half in 0..2 {
                        steps[half] = steps[half].fixed_point(factors[half], shifts[half]);
                    }
                } else {
                    for half in 0..2 {
                        steps[half] = steps[half].nearest(factors[half]);
                    }
                }
                let mut codes = [0_u8; CHANNELS];
                let at = codes.as_mut_ptr();
                if W == 2 {
                    V::store_two([steps; 2], end.limits, [at; 2]);
                } else {
                    V::store_four([steps[0]; 4], end.limits, [at; 4]);
                }
                let to = to.add(m * distance);
                for (lane, code) in codes.into_iter().enumerate().take(lanes) {
                    *to.add(lane) = code;
                }
            }
        }
    }
}

/// Words of 16 channels in narrowing order, or of 8.
///
/// # Safety
///
/// They must be readable.
#[inline(always)]
unsafe fn load<V: CodeVector, const W: usize>(isa: V::Isa, from: *const i32) -> [V; 2] {
    // SAFETY: the caller's.
    unsafe { if W == 2 { V::load_narrowing(isa, from) } else { [V::load(isa, from); 2] } }
}

/// The bounds of a requantisation.
pub fn bounds(scalar: &Requantizer<'_>, requantize: &Requantize) -> Option<Bounds> {
    let least = limits(requantize.codes)[0];
    let range = scalar.range.map(|code| (code - least) as u8);
    let zero = zero_byte(requantize.codes)?.into();
    Some(Bounds { zero, range, flip: flip(requantize.codes) })
}
