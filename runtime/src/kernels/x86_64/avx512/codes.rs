//! Sixteen 32-bit sums in a zmm register, and eight in a ymm register.

use super::Avx512;
use crate::kernels::code_vector::{Bounds, CodeVector};
use crate::kernels::dot_vector::DotVector;
use crate::kernels::step_vector::StepVector;
use crate::kernels::vector::Task;
use crate::kernels::x86_64::apart;
use crate::kernels::x86_64::ymm_sums::ymm_sums;
use core::arch::x86_64::*;

/// Sixteen sums. Made only from an [`Avx512`] token or from another one, so each proves AVX-512.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct I32x16(pub(super) __m512i);

/// Sixty-four 8-bit numbers or weights. Made as [`I32x16`].
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
    /// Whether the zero point is 0.
    none: bool,
    /// Whether nothing is left to clamp once numbers are bytes, nor to flip.
    all: bool,
}

impl Limits {
    /// The codes of four vectors of steps; each 128-bit lane holds four codes of each vector.
    #[inline(always)]
    pub(super) fn packed(self, [a, b, c, d]: [I32x16; 4]) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let mut low = _mm512_packs_epi32(a.0, b.0);
            let mut high = _mm512_packs_epi32(c.0, d.0);
            if !self.none {
                low = _mm512_adds_epi16(low, self.zero);
                high = _mm512_adds_epi16(high, self.zero);
            }
            let mut codes = _mm512_packus_epi16(low, high);
            if !self.all {
                let least = _mm512_max_epu8(codes, self.least);
                codes = _mm512_xor_si512(_mm512_min_epu8(least, self.most), self.flip);
            }
            codes
        }
    }

    /// The codes of four vectors of steps, one after the other.
    #[inline(always)]
    fn codes(self, steps: [I32x16; 4]) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            _mm512_permutexvar_epi32(order, self.packed(steps))
        }
    }
}

apart! { pub(super) Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni" }

impl DotVector for I32x16 {
    type Isa = Avx512;
    type Quads = U8x64;
    type Limits = Limits;

    const LANES: usize = 16;

    #[inline(always)]
    fn apart(isa: Avx512, task: impl Task) {
        apart(isa, task);
    }

    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const i32) -> Self {
        // SAFETY: the token proves AVX-512, and the caller vouches for 16 elements.
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }

    #[inline(always)]
    unsafe fn quads(_: Avx512, from: *const u8) -> U8x64 {
        // SAFETY: the token proves AVX-512, and the caller vouches for 64 elements.
        U8x64(unsafe { _mm512_loadu_si512(from.cast()) })
    }

    #[inline(always)]
    unsafe fn quad(_: Avx512, from: *const u8) -> U8x64 {
        // SAFETY: the token proves AVX-512, and the caller vouches for 4 elements.
        U8x64(unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) })
    }

    #[inline(always)]
    fn prefetch(_: Avx512, at: *const u8) {
        // SAFETY: a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn add_products(self, numbers: U8x64, weights: U8x64) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_dpbusd_epi32(self.0, numbers.0, weights.0) })
    }

    #[inline(always)]
    fn limits(_: Avx512, bounds: &Bounds) -> Limits {
        let byte = |byte: u8| byte.cast_signed();
        // SAFETY: the token proves AVX-512.
        unsafe {
            Limits {
                zero: _mm512_set1_epi16(bounds.zero),
                least: _mm512_set1_epi8(byte(bounds.range[0])),
                most: _mm512_set1_epi8(byte(bounds.range[1])),
                flip: _mm512_set1_epi8(byte(bounds.flip)),
                none: bounds.zero == 0,
                all: bounds.range == [0, 255] && bounds.flip == 0,
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
            let right = _mm512_min_epi32(_mm512_max_epi32(_mm512_sub_epi32(none, shifts.0), none), most);
            let x = _mm512_sllv_epi32(self.0, left);
            // (x · factor + 2^30) / 2^31, rounded down: bits 31 to 62 of the products, even and odd ones.
            let half = _mm512_set1_epi64(1 << 30);
            let even = _mm512_add_epi64(_mm512_mul_epi32(x, factors.0), half);
            let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(x), _mm512_srli_epi64::<32>(factors.0));
            let odd = _mm512_add_epi64(odd, half);
            let (even, odd) = (_mm512_srli_epi64::<31>(even), _mm512_slli_epi64::<1>(odd));
            let product = _mm512_mask_blend_epi32(0xaaaa, even, odd);
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
            let down = _mm512_srav_epi32(product, right);
            Self(_mm512_mask_add_epi32(down, up, down, one))
        }
    }

    #[inline(always)]
    unsafe fn store_four(steps: [Self; 4], limits: Limits, to: [*mut u8; 4]) {
        let codes = limits.codes(steps);
        // SAFETY: the steps prove AVX-512, and the caller vouches for 16 elements at each place.
        unsafe {
            _mm_storeu_si128(to[0].cast(), _mm512_castsi512_si128(codes));
            _mm_storeu_si128(to[1].cast(), _mm512_extracti32x4_epi32::<1>(codes));
            _mm_storeu_si128(to[2].cast(), _mm512_extracti32x4_epi32::<2>(codes));
            _mm_storeu_si128(to[3].cast(), _mm512_extracti32x4_epi32::<3>(codes));
        }
    }

    #[inline(always)]
    unsafe fn store_two([a, b]: [[Self; 2]; 2], limits: Limits, to: [*mut u8; 2]) {
        let codes = limits.codes([a[0], a[1], b[0], b[1]]);
        // SAFETY: the steps prove AVX-512, and the caller vouches for 32 elements at each place.
        unsafe {
            _mm256_storeu_si256(to[0].cast(), _mm512_castsi512_si256(codes));
            _mm256_storeu_si256(to[1].cast(), _mm512_extracti64x4_epi64::<1>(codes));
        }
    }
}

/// Sixteen numbers of steps. Made as [`I32x16`].
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Steps(__m512);

impl StepVector for Steps {
    type Isa = Avx512;
    type Limits = Limits;

    const LANES: usize = 16;

    #[inline(always)]
    fn apart(isa: Avx512, task: impl Task) {
        apart(isa, task);
    }

    #[inline(always)]
    fn limits(isa: Avx512, bounds: &Bounds) -> Limits {
        I32x16::limits(isa, bounds)
    }

    #[inline(always)]
    unsafe fn steps(_: Avx512, from: *const u8, flip: u8, zero: i32, factor: f32) -> Self {
        // SAFETY: the token proves AVX-512, and the caller vouches for 16 elements.
        unsafe {
            let numbers = _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()));
            let numbers = _mm512_xor_si512(numbers, _mm512_set1_epi32(flip.into()));
            let centred = _mm512_sub_epi32(numbers, _mm512_set1_epi32(zero));
            Self(_mm512_mul_ps(_mm512_cvtepi32_ps(centred), _mm512_set1_ps(factor)))
        }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn multiply(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        // SAFETY: `self` proves AVX-512.
        Self(unsafe { _mm512_mul_ps(self.0, _mm512_set1_ps(factor)) })
    }

    #[inline(always)]
    unsafe fn store(steps: [Self; 4], limits: Limits, to: *mut u8) {
        // SAFETY: the steps prove AVX-512, and the caller vouches for 64 elements.
        unsafe {
            let codes = limits.codes(steps.map(|steps| I32x16(_mm512_cvtps_epi32(steps.0))));
            _mm512_storeu_si512(to.cast(), codes);
        }
    }
}

ymm_sums! { Avx512, apart, _mm256_dpbusd_epi32 }
