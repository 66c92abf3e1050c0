//! Vectors of 32-bit sums to which one instruction adds the products of quads of 8-bit numbers and weights.
//!
//! The numbers are from 0 to 255 and the weights from −128 to 127. Four products are far below 2^31 and are added
//! in 32 bits without saturation, so sums are exact.
//!
//! As with [`Vector`](super::vector::Vector), a value proves the instruction set, and everything is inlined
//! into the function that instantiates the algorithm.

use super::code_vector::Bounds;
use super::vector::Task;

/// `LANES` sums of 32 bits.
pub trait DotVector: Copy {
    /// Proof that the CPU has the instructions.
    type Isa: Copy;

    /// A quad of 8-bit numbers or weights for each lane.
    type Quads: Copy;

    /// [`Bounds`] in registers.
    type Limits: Copy;

    /// Sums of a vector.
    const LANES: usize;

    /// Runs a task in a function of its own, as [`Vector::apart`](super::vector::Vector::apart).
    fn apart(isa: Self::Isa, task: impl Task);

    /// The next sums in memory.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `LANES` elements.
    unsafe fn load(isa: Self::Isa, from: *const i32) -> Self;

    /// The next quads in memory.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `4 · LANES` elements.
    unsafe fn quads(isa: Self::Isa, from: *const u8) -> Self::Quads;

    /// The next quad in memory, in each lane.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 4 elements.
    unsafe fn quad(isa: Self::Isa, from: *const u8) -> Self::Quads;

    /// Asks for the weights there, which are not read soon, to come nearer.
    fn prefetch(isa: Self::Isa, at: *const u8);

    /// self + the sum of the products of each quad of numbers and weights
    fn add_products(self, numbers: Self::Quads, weights: Self::Quads) -> Self;

    /// What all numbers of steps are held to, in registers.
    fn limits(isa: Self::Isa, bounds: &Bounds) -> Self::Limits;

    /// Sums in steps by the rule of ONNX: times factors in single precision, rounded to nearest, halves to even.
    fn nearest(self, factors: Self) -> Self;

    /// Sums in steps by the rule of TensorFlow Lite, as [`fixed_point`](super::generic::requantize::fixed_point).
    fn fixed_point(self, factors: Self, shifts: Self) -> Self;

    /// Stores the codes of four vectors of steps.
    ///
    /// # Safety
    ///
    /// Each place must be writable for `LANES` elements.
    unsafe fn store_four(steps: [Self; 4], limits: Self::Limits, to: [*mut u8; 4]);

    /// Stores the codes of two pairs of vectors of steps, the second of each behind the first.
    ///
    /// # Safety
    ///
    /// Each place must be writable for `2 · LANES` elements.
    #[inline(always)]
    unsafe fn store_two([a, b]: [[Self; 2]; 2], limits: Self::Limits, to: [*mut u8; 2]) {
        let [first, second] = to.map(|to| to.wrapping_add(Self::LANES));
        // SAFETY: the caller's.
        unsafe { Self::store_four([a[0], a[1], b[0], b[1]], limits, [to[0], first, to[1], second]) }
    }
}
