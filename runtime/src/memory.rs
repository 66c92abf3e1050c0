//! The memories that a network runs on: the arena, the caller's inputs, the weights.

use crate::steps::Place;
use core::marker::PhantomData;

/// Bytes on a 64-byte boundary: a cache line, and the widest vector there is.
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

/// All the memory that a network writes to, its size known when compiling.
///
/// Its content between two runs means nothing; one arena can serve one run at a time.
#[repr(C, align(64))]
pub struct Arena<const N: usize> {
    bytes: [u8; N],
}

impl<const N: usize> Arena<N> {
    /// An arena of zeros. It is as large as it says: put a large one in a `static` or on the heap
    /// (`Arena::boxed`).
    #[allow(clippy::new_without_default, reason = "a megabyte on the stack should not come by default")]
    pub const fn new() -> Self {
        Self { bytes: [0; N] }
    }

    /// An arena on the heap, without passing over the stack.
    #[cfg(feature = "alloc")]
    pub fn boxed() -> alloc::boxed::Box<Self> {
        // SAFETY: an arena is plain bytes, for which all zeros is a value.
        unsafe { alloc::boxed::Box::<Self>::new_zeroed().assume_init() }
    }

    /// The memory of one run.
    pub fn memory<'a>(&'a mut self, weights: &'a [u8], inputs: &'a [&'a [u8]]) -> Memory<'a> {
        Memory { arena: self.bytes.as_mut_ptr(), arena_bytes: N, weights, inputs, borrow: PhantomData }
    }

    /// `LEN` elements at byte `AT`, to be written: an input of the network.
    pub fn view_mut<T: Plain, const AT: usize, const LEN: usize>(&mut self) -> &mut [T; LEN] {
        const { assert!(AT.is_multiple_of(align_of::<T>()) && AT + LEN * size_of::<T>() <= N) };
        // SAFETY: as in `view`; every bit pattern that can be written is a byte's.
        unsafe { &mut *self.bytes.as_mut_ptr().add(AT).cast::<[T; LEN]>() }
    }

    /// Copies elements to byte `at`: a row of an input. Does nothing where they do not lie inside the arena.
    pub fn write<T: Plain>(&mut self, at: usize, values: &[T]) {
        let bytes = bytes_of(values);
        let end = at.saturating_add(bytes.len());
        if let Some(to) = self.bytes.get_mut(at..end) {
            to.copy_from_slice(bytes);
        }
    }

    /// `LEN` elements at byte `AT`: an output of the network.
    pub fn view<T: Plain, const AT: usize, const LEN: usize>(&self) -> &[T; LEN] {
        const { assert!(AT.is_multiple_of(align_of::<T>()) && AT + LEN * size_of::<T>() <= N) };
        // SAFETY: the assertion above proves that the elements lie inside the arena, which is aligned to
        // 64 bytes; `Plain` types have no invalid values.
        unsafe { &*self.bytes.as_ptr().add(AT).cast::<[T; LEN]>() }
    }
}

/// Element types of inputs and outputs.
///
/// # Safety
///
/// Every bit pattern that a kernel stores must be a value, and there must be no padding.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($T:ty),*) => {
        $(
            // SAFETY: a number has no padding and no invalid bit pattern.
            unsafe impl Plain for $T {}
        )*
    };
}
plain!(f32, i8, u8, i16, i32, i64);

/// The bytes of a network's input.
pub const fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: `Plain` types have no padding, so every byte is initialised.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// What a kernel may read and write during one run.
///
/// The arena is held by pointer, because a step's operands and its result may share bytes (a residual
/// that is its own output, a ring that wraps): every access goes through `read` and
/// `write`, which check the range.
pub struct Memory<'a> {
    arena: *mut u8,
    arena_bytes: usize,
    weights: &'a [u8],
    inputs: &'a [&'a [u8]],
    borrow: PhantomData<&'a mut [u8]>,
}

impl Memory<'_> {
    /// Bytes of the arena, for whoever watches a run; empty where they do not lie inside it.
    pub fn bytes(&self, at: usize, bytes: usize) -> &[u8] {
        match self.read(Place::Arena(at), bytes) {
            // SAFETY: `read` checked the range; the arena is initialised, and the borrow of `self` keeps
            // kernels from writing to it meanwhile.
            Some(start) => unsafe { core::slice::from_raw_parts(start, bytes) },
            None => &[],
        }
    }

    /// A pointer to `bytes` readable bytes at a place, or `None` where they do not lie inside it.
    pub(crate) fn read(&self, place: Place, bytes: usize) -> Option<*const u8> {
        let (base, len, at) = match place {
            Place::Arena(at) => (self.arena.cast_const(), self.arena_bytes, at),
            Place::Weights(at) => (self.weights.as_ptr(), self.weights.len(), at),
            Place::Input(index, at) => {
                let input = self.inputs.get(index)?;
                (input.as_ptr(), input.len(), at)
            }
        };
        let end = at.checked_add(bytes)?;
        // SAFETY: `at` is at most `len`, so the pointer stays inside the allocation or at its end.
        (end <= len).then(|| unsafe { base.add(at) })
    }

    /// A pointer to `bytes` writable bytes at a place, which must be in the arena. A kernel holds the memory
    /// exclusively; the pointer comes from a shared borrow so that its operands can be looked up beside it.
    pub(crate) fn write(&self, place: Place, bytes: usize) -> Option<*mut u8> {
        match place {
            Place::Arena(at) => {
                let end = at.checked_add(bytes)?;
                // SAFETY: as in `read`.
                (end <= self.arena_bytes).then(|| unsafe { self.arena.add(at) })
            }
            Place::Input(..) | Place::Weights(_) => None,
        }
    }
}
