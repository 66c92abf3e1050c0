//! Kernels: everything that a step computes.
//!
//! Names are `<family>_<dtype>_<tile>`, one module an instruction set. What must be fast stands once in
//! `generic`, over the small `Vector` trait of `vector`, and is instantiated by the instruction sets;
//! the other families are plain loops in files of their own under [`portable`].
//!
//! A streamed kernel makes the rows `rows` of its output, a range of rows of the map; the input rows that
//! they need must be held. Every kernel is a safe function: what a step says is checked against the memory
//! once per call, in `view`, and a step that does not fit is not executed.

#[cfg(target_arch = "x86_64")]
mod byte_vector;
#[cfg(target_arch = "x86_64")]
mod code_vector;
#[cfg(target_arch = "x86_64")]
mod dot_vector;
mod generic;
#[cfg(target_arch = "x86_64")]
mod step_vector;
mod vector;
mod view;

pub mod portable;
#[cfg(target_arch = "x86_64")]
pub mod x86_64;

/// Says in a debug build that a step was not executed, because it does not fit the memory.
#[inline]
fn told(executed: Option<()>) {
    debug_assert!(executed.is_some(), "the step does not fit the memory it was given");
}
