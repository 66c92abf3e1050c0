//! Compiles a model, builds the emitted module with cargo and runs it.

use mobilec::driver::{self, Compiled, Model, Options};
use mobilec::harness;
use mobilec::onnx::ImportOptions;
use mobilec::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Target, by_name};
use std::path::Path;

/// A model file.
///
/// # Panics
///
/// On a file that cannot be read.
pub fn open(path: &Path, shapes: &[(&str, &[usize])]) -> Model {
    let input_shapes = shapes.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect();
    let import = ImportOptions { input_shapes, ..ImportOptions::default() };
    mobilec::files::model(path, import).unwrap_or_else(|error| panic!("{error}"))
}

/// The target of a name.
///
/// # Panics
///
/// On a name that no target has.
pub fn target(name: &str) -> &'static Target {
    by_name(name).unwrap_or_else(|| panic!("no target {name}"))
}

/// Compiles for running.
///
/// # Panics
///
/// On a model that does not compile.
pub fn compile(model: &Model, name: &str) -> Compiled {
    let options = Options::new(target(name), harness::MODULE_NAME);
    driver::compile(model, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs samples, one behind the other in `input`; returns each output as one tensor with the samples along
/// a new leading dimension.
///
/// # Panics
///
/// On a module that does not build or run.
pub fn run(compiled: &Compiled, input: &[u8]) -> Vec<Tensor> {
    let program = harness::build(compiled, false, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let (bytes, times) = program.run(input).unwrap_or_else(|error| panic!("{error}"));
    let outputs = &compiled.plan.outputs;
    let sample_bytes: usize = outputs.iter().map(|port| port.ty.bytes()).sum();
    let mut start = 0;
    outputs
        .iter()
        .map(|port| {
            let range = start..start + port.ty.bytes();
            start = range.end;
            let values: Vec<u8> =
                bytes.chunks(sample_bytes).flat_map(|sample| sample[range.clone()].to_vec()).collect();
            let shape = [&[times.len()], &port.ty.shape[..]].concat();
            Tensor::new(TensorType::new(port.ty.dtype, shape), values.into()).expect("whole samples")
        })
        .collect()
}

/// A `.npy` file.
///
/// # Panics
///
/// On a file that cannot be read.
pub fn npy(path: &Path) -> Tensor {
    mobilec::files::read_npy(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Swaps `[S, H, W, C]` to `[S, C, H, W]`.
///
/// # Panics
///
/// On a tensor that is not of rank 4.
pub fn to_nchw(tensor: &Tensor) -> Tensor {
    let [s, h, w, c] = tensor.ty.shape[..] else { panic!("{} is not of rank 4", tensor.ty) };
    let size = tensor.ty.dtype.bytes();
    let mut bytes = vec![0; tensor.bytes().len()];
    for (from, element) in tensor.bytes().chunks_exact(size).enumerate() {
        let (position, channel) = (from / c, from % c);
        let (sample, position) = (position / (h * w), position % (h * w));
        let to = ((sample * c + channel) * h * w + position) * size;
        bytes[to..to + size].copy_from_slice(element);
    }
    Tensor::new(TensorType::new(tensor.ty.dtype, [s, c, h, w]), bytes.into()).expect("as many bytes")
}

/// Floats: within `tolerance` of the largest absolute expected value. Integers: within `tolerance` steps.
///
/// # Panics
///
/// On a difference, which it names.
pub fn assert_close(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    assert_eq!(got.ty.elements(), want.ty.elements(), "{what}: {} against {}", got.ty, want.ty);
    assert_eq!(got.ty.dtype, want.ty.dtype, "{what}");
    let (got_values, want_values) = (got.to_f64(), want.to_f64());
    let scale = match want.ty.dtype {
        DType::F32 => want_values.iter().fold(0.0_f64, |m, v| m.max(v.abs())),
        DType::I8 | DType::U8 | DType::I32 | DType::I64 | DType::Bool => 1.0,
    };
    let worst = got_values
        .iter()
        .zip(&want_values)
        .map(|(g, w)| (g - w).abs())
        .fold(0.0_f64, |m, e| if e.is_nan() { f64::INFINITY } else { m.max(e) });
    assert!(worst <= tolerance * scale, "{what}: {worst:e} apart, where the largest is {scale:e}");
}
