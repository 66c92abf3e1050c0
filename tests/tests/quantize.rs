//! `mobilec quantize` from end to end: what it writes is run by ONNX Runtime and by our own integers, and is
//! as good as the network of floats.
//!
//! `MOBILEC_DIGITS` names the folder that `digits/data.py` wrote, `MOBILEC_PYTHON` a Python with ONNX Runtime.

use mobilec::tensor::{DType, Tensor, TensorType};
use mobilec_tests::emitted::{compile, npy, open, run};
use mobilec_tests::oracle::Oracle;
use mobilec_tests::{command, folder, here, skip};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn quantize(model: &str, calibration: &Path, out: &Path, more: &[&str]) -> Output {
    Command::new(command())
        .args(["quantize", model, "--calibrate"])
        .arg(calibration)
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .expect("the command runs")
}

/// Quantises and returns the file and what is said about it.
fn quantized(model: &str, calibration: &Path, more: &[&str]) -> (Vec<u8>, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("q.onnx");
    let output = quantize(model, calibration, &out, &[more, &["--json"]].concat());
    assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = serde_json::from_slice(&output.stdout).expect("one JSON object");
    (std::fs::read(out).expect("it was written"), said)
}

fn digits_model() -> String {
    here().join("digits/digits.onnx").display().to_string()
}

/// The test digits as the network takes them, their labels, and samples for calibration.
struct Digits {
    pictures: Tensor,
    labels: Vec<i64>,
    calibration: PathBuf,
}

fn digits(test: &str) -> Option<Digits> {
    let Some(folder) = folder("MOBILEC_DIGITS") else {
        skip(test, "MOBILEC_DIGITS names no folder");
        return None;
    };
    let pictures: Vec<f32> = npy(&folder.join("test.npy")).to_f32().iter().map(|v| v / 255.0).collect();
    Some(Digits {
        pictures: Tensor::from_f32([1000, 1, 28, 28], &pictures),
        labels: npy(&folder.join("labels.npy")).to_i64(),
        calibration: folder.join("calibration.npz"),
    })
}

fn oracle(test: &str) -> Option<Oracle> {
    let oracle = Oracle::start(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(test));
    if oracle.is_none() {
        skip(test, "MOBILEC_PYTHON names no Python with ONNX Runtime");
    }
    oracle
}

/// How many of the rows have their largest score at the label.
fn hits(scores: &Tensor, labels: &[i64]) -> usize {
    let scores = scores.to_f32();
    let rows = scores.chunks_exact(scores.len() / labels.len());
    let best = rows.map(|row| (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }));
    best.zip(labels).filter(|(best, label)| *best as i64 == **label).count()
}

/// Rights of the float network on the thousand test digits.
const FLOAT: usize = 990;

/// Half a point of a thousand.
const MARGIN: usize = 5;

#[test]
fn digits_are_as_good_as_floats_by_every_method() {
    let Some(digits) = digits("quantized_digits") else { return };
    let Some(mut oracle) = oracle("quantized_digits") else { return };
    for more in [
        &[][..],
        &["--method", "min-max"],
        &["--method", "entropy"],
        &["--method", "percentile=99.9"],
        &["--activations", "i8"],
        &["--weights", "full"],
        &["--without", "equalization"],
        &["--without", "bias-correction"],
        &["--without", "equalization", "--without", "bias-correction"],
    ] {
        let (model, _) = quantized(&digits_model(), &digits.calibration, more);
        let scores = oracle.literal(&model, &digits.pictures).unwrap_or_else(|why| panic!("{more:?}: {why}"));
        let found = hits(&scores[0], &digits.labels);
        assert!(found + MARGIN >= FLOAT, "{more:?}: {found} of 1000");
    }
}

/// Pairs of products that fit 16 bits keep ONNX Runtime's integer kernels exact on every CPU.
#[test]
fn integer_kernels_of_onnx_runtime_run_it() {
    let Some(digits) = digits("integer_kernels") else { return };
    let Some(mut oracle) = oracle("integer_kernels") else { return };
    let (model, _) = quantized(&digits_model(), &digits.calibration, &[]);
    let scores = oracle.run(&model, &digits.pictures).unwrap_or_else(|why| panic!("{why}"));
    let found = hits(&scores[0], &digits.labels);
    assert!(found + MARGIN >= FLOAT, "{found} of 1000");
}

