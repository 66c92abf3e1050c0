//! Sums in ymm registers, for either encoding of the instruction that adds the products of quads.

/// Defines `Half`, eight sums, and `Whole`, two vectors of eight, over a token that proves AVX2 and has a function
/// of that name for `vpdpbusd`.
macro_rules! ymm_sums {
    ($Token:ident, $apart:path, $dpbusd:path) => {
        /// Eight sums. Made only from the token or from another one, so each proves its features.
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct Half($crate::kernels::x86_64::avx2::codes::I32x8);

        /// Thirty-two 8-bit numbers or weights. Made as [`Half`].
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct U8x32(core::arch::x86_64::__m256i);

        impl $crate::kernels::dot_vector::DotVector for Half {
            type Isa = $Token;
            type Quads = U8x32;
            type Limits = $crate::kernels::x86_64::avx2::codes::Limits;

            const LANES: usize = 8;

            #[inline(always)]
            fn apart(isa: $Token, task: impl $crate::kernels::vector::Task) {
                $apart(isa, task);
            }

            #[inline(always)]
            unsafe fn load(isa: $Token, from: *const i32) -> Self {
                // SAFETY: the caller's.
                Self(unsafe { CodeVector::load(isa.into(), from) })
            }

            #[inline(always)]
            unsafe fn quads(_: $Token, from: *const u8) -> U8x32 {
                // SAFETY: the token proves AVX2, and the caller vouches for 32 elements.
                U8x32(unsafe { core::arch::x86_64::_mm256_loadu_si256(from.cast()) })
            }

            #[inline(always)]
            unsafe fn quad(_: $Token, from: *const u8) -> U8x32 {
                // SAFETY: the token proves AVX2, and the caller vouches for 4 elements.
                U8x32(unsafe { core::arch::x86_64::_mm256_set1_epi32(from.cast::<i32>().read_unaligned()) })
            }

            #[inline(always)]
            fn prefetch(isa: $Token, at: *const u8) {
                <$crate::kernels::x86_64::avx2::codes::I32x8 as CodeVector>::prefetch(isa.into(), at);
            }

            #[inline(always)]
            fn add_products(self, numbers: U8x32, weights: U8x32) -> Self {
                // SAFETY: `self` proves the instruction.
                let sums = unsafe { $dpbusd(self.0.0, numbers.0, weights.0) };
                Self($crate::kernels::x86_64::avx2::codes::I32x8(sums))
            }

            #[inline(always)]
            fn limits(isa: $Token, bounds: &$crate::kernels::code_vector::Bounds) -> Self::Limits {
                <$crate::kernels::x86_64::avx2::codes::I32x8 as CodeVector>::limits(isa.into(), bounds)
            }

            #[inline(always)]
            fn nearest(self, factors: Self) -> Self {
                Self(self.0.nearest(factors.0))
            }

            #[inline(always)]
            fn fixed_point(self, factors: Self, shifts: Self) -> Self {
                Self(self.0.fixed_point(factors.0, shifts.0))
            }

            #[inline(always)]
            unsafe fn store_four(steps: [Self; 4], limits: Self::Limits, to: [*mut u8; 4]) {
                // SAFETY: the caller's.
                unsafe { CodeVector::store_four(steps.map(|steps| steps.0), limits, to) }
            }
        }

        /// Sixteen sums, in two registers.
        #[derive(Clone, Copy)]
        pub struct Whole([Half; 2]);

        impl $crate::kernels::dot_vector::DotVector for Whole {
            type Isa = $Token;
            type Quads = [U8x32; 2];
            type Limits = $crate::kernels::x86_64::avx2::codes::Limits;

            const LANES: usize = 16;

            #[inline(always)]
            fn apart(isa: $Token, task: impl $crate::kernels::vector::Task) {
                $apart(isa, task);
            }

            #[inline(always)]
            unsafe fn load(isa: $Token, from: *const i32) -> Self {
                // SAFETY: the caller's.
                Self(unsafe { [Half::load(isa, from), Half::load(isa, from.add(Half::LANES))] })
            }

            #[inline(always)]
            unsafe fn quads(isa: $Token, from: *const u8) -> [U8x32; 2] {
                // SAFETY: the caller's.
                unsafe { [Half::quads(isa, from), Half::quads(isa, from.add(4 * Half::LANES))] }
            }

            #[inline(always)]
            unsafe fn quad(isa: $Token, from: *const u8) -> [U8x32; 2] {
                // SAFETY: the caller's.
                [unsafe { Half::quad(isa, from) }; 2]
            }

            #[inline(always)]
            fn prefetch(isa: $Token, at: *const u8) {
                Half::prefetch(isa, at);
            }

            #[inline(always)]
            fn add_products(self, numbers: [U8x32; 2], weights: [U8x32; 2]) -> Self {
                let [low, high] = self.0;
                Self([low.add_products(numbers[0], weights[0]), high.add_products(numbers[1], weights[1])])
            }

            #[inline(always)]
            fn limits(isa: $Token, bounds: &$crate::kernels::code_vector::Bounds) -> Self::Limits {
                Half::limits(isa, bounds)
            }

            #[inline(always)]
            fn nearest(self, factors: Self) -> Self {
                Self([self.0[0].nearest(factors.0[0]), self.0[1].nearest(factors.0[1])])
            }

            #[inline(always)]
            fn fixed_point(self, Self([a, b]): Self, Self([c, d]): Self) -> Self {
                Self([self.0[0].fixed_point(a, c), self.0[1].fixed_point(b, d)])
            }

            #[inline(always)]
            unsafe fn store_four([a, b, c, d]: [Self; 4], limits: Self::Limits, to: [*mut u8; 4]) {
                let [first, second, third, fourth] = to;
                let behind = |to: *mut u8| to.wrapping_add(Half::LANES);
                // SAFETY: the caller's.
                unsafe {
                    let places = [first, behind(first), second, behind(second)];
                    Half::store_four([a.0[0], a.0[1], b.0[0], b.0[1]], limits, places);
                    let places = [third, behind(third), fourth, behind(fourth)];
                    Half::store_four([c.0[0], c.0[1], d.0[0], d.0[1]], limits, places);
                }
            }
        }
    };
}
pub(super) use ymm_sums;
