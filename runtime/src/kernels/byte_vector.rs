//! Vectors of bytes and of 32-bit sums of their products: what the algorithms on codes need from an instruction set
//! that multiplies four unsigned bytes by four signed ones and adds the products to a sum.
//!
//! A vector of bytes holds codes of as many channels as it has *lanes*. Four of them, of four taps, become four vectors
//! of quads; the sums of each belong to a quarter of the lanes in the *order of quads*: vector `j` has
//! lanes `16·l + 4·j` to `16·l + 4·j + 3` for each 128-bit part `l`, which is where unpacking leaves them. Packing
//! puts them into order again.
//!
//! As with [`Vector`](super::vector::Vector), a value proves the instruction set, and everything is inlined
//! into the function that instantiates the algorithm.

use super::code_vector::Bounds;
use super::vector::Task;

/// Vectors of sums that the lanes of a vector of bytes have.
pub const PARTS: usize = 4;

/// A vector of 32-bit sums, and of bytes.
pub trait ByteVector: Copy {
    /// Proof that the CPU has the instructions.
    type Isa: Copy;

    /// [`Bounds`] in registers.
    type Limits: Copy;

    /// Bytes of a vector.
    const LANES: usize;

    /// Sums of a vector.
    const SUMS: usize = Self::LANES / PARTS;

    /// Runs a task in a function of its own, as [`Vector::apart`](super::vector::Vector::apart).
    fn apart(isa: Self::Isa, task: impl Task);

    /// A byte in all lanes.
    fn splat(isa: Self::Isa, byte: u8) -> Self;

    /// The next vector in memory.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `LANES` bytes.
    unsafe fn load(isa: Self::Isa, from: *const u8) -> Self;

    /// The next `len` bytes in memory, less than a vector or all of one, and zeros.
    ///
    /// # Safety
    ///
    /// `from` must be readable for them.
    unsafe fn load_some(isa: Self::Isa, from: *const u8, len: usize) -> Self;

    /// The next four bytes in memory, in each sum.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 4 bytes.
    unsafe fn quad(isa: Self::Isa, from: *const u8) -> Self;

    /// Stores the bytes.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `LANES` bytes.
    unsafe fn store(self, to: *mut u8);

    /// As many pieces side by side: two halves of a vector, or four quarters.
    ///
    /// # Safety
    ///
    /// Each must be readable.
    unsafe fn load_pieces<const N: usize>(isa: Self::Isa, from: [*const u8; N]) -> Self;

    /// Stores two halves of a vector, or four quarters.
    ///
    /// # Safety
    ///
    /// Each place must be writable for its piece.
    unsafe fn store_pieces<const N: usize>(self, to: [*mut u8; N]);

    /// a ^ b
    fn xor(self, b: Self) -> Self;

    /// The bytes of `a` and `b` in turns, the lower and the upper half of each 128-bit part.
    fn interleave(a: Self, b: Self) -> [Self; 2];

    /// The pairs of bytes of `a` and `b` in turns, the lower and the upper half of each 128-bit part.
    fn interleave_pairs(a: Self, b: Self) -> [Self; 2];

    /// Quads that begin with their second byte; the first one is the last.
    fn rotate(self) -> Self;

    /// self + the sums of the products of quads of numbers from 0 to 255 and weights from −128 to 127
    fn add_products(self, numbers: Self, weights: Self) -> Self;

    /// self − b in 32 bits
    fn subtract(self, b: Self) -> Self;

    /// All sums together, in 32 bits.
    fn total(self) -> i32;

    /// What all numbers of steps are held to, in registers.
    fn limits(isa: Self::Isa, bounds: &Bounds) -> Self::Limits;

    /// Sums in steps by the rule of ONNX: times factors in single precision, rounded to nearest, halves to even.
    fn nearest(self, factors: Self) -> Self;

    /// Sums in steps by the rule of TensorFlow Lite, as [`fixed_point`](super::generic::requantize::fixed_point).
    fn fixed_point(self, factors: Self, shifts: Self) -> Self;

    /// Stores the codes of numbers of steps in the order of quads.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `LANES` bytes.
    unsafe fn store_codes(steps: [Self; PARTS], limits: Self::Limits, to: *mut u8);

    /// As [`store_codes`](Self::store_codes), of the first `len` lanes.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `len` bytes.
    unsafe fn store_some_codes(steps: [Self; PARTS], limits: Self::Limits, to: *mut u8, len: usize);

    /// Stores numbers of steps in the order of quads, held to those from 0 to 255.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `LANES` bytes.
    unsafe fn store_numbers(steps: [Self; PARTS], to: *mut u8);
}
