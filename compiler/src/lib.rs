//! mobilec compiles MobileNets, given as ONNX, to standalone Rust modules that are linked against the
//! small `no_std`, no-alloc crate `mobilec-runtime`.
//!
//! The way of a model: [`onnx`] → [`graph`] imported → [`passes`] canonical → [`fusions`] fused →
//! [`plan`] → [`codegen`]. Bytes in, artifacts out: no file is read or written below the driver.

pub mod build;
pub mod codegen;
pub mod driver;
pub mod dsl;
pub mod error;
pub mod files;
pub mod fusions;
pub mod graph;
#[cfg(feature = "quantize")]
pub mod harness;
pub mod onnx;
pub mod ops;
pub mod passes;
#[cfg(feature = "quantize")]
pub mod pictures;
pub mod pixels;
pub mod plan;
#[cfg(feature = "quantize")]
pub mod quantize;
pub mod reference;
#[cfg(feature = "quantize")]
pub mod samples;
pub mod tensor;
pub mod weights;
pub mod zoo;

pub use build::{Budget, Build};
pub use error::{Error, Result};
pub use ops::quantization::Rounding;
pub use pixels::Input;
pub use plan::Inputs;
#[cfg(feature = "quantize")]
pub use quantize::Calibration;
