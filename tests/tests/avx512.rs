//! Networks as emitted for `x86-64-avx512`: 8-bit ones give the bytes of portable code, floats its numbers within
//! rounding. On a CPU without AVX-512, or where `MOBILEC_EMULATE` is set, they run on an emulated one (`tests/avx512`), and
//! so do the kernel tests.

use mobilec::driver::{self, Compiled, Options};
use mobilec::harness;
use mobilec::ops::quantization::Rounding;
use mobilec::plan::Objective;
use mobilec::tensor::Tensor;
use mobilec_tests::emitted::{self, compile, npy, open, target, to_nchw};
use mobilec_tests::{batch, folder, has_avx512, here, skip};
use std::path::Path;
use std::process::Command;

const ON: &str = "x86-64-avx512";

/// A network, compiled for both, and its samples.
struct Case {
    name: String,
    compiled: [Compiled; 2],
    input: Vec<u8>,
}

fn case(path: &Path, rounding: Rounding, objective: Objective, input: Vec<u8>, n: usize) -> Case {
    let compiled = [ON, "portable"].map(|on| {
        let options = Options { rounding, objective, ..Options::new(target(on), format!("net{n}")) };
        driver::compile(&open(path, &[]), &options).unwrap_or_else(|error| panic!("{error}"))
    });
    Case { name: format!("{} {rounding:?} {objective:?}", path.display()), compiled, input }
}

/// What the networks give with AVX-512 and in portable code.
fn outputs(name: &str, cases: &[Case]) -> [Vec<Vec<u8>>; 2] {
    let of = |at: usize| -> Vec<(&Compiled, Vec<u8>)> {
        cases.iter().map(|case| (&case.compiled[at], case.input.clone())).collect()
    };
    [batch::run_on_avx512(&format!("{name}-avx512"), &of(0)), batch::run(&format!("{name}-portable"), &of(1))]
}

fn is_x86() -> bool {
    std::env::consts::ARCH == "x86_64"
}

/// Test digits as the networks take them.
fn digits() -> Vec<u8> {
    let pixels = npy(&here().join("digits/inputs.npy")).to_f32();
    let values: Vec<f32> = pixels.iter().map(|v| v / 255.0).collect();
    Tensor::from_f32([40, 1, 28, 28], &values).bytes()[..10 * 28 * 28 * 4].to_vec()
}

#[test]
fn networks_of_codes_give_the_same_bytes() {
    if !is_x86() {
        return;
    }
    let fast = Objective::Speed { cap: usize::MAX };
    let quantised = here().join("digits/digits_int8.onnx");
    let mut cases = vec![
        case(&quantised, Rounding::Onnx, fast, digits(), 0),
        case(&quantised, Rounding::Onnx, Objective::Memory, digits(), 1),
    ];
    match folder("MOBILEC_MODELS") {
        None => skip("trained networks with AVX-512", "MOBILEC_MODELS names no folder"),
        Some(models) => {
            for (folder, file) in [
                ("vww_mobilenet_v1_025_96_int8", "vww_96_int8_qdq.onnx"),
                ("person_detect_mobilenet_v1_025_96_gray_int8", "person_detect_qdq.onnx"),
                ("fomo_mobilenet_v2_035_96_int8", "fomo_face_detection_qdq.onnx"),
                ("imagenet_mobilenet_v1_025_128_uint8", "mobilenet_v1_0.25_128_quant_qdq.onnx"),
            ] {
                let folder = models.join(folder);
                let input = to_nchw(&npy(&folder.join("input_nhwc.npy"))).bytes().to_vec();
                for (rounding, objective) in
                    [(Rounding::Onnx, fast), (Rounding::Tflite, Objective::LayerByLayer)]
                {
                    let n = cases.len();
                    cases.push(case(&folder.join(file), rounding, objective, input.clone(), n));
                }
            }
        }
    }
    let [fast, portable] = outputs("codes", &cases);
    for ((case, fast), portable) in cases.iter().zip(fast).zip(portable) {
        assert!(!portable.is_empty() && fast == portable, "{}", case.name);
    }
}

#[test]
fn floats_are_close() {
    if !is_x86() {
        return;
    }
    let network = here().join("digits/digits.onnx");
    let fast = Objective::Speed { cap: usize::MAX };
    let cases = [fast, Objective::Memory]
        .into_iter()
        .enumerate()
        .map(|(n, objective)| case(&network, Rounding::Onnx, objective, digits(), n));
    let [fast, portable] = outputs("floats", &cases.collect::<Vec<_>>());
    let numbers = |bytes: &[u8]| -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    for (fast, portable) in fast.iter().zip(&portable) {
        let (fast, portable) = (numbers(fast), numbers(portable));
        let largest = portable.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
        assert_eq!((fast.len(), portable.len()), (100, 100));
        assert!(fast.iter().zip(&portable).all(|(a, b)| (a - b).abs() <= 1e-5 * largest));
    }
}

/// Where the CPU has AVX-512 the runtime's own tests have done this.
#[test]
fn kernels_pass_their_tests() {
    if !is_x86() || has_avx512() {
        return;
    }
    let output = Command::new(here().join("avx512/kernels.sh")).arg("6").output().expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("test result: ok"), "{text}{output:?}");
}

/// AVX-VNNI's kernel is tested in AVX-512's encoding; what is emitted for it is built here, and run where the CPU has
/// it.
#[test]
fn networks_for_avx_vnni_build() {
    if !is_x86() {
        return;
    }
    let network = open(&here().join("digits/digits_int8.onnx"), &[]);
    let compiled = compile(&network, "x86-64-avx-vnni");
    let kernels = |name: &str| compiled.plan.text().contains(name);
    assert!(kernels("avx_vnni::conv2d_q8_6x16") && kernels("avx2::dwconv2d_q8_9p16c"));
    let built = harness::build(&compiled, false, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avxvnni") {
        let expected = emitted::run(&compile(&network, "portable"), &digits());
        let (bytes, _) = built.run(&digits()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&bytes[..], &expected[0].bytes()[..]);
    }
    drop(built);
}
