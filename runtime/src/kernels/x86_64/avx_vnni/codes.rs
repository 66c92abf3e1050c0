//! Sums in ymm registers by AVX-VNNI.

use super::AvxVnni;
use crate::kernels::code_vector::CodeVector;
use crate::kernels::x86_64::apart;
use crate::kernels::x86_64::ymm_sums::ymm_sums;
use core::arch::x86_64::_mm256_dpbusd_avx_epi32;

apart! { AvxVnni, "avx2,fma,avxvnni" }

ymm_sums! { AvxVnni, apart, _mm256_dpbusd_avx_epi32 }
