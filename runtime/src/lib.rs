//! Kernels for networks compiled by mobilec: `no_std`, no alloc, no dependencies.
//!
//! An emitted module is constants ([`steps`]) and calls ([`kernels`]); everything that touches memory is
//! here. Nothing here knows about graphs, and nothing infers shapes.

#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod bands;
pub mod kernels;
pub mod math;
mod memory;
mod preprocess;
pub mod steps;
#[cfg(target_arch = "x86_64")]
pub mod x86_64;

pub use bands::Bands;
pub use memory::{Aligned, Arena, Memory, Plain, bytes_of};
pub use preprocess::Normalize;

/// A row of an emitted module's table of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name in the model.
    pub name: &'static str,
    /// Operator and attributes: `conv2d 3x3 s2 p1 relu6`.
    pub operation: &'static str,
    /// Type and shape of its result: `f32[1,112,112,32]`.
    pub output: &'static str,
    /// Multiply-adds.
    pub macs: u64,
}

impl Layer {
    /// A row.
    pub const fn new(name: &'static str, operation: &'static str, output: &'static str, macs: u64) -> Self {
        Self { name, operation, output, macs }
    }
}

/// Ends the program: a module for one instruction set was run on a CPU without it.
///
/// # Panics
///
/// Always. A module's `is_supported` asks beforehand, and a multi-target module never comes here.
#[cold]
pub fn unsupported_cpu(target: &str) -> ! {
    panic!("this CPU cannot run code for {target}; compile the model for another target")
}

/// Includes a module that a `build.rs` emitted into `OUT_DIR`, as `mod NAME`.
#[macro_export]
macro_rules! include_model {
    ($(#[$attribute:meta])* $visibility:vis $name:ident) => {
        $(#[$attribute])*
        #[allow(dead_code, reason = "a module offers more than every user needs")]
        $visibility mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}
