//! Vectors of numbers of steps in single precision, of which sums and products of codes are made.
//!
//! As with [`Vector`](super::vector::Vector), a value proves the instruction set, and everything is inlined
//! into the function that instantiates the algorithm.

use super::code_vector::Bounds;
use super::vector::Task;

/// `LANES` numbers of steps.
pub trait StepVector: Copy {
    /// Proof that the CPU has the instructions.
    type Isa: Copy;

    /// [`Bounds`] in registers.
    type Limits: Copy;

    /// Numbers in a vector; at most 16.
    const LANES: usize;

    /// Runs a task in a function of its own, as [`Vector::apart`](super::vector::Vector::apart).
    fn apart(isa: Self::Isa, task: impl Task);

    /// What all numbers of steps are held to, in registers.
    fn limits(isa: Self::Isa, bounds: &Bounds) -> Self::Limits;

    /// The next codes less a zero point, times a factor.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `LANES` elements.
    unsafe fn steps(isa: Self::Isa, from: *const u8, flip: u8, zero: i32, factor: f32) -> Self;

    /// self + b
    fn add(self, b: Self) -> Self;

    /// self · b
    fn multiply(self, b: Self) -> Self;

    /// self · factor
    fn scale(self, factor: f32) -> Self;

    /// Stores the codes of four vectors, rounded to nearest, halves to even, one behind the other.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `4 · LANES` elements.
    unsafe fn store(steps: [Self; 4], limits: Self::Limits, to: *mut u8);
}
