//! Quantised networks against recorded answers: the arithmetic in the reference interpreter, then emitted code,
//! which must give the interpreter's bytes.
//!
//! By the rule of TensorFlow Lite every byte must be that of its reference kernels, layer by layer; by ONNX's
//! each output must be within a unit of ONNX Runtime's. The models are read from the folder that
//! `MOBILEC_MODELS` names.

use mobilec::driver::{self, Options};
use mobilec::graph::Graph;
use mobilec::harness;
use mobilec::ops::quantization::Rounding;
use mobilec::plan::Objective;
use mobilec::reference::{self, Array};
use mobilec::tensor::{Tensor, TensorType};
use mobilec_tests::emitted::{self, npy, open, target, to_nchw};
use mobilec_tests::{folder, here, skip};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct Network {
    folder: &'static str,
    file: &'static str,
    /// Units by which ONNX Runtime's answers may differ from ours.
    units: i64,
}

const VWW: Network =
    Network { folder: "vww_mobilenet_v1_025_96_int8", file: "vww_96_int8_qdq.onnx", units: 1 };
const PERSON: Network = Network {
    folder: "person_detect_mobilenet_v1_025_96_gray_int8",
    file: "person_detect_qdq.onnx",
    units: 1,
};
const FOMO: Network =
    Network { folder: "fomo_mobilenet_v2_035_96_int8", file: "fomo_face_detection_qdq.onnx", units: 1 };
const IMAGENET: Network = Network {
    folder: "imagenet_mobilenet_v1_025_128_uint8",
    file: "mobilenet_v1_0.25_128_quant_qdq.onnx",
    units: 1,
};

impl Network {
    fn path(&self) -> Option<PathBuf> {
        let Some(models) = folder("MOBILEC_MODELS") else {
            skip(self.file, "MOBILEC_MODELS names no folder");
            return None;
        };
        Some(models.join(self.folder))
    }

    /// The network as integer operators.
    fn graph(&self, path: &Path, rounding: Rounding) -> Graph {
        let (imported, _) = driver::import(&open(&path.join(self.file), &[])).expect("a model");
        driver::optimize_with(&imported, rounding).expect("it can be fused").0
    }

    /// Outputs for all inputs, one behind the other.
    fn outputs(&self, path: &Path, rounding: Rounding) -> Vec<i64> {
        let graph = self.graph(path, rounding);
        let output = graph.outputs()[0].1;
        let traces = inputs(path).into_iter().map(|input| run(&graph, input));
        traces.flat_map(|trace| trace[&output].ints().to_vec()).collect()
    }

    #[track_caller]
    fn is_byte_equal_to_tflite(&self) {
        let Some(path) = self.path() else { return };
        let expected = npy(&path.join("expected_tflite_reference.npy")).to_i64();
        let found = self.outputs(&path, Rounding::Tflite);
        let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!((found.len(), differing), (expected.len(), 0), "{}", self.file);
    }

    #[track_caller]
    fn layers_are_those_of_tflite(&self) {
        let Some(path) = self.path() else { return };
        let recorded = layers(&path.join("layers_tflite_reference_input0.npz"));
        let graph = self.graph(&path, Rounding::Tflite);
        let trace = run(&graph, inputs(&path).remove(0));
        let mut compared = 0;
        for (&id, value) in &trace {
            let digits: String = graph.name(id).chars().filter(char::is_ascii_digit).collect();
            let is_layer = graph.op(id).describe().starts_with("int8");
            let Some(expected) = recorded.get(&format!("op{digits:0>2}")).filter(|_| is_layer) else {
                continue;
            };
            assert_eq!(value.ints(), expected, "{} of {}", graph.name(id), self.file);
            compared += 1;
        }
        assert!(compared + 4 > recorded.len(), "{compared} of {}", recorded.len());
    }

    /// The emitted module's bytes are the interpreter's, for all inputs.
    #[track_caller]
    fn runs_on(&self, name: &str, rounding: Rounding, objective: Objective) {
        let Some(path) = self.path() else { return };
        let options = Options { rounding, objective, ..Options::new(target(name), harness::MODULE_NAME) };
        let compiled = driver::compile(&open(&path.join(self.file), &[]), &options).expect("it compiles");
        let bytes: Vec<u8> =
            inputs(&path).iter().flat_map(|input| Tensor::from(input).bytes().to_vec()).collect();
        let found = emitted::run(&compiled, &bytes).remove(0).to_i64();
        let expected = self.outputs(&path, rounding);
        let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!((found.len(), differing), (expected.len(), 0), "{} on {name}", self.file);
    }