#[test]
fn our_own_integers_run_it() {
    let Some(digits) = digits("own_integers") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("q.onnx");
    let output = quantize(&digits_model(), &digits.calibration, &out, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let compiled = compile(&open(&out, &[]), "x86-64");
    let report = compiled.fused.text();
    assert!(
        ["= conv2d", "= depthwise", "= dense"].iter().all(|layer| !report.contains(layer)),
        "a layer stays in floats\n{report}"
    );
    // A quarter, and some more: panels are rounded up, biases have 32 bits.
    let flash = |file: &Path| compile(&open(file, &[]), "portable").plan.weights.len();
    assert!(3 * flash(&out) < flash(&here().join("digits/digits.onnx")));
    let scores = run(&compiled, digits.pictures.bytes());
    let found = hits(&scores[0], &digits.labels);
    assert!(found + MARGIN >= FLOAT, "{found} of 1000");
}

#[test]
fn the_table_names_every_layer() {
    let (_, said) = quantized(&digits_model(), &here().join("digits/pictures"), &["--normalize", "unit"]);
    assert_eq!((&said["samples"], &said["method"]), (&40.into(), &"percentile".into()));
    assert!(said["equalized"].as_u64().is_some_and(|pairs| pairs > 0), "{said}");
    let layers = said["layers"].as_array().expect("layers");
    let weighted = layers.iter().filter(|layer| !layer["weights_db"].is_null());
    assert_eq!(weighted.count(), 23);
    let last = layers.iter().rev().find(|layer| layer["operation"] == "dense").expect("the classifier");
    assert!(last["value_db"].as_f64().is_some_and(|db| (20.0..60.0).contains(&db)), "{last}");
}

#[test]
fn pixels_can_be_the_input() {
    let Some(mut oracle) = oracle("quantized_pixels") else { return };
    let pictures = here().join("digits/pictures");
    let (model, said) = quantized(&digits_model(), &pictures, &["--pixels", "unit"]);
    assert_eq!(said["model"], "digits.onnx --pixels unit");
    let pixels = npy(&here().join("digits/inputs.npy"));
    assert_eq!(pixels.ty.dtype, DType::U8);
    let wanted = npy(&here().join("digits/expected_logits.npy"));
    let scores = oracle.literal(&model, &pixels).unwrap_or_else(|why| panic!("{why}"));
    let labels: Vec<i64> = wanted.to_f32().chunks_exact(10).map(largest).collect();
    assert!(hits(&scores[0], &labels) >= 39);
}

fn largest(row: &[f32]) -> i64 {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }) as i64
}

/// Seven pictures that are none of those scored calibrate; of the hundred, floats have 85 right.
#[test]
fn mobilenet_v2_is_as_good_as_floats() {
    let Some(models) = folder("MOBILEC_MODELS") else {
        return skip("quantized_mobilenet_v2", "MOBILEC_MODELS names no folder");
    };
    let Some(mut oracle) = oracle("quantized_mobilenet_v2") else { return };
    let model = models.join("imagenet/mobilenet_v2_tv_f32.onnx");
    let (bytes, _) = quantized(&model.display().to_string(), &models.join("imagenet/pics"), &[]);
    let ty = TensorType::f32([1, 3, 224, 224]);
    let input = mobilec::samples::Input { name: "input", ty: &ty };
    let val = models.join("imagenet/val100");
    let samples = mobilec::samples::of_path(&val, &[input], Some("imagenet")).expect("pictures");
    let stacked: Vec<f32> = samples.iter().flat_map(|sample| sample.tensors[0].to_f32()).collect();
    let stacked = Tensor::from_f32([samples.len(), 3, 224, 224], &stacked);
    // One picture of every tenth class.
    let labels: Vec<i64> = (0..100).map(|i| 10 * i).collect();
    let theirs = oracle.run(&bytes, &stacked).unwrap_or_else(|why| panic!("{why}"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("q.onnx");
    std::fs::write(&file, &bytes).expect("writable");
    let ours = run(&compile(&open(&file, &[]), "x86-64"), stacked.bytes());
    for (who, scores) in [("ONNX Runtime", theirs), ("emitted code", ours)] {
        let right = hits(&scores[0], &labels);
        assert!(right >= 83, "{who}: {right} of 100");
    }
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let pictures = here().join("digits/pictures");
    let [(once, _), (twice, _)] = [(); 2].map(|()| quantized(&digits_model(), &pictures, &[]));
    assert!(once == twice);
}

#[test]
fn what_is_left_out_is_not_done() {
    let pictures = here().join("digits/pictures");
    let (all, _) = quantized(&digits_model(), &pictures, &[]);
    let (equalized, said) = quantized(&digits_model(), &pictures, &["--without", "equalization"]);
    assert_eq!(said["equalized"], 0);
    let (corrected, said) = quantized(&digits_model(), &pictures, &["--without", "bias-correction"]);
    assert!(said["equalized"].as_u64() > Some(0));
    assert!(all != equalized && all != corrected);
}

#[test]
fn it_is_checked_exactly_and_beside_the_floats() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("q.onnx");
    let pictures = here().join("digits/pictures");
    assert!(quantize(&digits_model(), &pictures, &out, &[]).status.success());
    let check = |float: &str| {
        let mut command = Command::new(command());
        command.arg("check").arg(&out).arg("--input").arg(&pictures).args(["--float", float, "--json"]);
        command.output().expect("the command runs")
    };
    let output = check(&digits_model());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("the largest element is the same in 40 of 40 samples"), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let said = said.as_array().expect("one object a picture");
    assert_eq!(said.len(), 40);
    for sample in said {
        assert_eq!((&sample["ok"], &sample["max_abs_error"]), (&true.into(), &0.0.into()));
        assert!(sample["float"][0]["snr_db"].as_f64() > Some(20.0), "{}", sample["float"]);
    }
    let output = check("zoo:MobileNetV1?alpha=0.25&rho=128&seed=1");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("its inputs are") && errors.contains("f32[1,1,28,28]"), "{errors}");
}

