//! Kernels in plain Rust.

use super::Kernel;

/// Every portable kernel.
pub const KERNELS: &[Kernel] = &[];
