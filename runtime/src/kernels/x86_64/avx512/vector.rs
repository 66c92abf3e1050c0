//! Sixteen `f32` in a zmm register.

use super::super::avx2::vector::F32x8;
use super::Avx512;
use crate::kernels::vector::Vector;
use crate::kernels::x86_64::apart;
use core::arch::x86_64::*;

/// Made only from an [`Avx512`] token or from another one, so each proves AVX-512F.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct F32x16(__m512);

impl F32x16 {
    /// The bits of the lanes.
    #[inline(always)]
    fn bits(self) -> __m512i {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_castps_si512(self.0) }
    }

    /// The sign bits alone.
    #[inline(always)]
    fn signs(self) -> __m512i {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_and_si512(_mm512_set1_epi32(i32::MIN), self.bits()) }
    }
}

/// The first `lanes` lanes.
#[inline(always)]
const fn mask(lanes: usize) -> __mmask16 {
    if lanes >= 16 { u16::MAX } else { (1 << lanes) - 1 }
}

impl Vector for F32x16 {
    type Isa = Avx512;

    type Half = F32x8;

    const LANES: usize = 16;

    #[inline(always)]
    fn splat(_: Avx512, x: f32) -> Self {
        // SAFETY: the token proves AVX-512F.
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const f32) -> Self {
        // SAFETY: the token proves AVX-512F, and the caller vouches for 16 elements.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `self` proves AVX-512F, and the caller vouches for 16 elements.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_sub_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_div_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_min_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_max_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_abs_ps(self.0) })
    }

    #[inline(always)]
    fn copy_sign(self, b: Self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        Self(unsafe { _mm512_castsi512_ps(_mm512_or_si512(self.abs().bits(), b.signs())) })
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn prefetch(_: Avx512, at: *const f32) {
        // SAFETY: a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    apart! { Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni" }

    #[inline(always)]
    unsafe fn load_partial(_: Avx512, from: *const f32, lanes: usize) -> Self {
        // SAFETY: the token proves AVX-512F, and what the mask leaves out is not read.
        Self(unsafe { _mm512_maskz_loadu_ps(mask(lanes), from) })
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        // SAFETY: `self` proves AVX-512F, and what the mask leaves out is not written.
        unsafe { _mm512_mask_storeu_ps(to, mask(lanes), self.0) }
    }

    #[inline(always)]
    unsafe fn splat_pair(_: Avx512, from: *const f32) -> Self {
        // SAFETY: the token proves AVX-512F, and the caller vouches for 2 elements.
        Self(unsafe { _mm512_castpd_ps(_mm512_set1_pd(from.cast::<f64>().read_unaligned())) })
    }

    #[inline(always)]
    fn pair_sums(self, isa: Avx512) -> F32x8 {
        // SAFETY: the token proves AVX-512F.
        let sums = unsafe {
            let swapped = _mm512_permute_ps::<0b10_11_00_01>(self.0);
            _mm512_maskz_compress_ps(0x5555, _mm512_add_ps(self.0, swapped))
        };
        // SAFETY: as above.
        F32x8::of(isa.into(), unsafe { _mm512_castps512_ps256(sums) })
    }
}
