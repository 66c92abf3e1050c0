//! Eight 32-bit sums in a ymm register.

use super::Avx2;
use crate::kernels::code_vector::{Bounds, CHANNELS, CodeVector};
use crate::kernels::vector::Task;
use core::arch::x86_64::*;

/// Made only from an [`Avx2`] token or from another one, so each proves AVX2.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct I32x8(__m256i);

/// Sixteen 16-bit numbers.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct I16x16(__m256i);

impl I32x8 {
    /// Sums in steps, rounded to nearest, halves to even, as is the default.
    #[inline(always)]
    fn rounded(self, multipliers: Self) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(self.0), _mm256_castsi256_ps(multipliers.0));
            _mm256_cvtps_epi32(steps)
        }
    }
}

/// # Safety
///
/// The CPU must have AVX2.
#[inline(always)]
unsafe fn splat(byte: u8) -> __m128i {
    // SAFETY: the caller's.
    unsafe { _mm_set1_epi8(byte.cast_signed()) }
}

/// The bytes of 16 numbers of steps.
///
/// # Safety
///
/// The CPU must have AVX2.
#[inline(always)]
unsafe fn bytes(steps: __m256i, bounds: &Bounds) -> __m128i {
    // SAFETY: the caller's.
    unsafe {
        let numbers = _mm256_adds_epi16(steps, _mm256_set1_epi16(bounds.zero));
        let (low, high) = (_mm256_castsi256_si128(numbers), _mm256_extracti128_si256::<1>(numbers));
        let least = _mm_max_epu8(_mm_packus_epi16(low, high), splat(bounds.range[0]));
        _mm_xor_si128(_mm_min_epu8(least, splat(bounds.range[1])), splat(bounds.flip))
    }
}

impl CodeVector for I32x8 {
    type Isa = Avx2;
    type Pairs = I16x16;

    #[inline(always)]
    fn apart(_: Avx2, task: impl Task) {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        fn call(task: impl Task) {
            task.run();
        }
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { call(task) }
    }

    #[inline(always)]
    unsafe fn load(_: Avx2, from: *const i32) -> Self {
        // SAFETY: the token proves AVX2, and the caller vouches for 8 elements.
        Self(unsafe { _mm256_loadu_si256(from.cast()) })
    }

