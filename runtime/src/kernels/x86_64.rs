//! Kernels for 64-bit x86.

pub mod avx2;
