//! Sums in ymm registers by AVX-VNNI.

use super::AvxVnni;
use crate::kernels::code_vector::CodeVector;
use crate::kernels::vector::Task;
use crate::kernels::x86_64::ymm_sums::ymm_sums;
use core::arch::x86_64::_mm256_dpbusd_avx_epi32;

/// Runs a task in a function of its own.
#[inline(always)]
fn apart(_: AvxVnni, task: impl Task) {
    #[inline(never)]
    #[target_feature(enable = "avx2,fma,avxvnni")]
    fn call(task: impl Task) {
        task.run();
    }
    // SAFETY: the token proves the features.
    unsafe { call(task) }
}

ymm_sums! { AvxVnni, apart, _mm256_dpbusd_avx_epi32 }
