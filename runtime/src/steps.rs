//! Steps: what one kernel call reads, computes and writes, as plain data.
//!
//! An emitted module holds one constant of these types per layer. Fields are public so that a module
//! can be read and written by hand; a kernel trusts none of them: it checks that a step fits the memory
//! it is given, and does nothing when it does not (a debug build says so). The compiler's plan checker
//! proves for an emitted module that this cannot happen.
//!
//! Maps are NHWC with one image; rows are rows of a map. Offsets are in bytes and aligned to the element.

mod axes;
mod elements;
mod epilogue;
mod layers;
mod map;
mod moves;
mod quantized;

pub use axes::*;
pub use elements::*;
pub use epilogue::*;
pub use layers::*;
pub use map::*;
pub use moves::*;
pub use quantized::*;
