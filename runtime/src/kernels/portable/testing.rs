//! A memory for tests of kernels: whatever a kernel writes outside of its result fails the test.

extern crate std;
use crate::memory::{Arena, Memory, Plain, bytes_of};
use crate::steps::Place;
use proptest::prelude::*;
use std::boxed::Box;
use std::vec::Vec;

/// Bytes of the arena.
const BYTES: usize = 1 << 16;
/// Untouched bytes before and behind each tensor, which are filled with [`UNTOUCHED`].
const GUARD: usize = 64;
const UNTOUCHED: u8 = 0xa5;

/// Values in an arena, inputs and weights.
pub struct Rig {
    arena: Vec<u8>,
    used: usize,
    weights: Vec<i64>,
    inputs: Vec<Vec<i64>>,
}

impl Rig {
    pub fn new() -> Self {
        Self {
            arena: std::vec![UNTOUCHED; BYTES],
            used: GUARD,
            weights: std::vec![0x5a5a; 3],
            inputs: Vec::new(),
        }
    }

    /// Room for a tensor in the arena.
    pub fn room<T: Plain>(&mut self, len: usize) -> Place {
        let at = self.used;
        self.used = (at + len * size_of::<T>() + GUARD).next_multiple_of(8);
        assert!(self.used <= BYTES, "the test needs a larger arena");
        Place::Arena(at)
    }

    /// A tensor in the arena.
    pub fn put<T: Plain>(&mut self, values: &[T]) -> Place {
        let place = self.room::<T>(values.len());
        let Place::Arena(at) = place else { unreachable!() };
        self.arena[at..at + size_of_val(values)].copy_from_slice(bytes_of(values));
        place
    }

    /// A tensor in an input of its own.
    pub fn input<T: Plain>(&mut self, values: &[T]) -> Place {
        self.inputs.push(words(values));
        Place::Input(self.inputs.len() - 1, 0)
    }

    /// The offset of constants in the weights.
    pub fn constants<T: Plain>(&mut self, values: &[T]) -> usize {
        let at = self.weights.len() * 8;
        self.weights.extend(words(values));
        at
    }

