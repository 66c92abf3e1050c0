//! Eight `f32` in a ymm register.

use super::Avx2;
use crate::kernels::vector::Vector;
use crate::kernels::x86_64::apart;
use core::arch::x86_64::*;

/// Made only from an [`Avx2`] token or from another one, so each proves AVX2 and FMA.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct F32x8(__m256);

impl F32x8 {
    /// The lanes of a register.
    #[inline(always)]
    pub fn of(_: Avx2, lanes: __m256) -> Self {
        Self(lanes)
    }

    /// The sign bits of `−0.0`.
    #[inline(always)]
    fn sign(self) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_ps(-0.0) }
    }
}

impl Vector for F32x8 {
    type Isa = Avx2;

    type Half = Self;

    const LANES: usize = 8;

    #[inline(always)]
    fn splat(_: Avx2, x: f32) -> Self {
        // SAFETY: the token proves AVX2.
        Self(unsafe { _mm256_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(_: Avx2, from: *const f32) -> Self {
        // SAFETY: the token proves AVX2, and the caller vouches for 8 elements.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `self` proves AVX2, and the caller vouches for 8 elements.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_sub_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_div_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `self` proves FMA.
        Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_min_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_max_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_andnot_ps(self.sign(), self.0) })
    }

    #[inline(always)]
    fn copy_sign(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX2.
        Self(unsafe { _mm256_or_ps(_mm256_andnot_ps(b.sign(), self.0), _mm256_and_ps(b.sign(), b.0)) })
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn prefetch(_: Avx2, at: *const f32) {
        // SAFETY: a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    apart! { Avx2, "avx2,fma" }
}
