//! Eight 32-bit sums in a ymm register.

use super::Avx2;
use crate::kernels::code_vector::{Bounds, CodeVector};
use crate::kernels::step_vector::StepVector;
use crate::kernels::vector::Task;
use crate::kernels::x86_64::apart;
use core::arch::x86_64::*;

/// Made only from an [`Avx2`] token or from another one, so each proves AVX2.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct I32x8(pub(in crate::kernels::x86_64) __m256i);

/// Sixteen 16-bit numbers.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct I16x16(__m256i);

/// What numbers of steps are held to. Made only from an [`Avx2`] token.
#[derive(Clone, Copy)]
pub struct Limits {
    zero: __m256i,
    least: __m256i,
    most: __m256i,
    flip: __m256i,
}

impl Limits {
    /// The bytes of two vectors of 16-bit numbers of steps, a 128-bit lane of each after the other.
    #[inline(always)]
    fn bytes(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let (a, b) = (_mm256_adds_epi16(a, self.zero), _mm256_adds_epi16(b, self.zero));
            let least = _mm256_max_epu8(_mm256_packus_epi16(a, b), self.least);
            _mm256_xor_si256(_mm256_min_epu8(least, self.most), self.flip)
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

/// Thirty-two 8-bit numbers or weights.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct U8x32(__m256i);

impl CodeVector for I32x8 {
    type Isa = Avx2;
    type Pairs = I16x16;
    type Quads = U8x32;
    type Limits = Limits;

    apart! { Avx2, "avx2,fma" }

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
    unsafe fn store_pairs(pairs: I16x16, to: *mut i16) {
        // SAFETY: the pairs prove AVX2, and the caller vouches for 16 elements.
        unsafe { _mm256_storeu_si256(to.cast(), pairs.0) }
    }

    #[inline(always)]
    fn prefetch(_: Avx2, at: *const u8) {
        // SAFETY: a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn add_products(self, a: I16x16, b: I16x16) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(a.0, b.0)) })
    }

    #[inline(always)]
    unsafe fn quads(_: Avx2, from: *const u8) -> U8x32 {
        // SAFETY: the token proves AVX2, and the caller vouches for 32 elements.
        U8x32(unsafe { _mm256_loadu_si256(from.cast()) })
    }

    #[inline(always)]
    unsafe fn quad(_: Avx2, from: *const u8) -> U8x32 {
        // SAFETY: the token proves AVX2, and the caller vouches for 4 elements.
        U8x32(unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) })
    }

    #[inline(always)]
    fn products(numbers: U8x32, weights: U8x32) -> I16x16 {
        // SAFETY: the numbers prove AVX2.
        I16x16(unsafe { _mm256_maddubs_epi16(numbers.0, weights.0) })
    }

    #[inline(always)]
    fn add_pairs(a: I16x16, b: I16x16) -> I16x16 {
        // SAFETY: the numbers prove AVX2.
        I16x16(unsafe { _mm256_add_epi16(a.0, b.0) })
    }

