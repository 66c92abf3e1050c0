//! mobilec compiles MobileNets, given as ONNX, to standalone Rust modules that are linked against the
//! small `no_std`, no-alloc crate `mobilec-runtime`.
//!
//! The way of a model: [`onnx`] → [`graph`] imported → [`passes`] canonical → [`fusions`] fused →
//! [`plan`] → [`codegen`]. Bytes in, artifacts out: no file is read or written below the driver.

pub mod codegen;
pub mod error;
pub mod graph;
pub mod onnx;
pub mod ops;
pub mod plan;
pub mod reference;
pub mod tensor;

pub use error::{Error, Result};
