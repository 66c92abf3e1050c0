//! Vectors of 32-bit sums of 8-bit codes: what the algorithms on codes need from an instruction set.
//!
//! Codes are widened to 16 bits and multiplied in pairs whose products are added in 32 bits, which is exact:
//! two products of a number up to 255 and one of 9 bits stay far below 2^31, and nothing saturates. Where the
//! compiler has seen that the products of two weights with any codes fit 16 bits together, codes of 8 bits are
//! multiplied in quads. Sums of 16 channels are two vectors in *narrowing order*: channels 0–3 and 8–11, then 4–7
//! and 12–15, which is the order in which 128-bit lanes are unpacked and packed.
//!
//! As with [`Vector`](super::vector::Vector), a value proves the instruction set, and everything is inlined
//! into the function that instantiates the algorithm.

use super::vector::Task;

/// What becomes of a number of steps by the rule of ONNX: the part that is the same for all channels.
///
/// Numbers of steps below 2^31 in magnitude, which the compiler promises, become 32-bit integers, then 16-bit
/// and 8-bit ones with saturation, the zero point between; so all that is left to clamp is what an activation
/// leaves of the 256 codes.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// The zero point, as a number from 0 to 255.
    pub zero: i16,
    /// Least and greatest number from 0 to 255 that is stored.
    pub range: [u8; 2],
    /// What makes such a number the byte of a code.
    pub flip: u8,
}

/// Channels that are handled at a time.
pub const CHANNELS: usize = 16;

/// Eight sums of 32 bits.
pub trait CodeVector: Copy {
    /// Proof that the CPU has the instructions.
    type Isa: Copy;

    /// Eight pairs of 16-bit numbers.
    type Pairs: Copy;

    /// Eight quads of 8-bit numbers.
    type Quads: Copy;

    /// [`Bounds`] in registers.
    type Limits: Copy;

    /// Runs a task in a function of its own, as [`Vector::apart`](super::vector::Vector::apart).
    fn apart(isa: Self::Isa, task: impl Task);

    /// The next eight sums in memory.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 8 elements.
    unsafe fn load(isa: Self::Isa, from: *const i32) -> Self;

    /// 16 words in narrowing order.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 16 elements.
    unsafe fn load_narrowing(isa: Self::Isa, from: *const i32) -> [Self; 2];

    /// The next eight pairs in memory.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 16 elements.
    unsafe fn pairs(isa: Self::Isa, from: *const i16) -> Self::Pairs;

    /// The next pair in memory, eight times.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 2 elements.
    unsafe fn pair(isa: Self::Isa, from: *const i16) -> Self::Pairs;

    /// Stores eight pairs.
    ///
    /// # Safety
    ///
    /// `to` must be writable for 16 elements.
    unsafe fn store_pairs(pairs: Self::Pairs, to: *mut i16);

    /// Asks for the weights there, which are not read soon, to come nearer.
    fn prefetch(isa: Self::Isa, at: *const u8);

    /// self + the sums of the products of pairs
    fn add_products(self, a: Self::Pairs, b: Self::Pairs) -> Self;

    /// The weights of the next quad of eight columns in memory.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 32 elements.
    unsafe fn quads(isa: Self::Isa, from: *const u8) -> Self::Quads;

    /// The next four numbers from 0 to 255 in memory, eight times.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 4 elements.
    unsafe fn quad(isa: Self::Isa, from: *const u8) -> Self::Quads;

    /// The sums of the products of each pair of quads of numbers and weights, in 16 bits; exact where they fit.
    fn products(numbers: Self::Quads, weights: Self::Quads) -> Self::Pairs;

    /// a + b in 16 bits
    fn add_pairs(a: Self::Pairs, b: Self::Pairs) -> Self::Pairs;

    /// self + the sum of each pair
    fn add_sums(self, pairs: Self::Pairs) -> Self;

    /// Stores 16 codes as numbers from 0 to 255.
    ///
    /// # Safety
    ///
    /// `from` must be readable, and `to` writable, for 16 elements.
    unsafe fn copy(isa: Self::Isa, from: *const u8, flip: u8, to: *mut u8);

    /// Stores 16 numbers from 0 to 255 in 16 bits.
    ///
    /// # Safety
    ///
    /// `from` must be readable, and `to` writable, for 16 elements.
    unsafe fn widen(isa: Self::Isa, from: *const u8, to: *mut i16);

    /// A number from 0 to 255, sixteen times.
    fn numbers_of(isa: Self::Isa, number: u8) -> Self::Pairs;

    /// 16 codes as numbers from 0 to 255.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 16 elements.
    unsafe fn numbers(isa: Self::Isa, from: *const u8, flip: u8) -> Self::Pairs;

    /// 8 codes as numbers from 0 to 255, and 8 zeros.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 8 elements.
    unsafe fn half_numbers(isa: Self::Isa, from: *const u8, flip: u8) -> Self::Pairs;

    /// The pairs of the numbers of `a` and `b`, in narrowing order.
    fn interleave(a: Self::Pairs, b: Self::Pairs) -> [Self::Pairs; 2];

    /// What all numbers of steps are held to, in registers.
    fn limits(isa: Self::Isa, bounds: &Bounds) -> Self::Limits;

    /// Sums in steps by the rule of ONNX: times factors in single precision, rounded to nearest, halves to even.
    fn nearest(self, factors: Self) -> Self;

    /// Sums in steps by the rule of TensorFlow Lite, as [`fixed_point`](super::generic::requantize::fixed_point).
    fn fixed_point(self, factors: Self, shifts: Self) -> Self;

    /// Stores the codes of four vectors of steps, eight channels each, in order.
    ///
    /// # Safety
    ///
    /// Each place must be writable for 8 elements.
    unsafe fn store_four(steps: [Self; 4], limits: Self::Limits, to: [*mut u8; 4]);

    /// Stores the codes of two positions, 16 channels each, in narrowing order.
    ///
    /// # Safety
    ///
    /// Each place must be writable for 16 elements.
    unsafe fn store_two(steps: [[Self; 2]; 2], limits: Self::Limits, to: [*mut u8; 2]);
}
