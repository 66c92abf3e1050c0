//! Kernels for networks compiled by mobilec: `no_std`, no alloc, no dependencies.
//!
//! An emitted module is constants ([`steps`]) and calls ([`kernels`]); everything that touches memory is
//! here. Nothing here knows about graphs, and nothing infers shapes.

#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod kernels;
pub mod math;
mod memory;
pub mod steps;
#[cfg(target_arch = "x86_64")]
pub mod x86_64;

pub use memory::{Aligned, Arena, Memory, Plain, bytes_of};

/// Includes a module that a `build.rs` emitted into `OUT_DIR`, as `mod NAME`.
#[macro_export]
macro_rules! include_model {
    ($(#[$attribute:meta])* $visibility:vis $name:ident) => {
        $(#[$attribute])*
        $visibility mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}