/// A file that was there stays as it is until a complete one takes its place.
#[test]
fn a_failure_leaves_the_old_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("q.onnx");
    std::fs::write(&out, b"old").expect("writable");
    assert!(!quantize(&digits_model(), &folder.path().join("none"), &out, &[]).status.success());
    assert_eq!(std::fs::read(&out).expect("it is there"), b"old");
    assert!(quantize(&digits_model(), &here().join("digits/pictures"), &out, &[]).status.success());
    assert_ne!(std::fs::read(&out).expect("it is there"), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
}

#[test]
fn errors_say_what_is_wrong_and_leave_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let wrong = folder.path().join("wrong.npy");
    let tensor = Tensor::from_f32([2, 3], &[0.0; 6]);
    std::fs::write(&wrong, mobilec::files::npy_bytes(&tensor).expect("a file")).expect("writable");
    let broken = folder.path().join("broken.npz");
    std::fs::write(&broken, b"PK\x03\x04 and no more").expect("writable");
    let bad = folder.path().join("bad");
    std::fs::create_dir(&bad).expect("a folder");
    std::fs::write(bad.join("a.png"), b"no picture").expect("writable");
    let pictures = here().join("digits/pictures");
    let out = folder.path().join("q.onnx");
    for (calibration, more, status, words) in [
        (&empty, &[][..], 1, &["empty", "no picture and no tensor"][..]),
        (&bad, &[], 1, &["a.png"]),
        (&wrong, &[], 1, &["wrong.npy", "f32[1,1,28,28]", "f32[2,3]"]),
        (&broken, &[], 1, &["broken.npz", "not a .npz archive"]),
        (&folder.path().join("none"), &[], 1, &["none"]),
        (&pictures, &["--method", "mean"], 2, &["--method mean", "percentile"]),
        (&pictures, &["--method", "percentile=10"], 2, &["50 to 100"]),
        (&pictures, &["--weights", "4"], 2, &["paired", "full"]),
        (&pictures, &["--activations", "i16"], 2, &["u8", "i8"]),
        (&pictures, &["--normalize", "nope"], 2, &["--normalize nope"]),
    ] {
        let output = quantize(&digits_model(), calibration, &out, more);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{more:?}: {errors}");
        for word in words {
            assert!(errors.contains(word), "{more:?} should say {word}: {errors}");
        }
        assert!(!out.exists());
    }
}

#[test]
fn arrays_of_another_shape_are_refused() {
    let Some(digits) = digits("arrays_of_another_shape") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("q.onnx");
    let model = "zoo:MobileNetV1?alpha=0.25&rho=128&seed=1";
    let output = quantize(model, &digits.calibration, &out, &[]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for word in ["calibration.npz", "f32[1,128,128,3]", "f32[100,1,28,28]"] {
        assert!(errors.contains(word), "{errors}");
    }
    assert!(!out.exists());
}

#[test]
fn a_quantised_model_is_not_quantised_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let [once, twice] = ["once.onnx", "twice.onnx"].map(|name| folder.path().join(name));
    let pictures = here().join("digits/pictures");
    assert!(quantize(&digits_model(), &pictures, &once, &[]).status.success());
    let again = quantize(&once.display().to_string(), &pictures, &twice, &[]);
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1), "{errors}");
    assert!(errors.contains("quantised already") && errors.contains("floats"), "{errors}");
}