    #[inline(always)]
    fn add_sums(self, pairs: I16x16) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(pairs.0, _mm256_set1_epi16(1))) })
    }

    #[inline(always)]
    unsafe fn copy(_: Avx2, from: *const u8, flip: u8, to: *mut u8) {
        // SAFETY: the token proves AVX2, and the caller vouches for 16 elements.
        unsafe { _mm_storeu_si128(to.cast(), _mm_xor_si128(_mm_loadu_si128(from.cast()), splat(flip))) }
    }

    #[inline(always)]
    unsafe fn widen(_: Avx2, from: *const u8, to: *mut i16) {
        // SAFETY: the token proves AVX2, and the caller vouches for 16 elements.
        unsafe { _mm256_storeu_si256(to.cast(), _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    fn numbers_of(_: Avx2, number: u8) -> I16x16 {
        // SAFETY: the token proves AVX2.
        I16x16(unsafe { _mm256_set1_epi16(number.into()) })
    }

    #[inline(always)]
    unsafe fn numbers(_: Avx2, from: *const u8, flip: u8) -> I16x16 {
        // SAFETY: the token proves AVX2, and the caller vouches for 16 elements.
        unsafe {
            // Widened as it is read, which takes one instruction; from a register it takes two.
            let numbers = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()));
            I16x16(_mm256_xor_si256(numbers, _mm256_set1_epi16(flip.into())))
        }
    }

    #[inline(always)]
    unsafe fn half_numbers(_: Avx2, from: *const u8, flip: u8) -> I16x16 {
        // SAFETY: the token proves AVX2, and the caller vouches for 8 elements.
        unsafe {
            let codes = _mm_xor_si128(_mm_loadl_epi64(from.cast()), splat(flip));
            I16x16(_mm256_cvtepu8_epi16(codes))
        }
    }

    #[inline(always)]
    fn interleave(a: I16x16, b: I16x16) -> [I16x16; 2] {
        // SAFETY: the numbers prove AVX2.
        unsafe { [I16x16(_mm256_unpacklo_epi16(a.0, b.0)), I16x16(_mm256_unpackhi_epi16(a.0, b.0))] }
    }

    #[inline(always)]
    fn limits(_: Avx2, bounds: &Bounds) -> Limits {
        let byte = |byte: u8| byte.cast_signed();
        // SAFETY: the token proves AVX2.
        unsafe {
            Limits {
                zero: _mm256_set1_epi16(bounds.zero),
                least: _mm256_set1_epi8(byte(bounds.range[0])),
                most: _mm256_set1_epi8(byte(bounds.range[1])),
                flip: _mm256_set1_epi8(byte(bounds.flip)),
            }
        }
    }

    #[inline(always)]
    fn nearest(self, factors: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(self.0), _mm256_castsi256_ps(factors.0));
            Self(_mm256_cvtps_epi32(steps))
        }
    }

    #[inline(always)]
    fn fixed_point(self, factors: Self, shifts: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let (none, most) = (_mm256_setzero_si256(), _mm256_set1_epi32(31));
            let left = _mm256_min_epi32(_mm256_max_epi32(shifts.0, none), most);
            let right = _mm256_max_epi32(_mm256_min_epi32(shifts.0, none), _mm256_sub_epi32(none, most));
            let right = _mm256_sub_epi32(none, right);
            let x = _mm256_sllv_epi32(self.0, left);
            // (x · factor + 2^30) / 2^31, rounded down: bits 31 to 62 of the products, even and odd ones.
            let half = _mm256_set1_epi64x(1 << 30);
            let even = _mm256_add_epi64(_mm256_mul_epi32(x, factors.0), half);
            let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(x), _mm256_srli_epi64::<32>(factors.0));
            let odd = _mm256_add_epi64(odd, half);
            let (even, odd) = (_mm256_srli_epi64::<31>(even), _mm256_slli_epi64::<1>(odd));
            let product = _mm256_blend_epi32::<0b1010_1010>(even, odd);
            // The one product that does not fit becomes the greatest number.
            let least = _mm256_set1_epi32(i32::MIN);
            let both = _mm256_and_si256(_mm256_cmpeq_epi32(x, least), _mm256_cmpeq_epi32(factors.0, least));
            let product = _mm256_xor_si256(product, both);
            // Divided by a power of two, halves away from 0.
            let one = _mm256_set1_epi32(1);
            let mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
            let sign = _mm256_srai_epi32::<31>(product);
            let threshold = _mm256_sub_epi32(_mm256_srli_epi32::<1>(mask), sign);
            let up = _mm256_cmpgt_epi32(_mm256_and_si256(product, mask), threshold);
            Self(_mm256_sub_epi32(_mm256_srav_epi32(product, right), up))
        }
    }

    #[inline(always)]
    unsafe fn store_four([a, b, c, d]: [Self; 4], limits: Limits, to: [*mut u8; 4]) {
        // SAFETY: the steps prove AVX2, and the caller vouches for 8 elements at each place.
        unsafe {
            let codes = limits.bytes(_mm256_packs_epi32(a.0, b.0), _mm256_packs_epi32(c.0, d.0));
            // Each 128-bit lane holds four channels of each place.
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let codes = _mm256_permutevar8x32_epi32(codes, order);
            let (low, high) = (_mm256_castsi256_si128(codes), _mm256_extracti128_si256::<1>(codes));
            _mm_storel_epi64(to[0].cast(), low);
            _mm_storeh_pd(to[1].cast(), _mm_castsi128_pd(low));
            _mm_storel_epi64(to[2].cast(), high);
            _mm_storeh_pd(to[3].cast(), _mm_castsi128_pd(high));
        }
    }

    #[inline(always)]
    unsafe fn store_two([a, b]: [[Self; 2]; 2], limits: Limits, to: [*mut u8; 2]) {
        // SAFETY: the steps prove AVX2, and the caller vouches for 16 elements at each place.
        unsafe {
            let (a, b) = (_mm256_packs_epi32(a[0].0, a[1].0), _mm256_packs_epi32(b[0].0, b[1].0));
            let codes = _mm256_permute4x64_epi64::<0b11_01_10_00>(limits.bytes(a, b));
            _mm_storeu_si128(to[0].cast(), _mm256_castsi256_si128(codes));
            _mm_storeu_si128(to[1].cast(), _mm256_extracti128_si256::<1>(codes));
        }
    }
}

/// Eight numbers of steps. Made only from an [`Avx2`] token or from another one.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Steps(__m256);

impl StepVector for Steps {
    type Isa = Avx2;
    type Limits = Limits;

    const LANES: usize = 8;

    #[inline(always)]
    fn apart(isa: Avx2, task: impl Task) {
        I32x8::apart(isa, task);
    }

    #[inline(always)]
    fn limits(isa: Avx2, bounds: &Bounds) -> Limits {
        I32x8::limits(isa, bounds)
    }

    #[inline(always)]
    unsafe fn steps(_: Avx2, from: *const u8, flip: u8, zero: i32, factor: f32) -> Self {
        // SAFETY: the token proves AVX2, and the caller vouches for 8 elements.
        unsafe {
            let numbers = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
            let numbers = _mm256_xor_si256(numbers, _mm256_set1_epi32(flip.into()));
            let centred = _mm256_sub_epi32(numbers, _mm256_set1_epi32(zero));
            Self(_mm256_mul_ps(_mm256_cvtepi32_ps(centred), _mm256_set1_ps(factor)))
        }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn multiply(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_mul_ps(self.0, _mm256_set1_ps(factor)) })
    }

    #[inline(always)]
    unsafe fn store([a, b, c, d]: [Self; 4], limits: Limits, to: *mut u8) {
        // SAFETY: the steps prove AVX2, and the caller vouches for 32 elements.
        unsafe {
            let low = _mm256_packs_epi32(_mm256_cvtps_epi32(a.0), _mm256_cvtps_epi32(b.0));
            let high = _mm256_packs_epi32(_mm256_cvtps_epi32(c.0), _mm256_cvtps_epi32(d.0));
            // Each 128-bit lane holds four codes of each vector.
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let codes = _mm256_permutevar8x32_epi32(limits.bytes(low, high), order);
            _mm256_storeu_si256(to.cast(), codes);
        }
    }
}
