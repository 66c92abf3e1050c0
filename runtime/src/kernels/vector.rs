//! A vector of `f32` lanes: what an algorithm needs from an instruction set, and nothing else.
//!
//! A value is made only with the instruction set's token or from another value, so that whoever holds one
//! may use its instructions. All methods are inlined into the `#[target_feature]` function that
//! instantiates the algorithm; an algorithm's own functions must be `#[inline(always)]` too, and may not
//! hide vectors in closures.

/// A piece of work that is a function of its own: an algorithm's inner loops.
pub trait Task {
    /// Does it. Must be `#[inline(always)]`.
    fn run(self);
}

/// `LANES` numbers that are computed at once.
pub trait Vector: Copy {
    /// Proof that the CPU has the instructions.
    type Isa: Copy;

    /// Numbers in a vector.
    const LANES: usize;

    /// A vector of half the width where the instruction set has one: for channels that fill half a vector. Else
    /// the same.
    type Half: Vector<Isa: From<Self::Isa>>;

    /// `x` in each lane.
    fn splat(isa: Self::Isa, x: f32) -> Self;

    /// The next `LANES` numbers in memory.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `LANES` elements.
    unsafe fn load(isa: Self::Isa, from: *const f32) -> Self;

    /// # Safety
    ///
    /// `to` must be writable for `LANES` elements.
    unsafe fn store(self, to: *mut f32);

    /// self + b
    fn add(self, b: Self) -> Self;

    /// self − b
    fn sub(self, b: Self) -> Self;

    /// self · b
    fn mul(self, b: Self) -> Self;

    /// self / b
    fn div(self, b: Self) -> Self;

    /// self · b + c, rounded once where the instruction set does so.
    fn mul_add(self, b: Self, c: Self) -> Self;

    /// The smaller one; `b` where `self` is not a number.
    fn min(self, b: Self) -> Self;

    /// The larger one; `b` where `self` is not a number.
    fn max(self, b: Self) -> Self;

    /// |self|
    fn abs(self) -> Self;

    /// The magnitude of `self` with the sign of `b`.
    fn copy_sign(self, b: Self) -> Self;

    /// 2^self, where self is an integer from −126 to 127.
    fn power_of_two(self) -> Self;

    /// Asks for the cache line at an address, which need not be readable; nothing where there is no such
    /// instruction.
    #[inline(always)]
    fn prefetch(_: Self::Isa, _: *const f32) {}

    /// Runs a task in a function of its own, compiled for this instruction set: its registers are allocated
    /// for its loops alone, and code does not multiply where tiles of many shapes meet.
    fn apart(isa: Self::Isa, task: impl Task);

    /// The next `lanes` numbers in memory, and zeros.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `lanes` elements.
    #[inline(always)]
    unsafe fn load_partial(isa: Self::Isa, from: *const f32, lanes: usize) -> Self {
        let mut buffer = [0.0; WIDEST];
        // SAFETY: the caller vouches for `lanes` elements, and no vector is wider than the buffer.
        unsafe {
            from.copy_to_nonoverlapping(buffer.as_mut_ptr(), lanes.min(Self::LANES));
            Self::load(isa, buffer.as_ptr())
        }
    }

    /// Stores the first `lanes` lanes.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `lanes` elements.
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        let mut buffer = [0.0; WIDEST];
        // SAFETY: as in `load_partial`.
        unsafe {
            self.store(buffer.as_mut_ptr());
            buffer.as_ptr().copy_to_nonoverlapping(to, lanes.min(Self::LANES));
        }
    }

    /// A whole vector, or the next `lanes` numbers and zeros.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `lanes` elements.
    #[inline(always)]
    unsafe fn load_some(isa: Self::Isa, from: *const f32, lanes: usize) -> Self {
        // SAFETY: the caller's.
        unsafe {
            if lanes == Self::LANES { Self::load(isa, from) } else { Self::load_partial(isa, from, lanes) }
        }
    }

    /// The next two numbers in memory, one in the even lanes and one in the odd ones.
    ///
    /// # Safety
    ///
    /// `from` must be readable for 2 elements.
    #[inline(always)]
    unsafe fn splat_pair(isa: Self::Isa, from: *const f32) -> Self {
        let mut lanes = [0.0; WIDEST];
        for (lane, value) in lanes.iter_mut().enumerate() {
            // SAFETY: the caller vouches for 2 elements.
            *value = unsafe { *from.add(lane % 2) };
        }
        // SAFETY: no vector is wider than the buffer.
        unsafe { Self::load(isa, lanes.as_ptr()) }
    }

    /// Each even lane plus the odd one behind it.
    #[inline(always)]
    fn pair_sums(self, isa: Self::Isa) -> Self::Half {
        let mut lanes = [0.0; WIDEST];
        // SAFETY: no vector is wider than the buffer.
        unsafe {
            self.store(lanes.as_mut_ptr());
            for pair in 0..WIDEST / 2 {
                lanes[pair] = lanes[2 * pair] + lanes[2 * pair + 1];
            }
            Self::Half::load(isa.into(), lanes.as_ptr())
        }
    }

    /// Stores a whole vector, or its first `lanes` lanes.
    ///
    /// # Safety
    ///
    /// `to` must be writable for `lanes` elements.
    #[inline(always)]
    unsafe fn store_some(self, to: *mut f32, lanes: usize) {
        // SAFETY: the caller's.
        unsafe { if lanes == Self::LANES { self.store(to) } else { self.store_partial(to, lanes) } }
    }
}

/// Lanes of the widest vector there is.
pub const WIDEST: usize = 16;

/// Any CPU can run plain Rust.
#[derive(Clone, Copy)]
pub struct Portable;

/// A vector in plain Rust, in a form that the compiler turns into vectors where the CPU has them.
#[derive(Clone, Copy)]
pub struct Lanes<const N: usize>([f32; N]);

impl<const N: usize> Lanes<N> {
    /// `f` of each pair of lanes.
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut result = self;
        for lane in 0..N {
            result.0[lane] = f(self.0[lane], b.0[lane]);
        }
        result
    }
}

impl<const N: usize> Vector for Lanes<N> {
    type Isa = Portable;

    type Half = Self;

    const LANES: usize = N;

    #[inline(always)]
    fn splat(_: Portable, x: f32) -> Self {
        Self([x; N])
    }

    #[inline(always)]
    unsafe fn load(_: Portable, from: *const f32) -> Self {
        // SAFETY: the caller vouches for `N` elements; an array is aligned as its elements.
        Self(unsafe { from.cast::<[f32; N]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<[f32; N]>().write(self.0) }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.zip(b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.zip(b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.zip(b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.zip(b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        self.zip(b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        self.zip(b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.zip(self, |a, _| f32::from_bits(a.to_bits() & !SIGN))
    }

    #[inline(always)]
    fn copy_sign(self, b: Self) -> Self {
        self.zip(b, |a, b| f32::from_bits((a.to_bits() & !SIGN) | (b.to_bits() & SIGN)))
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        self.zip(self, |a, _| f32::from_bits(((a as i32 + 127) << 23).cast_unsigned()))
    }

    #[inline(always)]
    fn apart(_: Portable, task: impl Task) {
        #[inline(never)]
        fn call(task: impl Task) {
            task.run();
        }
        call(task);
    }
}

const SIGN: u32 = 1 << 31;
