//! What the core can do at all: multiply-adds of registers.

use mobilec_targets::Target;

/// Operations a second of a target's widest vectors; `None` where the CPU has none of them.
#[cfg(target_arch = "x86_64")]
pub fn of(target: &Target) -> Option<f64> {
    use mobilec_runtime::x86_64::{Avx2, Avx512};
    if target.name == mobilec_targets::X86_64_AVX512.name {
        // SAFETY: the token proves AVX-512F.
        Avx512::detect().map(|_| rate(16, |steps| unsafe { wide(steps) }))
    } else if target.name == mobilec_targets::X86_64_AVX2.name {
        // SAFETY: the token proves AVX2 and FMA.
        Avx2::detect().map(|_| rate(8, |steps| unsafe { narrow(steps) }))
    } else {
        Some(f64::INFINITY)
    }
}

/// Unknown elsewhere.
#[cfg(not(target_arch = "x86_64"))]
pub fn of(_: &Target) -> Option<f64> {
    Some(f64::INFINITY)
}

#[cfg(target_arch = "x86_64")]
fn rate(lanes: usize, run: impl Fn(usize) -> f32) -> f64 {
    const STEPS: usize = 20_000;
    let seconds = super::fastest(|| _ = std::hint::black_box(run(std::hint::black_box(STEPS))));
    (STEPS * SUMS * lanes * 2) as f64 / seconds
}

/// Sums under way: more than the latency of a multiply-add takes of two units.
#[cfg(target_arch = "x86_64")]
const SUMS: usize = 12;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn narrow(steps: usize) -> f32 {
    use core::arch::x86_64::*;
    let factor = std::hint::black_box(_mm256_set1_ps(0.5));
    let mut sums = [factor; SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, factor);
        }
    }
    sums.iter().fold(0.0, |total, &sum| total + _mm256_cvtss_f32(sum))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wide(steps: usize) -> f32 {
    use core::arch::x86_64::*;
    let factor = std::hint::black_box(_mm512_set1_ps(0.5));
    let mut sums = [factor; SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, factor);
        }
    }
    sums.iter().fold(0.0, |total, &sum| total + _mm512_cvtss_f32(sum))
}
