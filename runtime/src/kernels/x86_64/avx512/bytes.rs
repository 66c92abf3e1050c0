//! Sixty-four bytes, or sixteen 32-bit sums of their products, in a zmm register.

use super::Avx512;
use super::codes::{I32x16, Limits, apart};
use crate::kernels::byte_vector::{ByteVector, PARTS};
use crate::kernels::code_vector::Bounds;
use crate::kernels::dot_vector::DotVector;
use crate::kernels::vector::Task;
use core::arch::x86_64::*;

/// Made only from an [`Avx512`] token or from another one, so each proves AVX-512.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct U8x64(__m512i);

impl U8x64 {
    /// Its sums.
    #[inline(always)]
    fn sums(self) -> I32x16 {
        I32x16(self.0)
    }
}

/// A mask of the first lanes, up to 64.
#[inline(always)]
fn first(lanes: usize) -> __mmask64 {
    u64::MAX >> (64 - lanes.clamp(1, 64))
}

impl ByteVector for U8x64 {
    type Isa = Avx512;
    type Limits = Limits;

    const LANES: usize = 64;

    #[inline(always)]
    fn apart(isa: Avx512, task: impl Task) {
        apart(isa, task);
    }

    #[inline(always)]
    fn splat(_: Avx512, byte: u8) -> Self {
        // SAFETY: the token proves AVX-512.
        Self(unsafe { _mm512_set1_epi8(byte.cast_signed()) })
    }

    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const u8) -> Self {
        // SAFETY: the token proves AVX-512, and the caller vouches for 64 bytes.
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }

    #[inline(always)]
    unsafe fn load_some(_: Avx512, from: *const u8, len: usize) -> Self {
        // SAFETY: the token proves AVX-512, and the caller vouches for the bytes of the mask.
        Self(unsafe { _mm512_maskz_loadu_epi8(first(len), from.cast()) })
    }

    #[inline(always)]
    unsafe fn quad(_: Avx512, from: *const u8) -> Self {
        // SAFETY: the token proves AVX-512, and the caller vouches for 4 bytes.
        Self(unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: `self` proves AVX-512, and the caller vouches for 64 bytes.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn load_pieces<const N: usize>(_: Avx512, from: [*const u8; N]) -> Self {
        // SAFETY: the token proves AVX-512, and the caller vouches for 32 bytes of each of two, 16 of each of four.
        unsafe {
            if N == 2 {
                let [low, high] = [0, 1].map(|at| _mm256_loadu_si256(from[at].cast()));
                return Self(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high));
            }
            let [a, b, c, d] = [0, 1, 2, 3].map(|at| _mm_loadu_si128(from[at].cast()));
            let low = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(a), b);
            let high = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(c), d);
            Self(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
        }
    }

    #[inline(always)]
    unsafe fn store_pieces<const N: usize>(self, to: [*mut u8; N]) {
        // SAFETY: as above.
        unsafe {
            if N == 2 {
                _mm256_storeu_si256(to[0].cast(), _mm512_castsi512_si256(self.0));
                _mm256_storeu_si256(to[1].cast(), _mm512_extracti64x4_epi64::<1>(self.0));
            } else {
                _mm_storeu_si128(to[0].cast(), _mm512_castsi512_si128(self.0));
                _mm_storeu_si128(to[1].cast(), _mm512_extracti32x4_epi32::<1>(self.0));
                _mm_storeu_si128(to[2].cast(), _mm512_extracti32x4_epi32::<2>(self.0));
                _mm_storeu_si128(to[3].cast(), _mm512_extracti32x4_epi32::<3>(self.0));
            }
        }
    }

    #[inline(always)]
    fn xor(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_xor_si512(self.0, b.0) })
    }

    #[inline(always)]
    fn interleave(a: Self, b: Self) -> [Self; 2] {
        // SAFETY: the bytes prove AVX-512.
        unsafe { [Self(_mm512_unpacklo_epi8(a.0, b.0)), Self(_mm512_unpackhi_epi8(a.0, b.0))] }
    }

    #[inline(always)]
    fn interleave_pairs(a: Self, b: Self) -> [Self; 2] {
        // SAFETY: the bytes prove AVX-512.
        unsafe { [Self(_mm512_unpacklo_epi16(a.0, b.0)), Self(_mm512_unpackhi_epi16(a.0, b.0))] }
    }

    #[inline(always)]
    fn rotate(self) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_ror_epi32::<8>(self.0) })
    }

    #[inline(always)]
    fn add_products(self, numbers: Self, weights: Self) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_dpbusd_epi32(self.0, numbers.0, weights.0) })
    }

    #[inline(always)]
    fn subtract(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_sub_epi32(self.0, b.0) })
    }

    #[inline(always)]
    fn total(self) -> i32 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_reduce_add_epi32(self.0) }
    }

    #[inline(always)]
    fn limits(isa: Avx512, bounds: &Bounds) -> Limits {
        I32x16::limits(isa, bounds)
    }

    #[inline(always)]
    fn nearest(self, factors: Self) -> Self {
        Self(self.sums().nearest(factors.sums()).0)
    }

    #[inline(always)]
    fn fixed_point(self, factors: Self, shifts: Self) -> Self {
        Self(self.sums().fixed_point(factors.sums(), shifts.sums()).0)
    }

    #[inline(always)]
    unsafe fn store_codes([a, b, c, d]: [Self; PARTS], limits: Limits, to: *mut u8) {
        let codes = limits.packed([a.sums(), b.sums(), c.sums(), d.sums()]);
        // SAFETY: the steps prove AVX-512, and the caller vouches for 64 bytes.
        unsafe { _mm512_storeu_si512(to.cast(), codes) };
    }

    #[inline(always)]
    unsafe fn store_some_codes([a, b, c, d]: [Self; PARTS], limits: Limits, to: *mut u8, len: usize) {
        let codes = limits.packed([a.sums(), b.sums(), c.sums(), d.sums()]);
        // SAFETY: the steps prove AVX-512, and the caller vouches for the bytes of the mask.
        unsafe { _mm512_mask_storeu_epi8(to.cast(), first(len), codes) };
    }

    #[inline(always)]
    unsafe fn store_numbers([a, b, c, d]: [Self; PARTS], to: *mut u8) {
        // SAFETY: the steps prove AVX-512, and the caller vouches for 64 bytes.
        unsafe {
            let (low, high) = (_mm512_packs_epi32(a.0, b.0), _mm512_packs_epi32(c.0, d.0));
            _mm512_storeu_si512(to.cast(), _mm512_packus_epi16(low, high));
        }
    }
}