    #[inline(always)]
    unsafe fn load_narrowing(_: Avx2, from: *const i32) -> [Self; 2] {
        // SAFETY: the token proves AVX2, and the caller vouches for 16 elements.
        unsafe {
            let (low, high) = (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast()));
            let first = _mm256_permute2x128_si256::<0x20>(low, high);
            [Self(first), Self(_mm256_permute2x128_si256::<0x31>(low, high))]
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: `self` proves AVX2, and the caller vouches for 8 elements.
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn pairs(_: Avx2, from: *const i16) -> I16x16 {
        // SAFETY: the token proves AVX2, and the caller vouches for 16 elements.
        I16x16(unsafe { _mm256_loadu_si256(from.cast()) })
    }

    #[inline(always)]
    unsafe fn pair(_: Avx2, from: *const i16) -> I16x16 {
        // SAFETY: the token proves AVX2, and the caller vouches for 2 elements.
        I16x16(unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) })
    }

    #[inline(always)]
    fn add_products(self, a: I16x16, b: I16x16) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(a.0, b.0)) })
    }

    #[inline(always)]
    unsafe fn widen(_: Avx2, from: *const u8, flip: u8, to: *mut i16) {
        // SAFETY: the token proves AVX2, and the caller vouches for 16 elements.
        unsafe {
            let codes = _mm_xor_si128(_mm_loadu_si128(from.cast()), splat(flip));
            _mm256_storeu_si256(to.cast(), _mm256_cvtepu8_epi16(codes));
        }
    }

    #[inline(always)]
    unsafe fn positions(_: Avx2, from: [*const u8; 2], flip: u8) -> I16x16 {
        // SAFETY: the token proves AVX2, and the caller vouches for the elements.
        unsafe {
            let [a, b] = from.map(|from| _mm_loadl_epi64(from.cast()));
            let codes = _mm_xor_si128(_mm_unpacklo_epi8(a, b), splat(flip));
            I16x16(_mm256_cvtepu8_epi16(codes))
        }
    }

    #[inline(always)]
    unsafe fn position(_: Avx2, from: *const u8, flip: u8) -> I16x16 {
        // SAFETY: the token proves AVX2, and the caller vouches for the elements.
        unsafe {
            let codes = _mm_xor_si128(_mm_loadl_epi64(from.cast()), splat(flip));
            I16x16(_mm256_cvtepu8_epi32(codes))
        }
    }

    #[inline(always)]
    unsafe fn requantize(sums: [Self; 2], multipliers: [Self; 2], bounds: &Bounds, to: *mut u8) {
        // SAFETY: the sums prove AVX2, and the caller vouches for 16 elements.
        unsafe {
            let (low, high) = (sums[0].rounded(multipliers[0]), sums[1].rounded(multipliers[1]));
            _mm_storeu_si128(to.cast(), bytes(_mm256_packs_epi32(low, high), bounds));
        }
    }

    #[inline(always)]
    unsafe fn requantize_two(sums: [Self; 2], multipliers: Self, bounds: &Bounds, to: [*mut u8; 2]) {
        // SAFETY: the sums prove AVX2, and the caller vouches for 8 elements at each place.
        unsafe {
            let steps = _mm256_packs_epi32(sums[0].rounded(multipliers), sums[1].rounded(multipliers));
            let codes = _mm_shuffle_epi32::<0b11_01_10_00>(bytes(steps, bounds));
            _mm_storel_epi64(to[0].cast(), codes);
            _mm_storeh_pd(to[1].cast(), _mm_castsi128_pd(codes));
        }
    }

    #[inline(always)]
    unsafe fn requantize_half(self, multipliers: Self, bounds: &Bounds, to: *mut u8, lanes: usize) {
        // SAFETY: `self` proves AVX2, and the caller vouches for `lanes` elements.
        unsafe { store_half(self.rounded(multipliers), bounds, to, lanes) }
    }

    #[inline(always)]
    unsafe fn steps(_: Avx2, from: *const u8, flip: u8, zero: i32, factor: f32) -> Self {
        // SAFETY: the token proves AVX2, and the caller vouches for 8 elements.
        unsafe {
            let codes = _mm_xor_si128(_mm_loadl_epi64(from.cast()), splat(flip));
            let centred = _mm256_sub_epi32(_mm256_cvtepu8_epi32(codes), _mm256_set1_epi32(zero));
            let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(centred), _mm256_set1_ps(factor));
            Self(_mm256_castps_si256(steps))
        }
    }

    #[inline(always)]
    fn add_steps(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let sum = _mm256_add_ps(_mm256_castsi256_ps(self.0), _mm256_castsi256_ps(b.0));
            Self(_mm256_castps_si256(sum))
        }
    }

    #[inline(always)]
    fn multiply_steps(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let product = _mm256_mul_ps(_mm256_castsi256_ps(self.0), _mm256_castsi256_ps(b.0));
            Self(_mm256_castps_si256(product))
        }
    }

    #[inline(always)]
    unsafe fn store_steps(self, bounds: &Bounds, to: *mut u8) {
        // SAFETY: `self` proves AVX2, and the caller vouches for 8 elements.
        unsafe { store_half(_mm256_cvtps_epi32(_mm256_castsi256_ps(self.0)), bounds, to, 8) }
    }
}

/// Stores the codes of up to 8 numbers of steps.
///
/// # Safety
///
/// The CPU must have AVX2, and `to` be writable for `lanes` elements.
#[inline(always)]
unsafe fn store_half(steps: __m256i, bounds: &Bounds, to: *mut u8, lanes: usize) {
    // SAFETY: the caller's.
    unsafe {
        let (low, high) = (_mm256_castsi256_si128(steps), _mm256_extracti128_si256::<1>(steps));
        let ordered = _mm_packs_epi32(low, high);
        let codes = bytes(_mm256_castsi128_si256(ordered), bounds);
        if lanes == 8 {
            _mm_storel_epi64(to.cast(), codes);
        } else {
            let mut buffer = [0_u8; CHANNELS];
            _mm_storeu_si128(buffer.as_mut_ptr().cast(), codes);
            buffer.as_ptr().copy_to_nonoverlapping(to, lanes.min(8));
        }
    }
}