    /// Runs a kernel whose result has `len` elements at `output`, and gives the result.
    #[track_caller]
    pub fn run<T: Plain>(
        &self,
        output: Place,
        len: usize,
        kernel: impl FnOnce(&mut Memory<'_>) -> Option<()>,
    ) -> Vec<T> {
        let (done, after) = self.execute(kernel);
        assert!(done.is_some(), "the step was not executed");
        let Place::Arena(at) = output else { panic!("a result in the arena") };
        let end = at + len * size_of::<T>();
        assert!(after[..at] == self.arena[..at], "bytes before the result were written");
        assert!(after[end..] == self.arena[end..], "bytes behind the result were written");
        let words = words(&after[at..end]);
        // SAFETY: the words hold the bytes of `len` elements, are aligned for every `Plain` type, and every
        // bit pattern is a value of such a type.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<T>(), len) }.to_vec()
    }

    /// Runs a kernel on a step that does not fit the memory.
    #[track_caller]
    pub fn refuses(&self, kernel: impl FnOnce(&mut Memory<'_>) -> Option<()>) {
        let (done, after) = self.execute(kernel);
        assert!(done.is_none(), "the step was executed");
        assert!(after == self.arena, "something was written");
    }

    /// Whether a kernel executes a step, which may be any.
    pub fn executes(&self, kernel: impl FnOnce(&mut Memory<'_>) -> Option<()>) -> bool {
        self.execute(kernel).0.is_some()
    }

    /// What the kernel said, and the arena behind it.
    fn execute(&self, kernel: impl FnOnce(&mut Memory<'_>) -> Option<()>) -> (Option<()>, Vec<u8>) {
        let mut arena = Box::new(Arena::<BYTES>::new());
        let inputs: Vec<&[u8]> = self.inputs.iter().map(|words| bytes_of(words)).collect();
        let mut memory = arena.memory(bytes_of(&self.weights), &inputs);
        let start = memory.write(Place::Arena(0), BYTES).unwrap();
        // SAFETY: both have `BYTES` bytes, and the arena is a new allocation.
        unsafe { start.copy_from_nonoverlapping(self.arena.as_ptr(), BYTES) };
        let done = kernel(&mut memory);
        (done, memory.bytes(0, BYTES).to_vec())
    }
}

/// The bytes of values in words, the rest of the last one zeros.
fn words<T: Plain>(values: &[T]) -> Vec<i64> {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        i64::from_ne_bytes(word)
    };
    bytes_of(values).chunks(8).map(word).collect()
}

/// All indices of a shape, in row-major order.
pub fn indices(shape: [usize; 6]) -> impl Iterator<Item = [usize; 6]> {
    (0..shape.iter().product()).map(move |mut flat: usize| {
        let mut index = [0; 6];
        for (i, dimension) in index.iter_mut().zip(shape).rev() {
            (*i, flat) = (flat % dimension, flat / dimension);
        }
        index
    })
}

/// How many elements an index is from index 0.
pub fn offset(index: [usize; 6], strides: [isize; 6]) -> isize {
    index.iter().zip(strides).map(|(&i, stride)| i as isize * stride).sum()
}

/// The lowest and the highest offset of a view.
pub fn span(shape: [usize; 6], strides: [isize; 6]) -> (isize, isize) {
    let offsets = || indices(shape).map(|index| offset(index, strides));
    (offsets().min().unwrap_or(0), offsets().max().unwrap_or(0))
}

/// Shapes with short dimensions and with strides of `N` operands, often such that dimensions can be merged.
pub fn views<const N: usize>() -> impl Strategy<Value = ([usize; 6], [[isize; 6]; N])> {
    let dimension = prop_oneof![3 => Just(1_usize), 4 => 2_usize..5, 1 => 5_usize..12];
    let shape = proptest::array::uniform6(dimension)
        .prop_filter("small enough", |shape| shape.iter().product::<usize>() <= 600);
    shape.prop_flat_map(|shape| {
        let mut row_major = [1_isize; 6];
        for d in (0..5).rev() {
            row_major[d] = row_major[d + 1] * shape[d + 1] as isize;
        }
        let broadcast = proptest::array::uniform6(any::<bool>()).prop_map(move |kept| {
            let mut strides = row_major;
            for (stride, kept) in strides.iter_mut().zip(kept) {
                *stride *= isize::from(kept);
            }
            strides
        });
        let strides = prop_oneof![
            Just(row_major),
            broadcast,
            proptest::array::uniform6(-9_isize..20),
            Just(row_major.map(|stride| -stride)),
        ];
        (Just(shape), proptest::array::uniform(strides))
    })
}

/// A view of which every element is `value(its position among the elements that it reaches)`: the place
/// of index 0, and the values by index.
pub fn view<T: Plain>(
    rig: &mut Rig,
    shape: [usize; 6],
    strides: [isize; 6],
    value: impl Fn(usize) -> T,
) -> (Place, Vec<T>) {
    let (low, high) = span(shape, strides);
    let elements: Vec<T> = (0..=(high - low) as usize).map(value).collect();
    let Place::Arena(at) = rig.put(&elements) else { unreachable!() };
    let position = |index| (offset(index, strides) - low) as usize;
    let values = indices(shape).map(|index| elements[position(index)]).collect();
    (Place::Arena(at + low.unsigned_abs() * size_of::<T>()), values)
}

/// Numbers that look random, from −2 to 2, for a position in a tensor.
pub fn number(seed: u32) -> impl Fn(usize) -> f32 {
    move |i| {
        let bits = (i as u32).wrapping_add(seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
        let bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
        (bits >> 8) as f32 / (1 << 22) as f32 - 2.0
    }
}

/// `len` of these numbers.
pub fn numbers(seed: u32, len: usize) -> Vec<f32> {
    (0..len).map(number(seed)).collect()
}

/// Every number is within `tolerance` of the expected one, or both are NaN or the same infinity.
#[track_caller]
pub fn close(actual: &[f32], expected: &[f64], tolerance: impl Fn(usize) -> f64) {
    assert_eq!(actual.len(), expected.len());
    for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let same = actual == expected as f32 || (actual.is_nan() && expected.is_nan());
        let error = (f64::from(actual) - expected).abs();
        assert!(same || error <= tolerance(i), "[{i}] is {actual:e}, not {expected:e}: off by {error:e}");
    }
}