    fn portable_code_gives_the_same_bytes(&self) {
        self.runs_on("portable", Rounding::Onnx, Objective::LayerByLayer);
        self.runs_on("portable", Rounding::Tflite, Objective::Memory);
    }

    fn avx2_code_gives_the_same_bytes(&self) {
        if std::env::consts::ARCH == "x86_64" {
            self.runs_on("x86-64-avx2", Rounding::Onnx, Objective::Speed { cap: usize::MAX });
            self.runs_on("x86-64-avx2", Rounding::Tflite, Objective::LayerByLayer);
        }
    }

    fn avx_vnni_code_gives_the_same_bytes(&self) {
        #[cfg(target_arch = "x86_64")]
        if mobilec_runtime::x86_64::AvxVnni::detect().is_some() {
            self.runs_on("x86-64-avx-vnni", Rounding::Onnx, Objective::Speed { cap: usize::MAX });
            self.runs_on("x86-64-avx-vnni", Rounding::Tflite, Objective::LayerByLayer);
        } else {
            skip(self.file, "this CPU has no AVX-VNNI; the kernel's tests run in AVX-512's encoding");
        }
    }

    #[track_caller]
    fn is_close_to_onnx_runtime(&self) {
        let Some(path) = self.path() else { return };
        let expected = npy(&path.join("expected_onnxruntime.npy")).to_i64();
        let found = self.outputs(&path, Rounding::Onnx);
        assert_eq!(found.len(), expected.len());
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).max();
        assert!(apart <= Some(self.units), "{}: {apart:?} units", self.file);
    }
}

fn run(graph: &Graph, input: Array) -> reference::Trace {
    reference::run(graph, &[input]).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The recorded inputs, each `[1, C, H, W]`.
fn inputs(path: &Path) -> Vec<Array> {
    let all = to_nchw(&npy(&path.join("input_nhwc.npy")));
    let shape = [&[1], &all.ty.shape[1..]].concat();
    let ty = TensorType::new(all.ty.dtype, shape);
    let parts = all.bytes().chunks(ty.bytes());
    parts
        .map(|part| Array::from(&Tensor::new(ty.clone(), part.to_vec().into()).expect("whole inputs")))
        .collect()
}

/// Codes of every operator, NHWC.
fn layers(path: &Path) -> BTreeMap<String, Vec<i64>> {
    let arrays = mobilec::files::read_npz(path).unwrap_or_else(|error| panic!("{error}"));
    arrays.into_iter().map(|(name, array)| (name, array.to_i64())).collect()
}

macro_rules! networks {
    ($($name:ident: $network:expr, [$($check:ident),*];)*) => {$(
        mod $name {
            use super::*;
            $(#[test] fn $check() { $network.$check(); })*
        }
    )*};
}

networks! {
    vww: VWW, [is_byte_equal_to_tflite, layers_are_those_of_tflite, is_close_to_onnx_runtime, portable_code_gives_the_same_bytes, avx2_code_gives_the_same_bytes, avx_vnni_code_gives_the_same_bytes];
    person_detect: PERSON, [is_byte_equal_to_tflite, layers_are_those_of_tflite, is_close_to_onnx_runtime, portable_code_gives_the_same_bytes, avx2_code_gives_the_same_bytes, avx_vnni_code_gives_the_same_bytes];
    fomo: FOMO, [is_byte_equal_to_tflite, layers_are_those_of_tflite, is_close_to_onnx_runtime, portable_code_gives_the_same_bytes, avx2_code_gives_the_same_bytes, avx_vnni_code_gives_the_same_bytes];
    imagenet_v1_of_u8: IMAGENET, [is_byte_equal_to_tflite, is_close_to_onnx_runtime, portable_code_gives_the_same_bytes, avx2_code_gives_the_same_bytes, avx_vnni_code_gives_the_same_bytes];
}

/// Codes have a kernel for AVX-VNNI, floats have none: their module holds no functions for it.
#[test]
fn a_module_for_any_x86_has_functions_for_the_instruction_sets_that_differ() {
    for (file, modules) in
        [("digits.onnx", &["avx512", "avx2"][..]), ("digits_int8.onnx", &["avx512", "avx_vnni", "avx2"])]
    {
        let source =
            emitted::compile(&open(&here().join("digits").join(file), &[]), "x86-64").module().source;
        let found: Vec<&str> =
            source.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(" {")).collect();
        let expected: Vec<&str> = modules.iter().copied().chain(["portable"]).collect();
        assert_eq!(found, expected, "{file}");
    }
}
