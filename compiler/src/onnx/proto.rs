//! The messages of ONNX.
