//! Kernels.

pub mod portable;
