//! The square root of SSE2, which every 64-bit x86 has.

use core::arch::x86_64::{_mm_cvtss_f32, _mm_set_ss, _mm_sqrt_ss};

/// √x, correctly rounded.
#[inline]
pub fn sqrt(x: f32) -> f32 {
    // SAFETY: SSE2 is part of the x86-64 base line.
    unsafe { _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))) }
}
