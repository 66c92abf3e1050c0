//! The algorithms, each once, generic over the vector.
//!
//! A function here checks the step it is given, answers `None` where it does not fit the memory, and is
//! inlined into the instruction set that instantiates it.

#![allow(
    clippy::needless_range_loop,
    reason = "rows, columns and lanes of a tile are indices into several arrays"
)]

pub mod accumulate;
pub mod activation;
pub mod ahead;
#[cfg(target_arch = "x86_64")]
pub mod codes;
pub mod conv2d;
pub mod depthwise;
pub mod elementwise;
pub mod epilogue;
pub mod gemm;
pub mod grouped;
pub mod matmul;
pub mod panels;
pub mod pool;
pub mod requantize;
pub mod row;
pub mod rows;
pub mod softmax;
pub mod split;
pub mod stem;
pub mod window;
pub mod winograd;
