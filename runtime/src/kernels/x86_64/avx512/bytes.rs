//! Sixty-four bytes, or sixteen 32-bit sums of their products, in a zmm register.

use super::Avx512;
use crate::kernels::byte_vector::{ByteVector, PARTS};
use crate::kernels::code_vector::Bounds;
use crate::kernels::vector::Task;
use core::arch::x86_64::*;

/// Made only from an [`Avx512`] token or from another one, so each proves AVX-512.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct U8x64(__m512i);

/// What numbers of steps are held to. Made only from an [`Avx512`] token.
#[derive(Clone, Copy)]
pub struct Limits {
    zero: __m512i,
    least: __m512i,
    most: __m512i,
    flip: __m512i,
}

impl ByteVector for U8x64 {
    type Isa = Avx512;
    type Limits = Limits;

    const LANES: usize = 64;

    #[inline(always)]
    fn apart(_: Avx512, task: impl Task) {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn call(task: impl Task) {
            task.run();
        }
        // SAFETY: the token proves AVX-512.
        unsafe { call(task) }
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
    fn limits(_: Avx512, bounds: &Bounds) -> Limits {
        let splat = |byte: u8| byte.cast_signed();
        // SAFETY: the token proves AVX-512.
        unsafe {
            Limits {
                zero: _mm512_set1_epi16(bounds.zero),
                least: _mm512_set1_epi8(splat(bounds.range[0])),
                most: _mm512_set1_epi8(splat(bounds.range[1])),
                flip: _mm512_set1_epi8(splat(bounds.flip)),
            }
        }
    }

    #[inline(always)]
    fn nearest(self, factors: Self) -> Self {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let steps = _mm512_mul_ps(_mm512_cvtepi32_ps(self.0), _mm512_castsi512_ps(factors.0));
            Self(_mm512_cvtps_epi32(steps))
        }
    }

    #[inline(always)]
    fn fixed_point(self, factors: Self, shifts: Self) -> Self {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let (none, most) = (_mm512_setzero_si512(), _mm512_set1_epi32(31));
            let left = _mm512_min_epi32(_mm512_max_epi32(shifts.0, none), most);
            let right = _mm512_max_epi32(_mm512_min_epi32(shifts.0, none), _mm512_sub_epi32(none, most));
            let right = _mm512_sub_epi32(none, right);
            let x = _mm512_sllv_epi32(self.0, left);
            // (x · factor + 2^30) / 2^31, rounded down: bits 31 to 62 of the products, even and odd ones.
            let half = _mm512_set1_epi64(1 << 30);
            let even = _mm512_add_epi64(_mm512_mul_epi32(x, factors.0), half);
            let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(x), _mm512_srli_epi64::<32>(factors.0));
            let odd = _mm512_slli_epi64::<1>(_mm512_add_epi64(odd, half));
            let product = _mm512_mask_mov_epi32(_mm512_srli_epi64::<31>(even), 0b1010_1010_1010_1010, odd);
            // The one product that does not fit becomes the greatest number.
            let least = _mm512_set1_epi32(i32::MIN);
            let both = _mm512_cmpeq_epi32_mask(x, least) & _mm512_cmpeq_epi32_mask(factors.0, least);
            let product = _mm512_mask_mov_epi32(product, both, _mm512_set1_epi32(i32::MAX));
            // Divided by a power of two, halves away from 0.
            let one = _mm512_set1_epi32(1);
            let mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, right), one);
            let sign = _mm512_srai_epi32::<31>(product);
            let threshold = _mm512_sub_epi32(_mm512_srli_epi32::<1>(mask), sign);
            let up = _mm512_cmpgt_epi32_mask(_mm512_and_si512(product, mask), threshold);
            let quotient = _mm512_srav_epi32(product, right);
            Self(_mm512_mask_add_epi32(quotient, up, quotient, one))
        }
    }

    #[inline(always)]
    unsafe fn store_codes([a, b, c, d]: [Self; PARTS], limits: Limits, to: *mut u8) {
        // SAFETY: the steps prove AVX-512, and the caller vouches for 64 bytes.
        unsafe {
            let low = _mm512_adds_epi16(_mm512_packs_epi32(a.0, b.0), limits.zero);
            let high = _mm512_adds_epi16(_mm512_packs_epi32(c.0, d.0), limits.zero);
            let codes = _mm512_max_epu8(_mm512_packus_epi16(low, high), limits.least);
            let codes = _mm512_xor_si512(_mm512_min_epu8(codes, limits.most), limits.flip);
            _mm512_storeu_si512(to.cast(), codes);
        }
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
