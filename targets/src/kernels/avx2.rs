//! Kernels for AVX2 and FMA.

use super::Kernel;

/// Every AVX2 kernel.
pub const KERNELS: &[Kernel] = &[];
