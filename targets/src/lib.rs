//! What a CPU is, and which kernels there are for it: data and arithmetic only.
//!
//! This crate depends on nothing and does not know the runtime: a table row names a kernel by its path
//! as text, and a generated test in `tests/` type-checks every row against the runtime.

#![no_std]

pub mod kernels;
mod target;

pub use kernels::{Element, Family, Kernel, Layout, Shape};
pub use target::{
    ALL, Arch, Isa, PORTABLE, Target, X86_64, X86_64_AVX_VNNI, X86_64_AVX2, X86_64_AVX512, by_name,
};
