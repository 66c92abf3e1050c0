//! The command, as users and scripts run it.

use mobilec_tests::{command, here};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn mobilec(arguments: &[&str]) -> Output {
    Command::new(command()).args(arguments).output().expect("the command runs")
}

fn digits() -> String {
    here().join("digits/digits.onnx").display().to_string()
}

fn picture() -> String {
    here().join("digits/pictures/7_3500.png").display().to_string()
}

fn json(arguments: &[&str]) -> Value {
    let output = mobilec(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

/// Exit status and what stands on standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = mobilec(arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(!value[field].is_null(), "{field} is missing in {value}");
    }
}

#[test]
fn run_names_the_digit_with_its_label() {
    let labels = here().join("digits/labels.txt").display().to_string();
    let run = json(&["run", &digits(), "--input", &picture(), "--labels", &labels, "--json"]);
    has(&run, &["model", "target", "outputs", "top", "latency_ms"]);
    assert_eq!((&run["top"][0]["index"], &run["top"][0]["label"]), (&7.into(), &"seven".into()));
    assert_eq!(run["outputs"][0]["shape"], serde_json::json!([1, 10]));
}

#[test]
fn run_takes_a_folder_and_writes_one_tensor() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("scores.npy");
    let pictures = here().join("digits/pictures").display().to_string();
    let run =
        json(&["run", &digits(), "--input", &pictures, "--output", &output.display().to_string(), "--json"]);
    assert_eq!(run.as_array().map(Vec::len), Some(40));
    assert_eq!(mobilec_tests::emitted::npy(&output).ty.shape, [40, 10]);
}

#[test]
fn check_agrees_layer_by_layer() {
    for target in ["portable", "x86-64-avx2"] {
        let check = json(&["check", &digits(), "--input", &picture(), "--target", target, "--json"]);
        has(
            &check,
            &["model", "target", "ok", "max_abs_error", "max_rel_error", "layers", "mismatched_bytes"],
        );
        assert_eq!(check["ok"], true);
        assert!(check["layers"].as_array().is_some_and(|layers| layers.len() > 20));
        assert!(check["max_rel_error"].as_f64().is_some_and(|error| error > 0.0 && error < 1e-5), "{check}");
    }
}

#[test]
fn bench_measures_beside_the_cores_peak() {
    let bench = json(&["bench", &digits(), "--seconds", "0.1", "--profile", "--json"]);
    has(&bench, &["model", "target", "threads", "macs", "min_ms", "median_ms", "gflops", "peak_gflops"]);
    has(&bench, &["peak_share", "layers"]);
    has(&bench["layers"][0], &["name", "kernel", "macs", "min_us", "peak_share"]);
}

#[test]
fn report_counts_memory_and_work() {
    let report = json(&["report", &digits(), "--target", "portable", "--json"]);
    has(&report, &["model", "target", "macs", "parameters", "weight_bytes", "flash_bytes", "peak_ram_bytes"]);
    has(
        &report,
        &["input_bytes", "output_bytes", "arena_bytes", "arena_lower_bound_bytes", "regions", "layers"],
    );
    assert_eq!(report["macs"], 1_142_792);
    assert_eq!(report["input_bytes"], 28 * 28 * 4);
}

#[test]
fn targets_are_listed() {
    let text = String::from_utf8_lossy(&mobilec(&["targets"]).stdout).into_owned();
    for name in ["portable", "x86-64-avx2", "x86-64", "native"] {
        assert!(text.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name} in {text}");
    }
}

#[test]
fn compile_writes_and_check_compares() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let compile = |more: &[&str]| {
        let arguments =
            [&["compile", &digits(), "--target", "portable", "--out", &out, "--name", "net"], more];
        refused(&arguments.concat())
    };
    assert_eq!(compile(&[]).0, Some(0));
    assert_eq!(compile(&["--check"]).0, Some(0));
    let source = folder.path().join("net.rs");
    let text = std::fs::read_to_string(&source).expect("the module");
    assert!(!text.contains(&*here().to_string_lossy()), "no path of this machine is in the module");
    std::fs::write(&source, text + "// edited\n").expect("writable");
    let (status, errors) = compile(&["--check"]);
    assert_eq!(status, Some(1));
    assert!(errors.contains("net.rs") && errors.contains("--check"), "{errors}");
}

/// A text of the model language in a user's crate, whose weights lie beside it.
fn text() -> String {
    here().join("users/macros/tiny.mobilec").display().to_string()
}

#[test]
fn a_text_is_a_model_for_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let compiled = refused(&["compile", &text(), "--target", "portable", "--out", &out]);
    assert_eq!(compiled.0, Some(0), "{}", compiled.1);
    let module = std::fs::read_to_string(folder.path().join("tiny.rs")).expect("the module");
    assert!(module.contains("// Model:   tiny.mobilec (SHA-256"), "{module}");
    assert!(folder.path().join("tiny.weights.bin").exists());

    let check = json(&["check", &text(), "--target", "portable", "--json"]);
    assert_eq!(check["ok"], true, "{check}");
    assert!(check["max_rel_error"].as_f64().is_some_and(|error| error < 1e-5), "{check}");
    let report = json(&["report", &text(), "--target", "portable", "--json"]);
    // 36·27·8; 36·8·16, 36·9·16, 16·8 twice (4 rounded up), 36·16·8; 8·4
    assert_eq!(report["macs"], 22_464);
    let bench = json(&["bench", &text(), "--seconds", "0.05", "--json"]);
    assert_eq!(bench["macs"], report["macs"]);

    let pixels = mobilec::tensor::Tensor::from_f32([1, 12, 12, 3], &[0.5; 432]);
    let input = folder.path().join("input.npy");
    std::fs::write(&input, mobilec::files::npy_bytes(&pixels).expect("a file")).expect("writable");
    let output = folder.path().join("output.npy");
    let [input, output] = [&input, &output].map(|path| path.display().to_string());
    let run = json(&["run", &text(), "--input", &input, "--output", &output, "--json"]);
    assert_eq!(run["outputs"][0]["shape"], serde_json::json!([1, 4]));
    let check = json(&["check", &text(), "--input", &input, "--expect", &output, "--json"]);
    assert_eq!(check["ok"], true, "{check}");
}

#[test]
fn weights_of_a_text_come_back_from_the_file_that_export_wrote() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tiny.safetensors");
    let written = refused(&["export", &text(), "--out", &file.display().to_string()]);
    assert_eq!(written.0, Some(0), "{}", written.1);
    let committed = here().join("users/macros/tiny.safetensors");
    assert_eq!(std::fs::read(&file).expect("written"), std::fs::read(committed).expect("committed"));
    // With weights, a seed says nothing: the file counts.
    let named = format!("{}?weights=tiny.safetensors", text());
    let texts = [&text(), &named].map(|model| {
        let report = mobilec(&["report", model, "--target", "portable", "--graph"]);
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
        String::from_utf8_lossy(&report.stdout).into_owned()
    });
    assert_eq!(texts[0], texts[1]);
    let (status, errors) = refused(&["report", &format!("{}?weights=tiny.safetensors&classes=5", text())]);
    assert_eq!(status, Some(1));
    assert!(errors.contains("dense_3.weight") && errors.contains("dense_3.bias"), "{errors}");
}

#[test]
fn a_failure_leaves_the_old_module_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let broken = folder.path().join("broken.onnx");
    std::fs::write(&broken, [0; 100]).expect("writable");
    let module = folder.path().join("broken.rs");
    std::fs::write(&module, "old").expect("writable");
    let (status, _) =
        refused(&["compile", &broken.display().to_string(), "--target", "portable", "--out", &out]);
    assert_eq!(status, Some(1));
    assert_eq!(std::fs::read_to_string(&module).expect("still there"), "old");
    let files = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(files, 2, "nothing else was left behind");
}

#[test]
fn errors_say_what_is_wrong_and_what_helps() {
    let missing = Path::new("no-such-model.onnx").display().to_string();
    let labels = here().join("digits/labels.txt").display().to_string();
    for (arguments, status, words) in [
        (vec!["report", &missing], 1, vec!["no-such-model.onnx"]),
        (vec!["report", &labels], 1, vec!["labels.txt"]),
        (vec!["report", &digits(), "--target", "vax"], 2, vec!["vax", "portable"]),
        (vec!["run", &digits()], 2, vec!["--input"]),
        (vec!["run", &digits(), "--input", &labels], 1, vec!["labels.txt", "PNG"]),
        (
            vec!["run", &digits(), "--input", &picture(), "--normalize", "x"],
            2,
            vec!["--normalize", "imagenet"],
        ),
        (vec!["compile", &digits()], 2, vec!["--target"]),
        (vec!["frobnicate"], 2, vec!["frobnicate"]),
        (vec!["report", &digits(), "--input-shape", "nope=1,2"], 1, vec!["nope", "image"]),
        (vec!["bench", &digits(), "--threads", "4"], 2, vec!["--threads"]),
    ] {
        let (got, errors) = refused(&arguments);
        assert_eq!(got, Some(status), "{arguments:?}: {errors}");
        for word in words {
            assert!(errors.contains(word), "{arguments:?} should say {word}: {errors}");
        }
    }
}

#[test]
fn any_working_directory_will_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(command())
        .args(["run", &digits(), "--input", &picture(), "--target", "portable"])
        .current_dir(folder.path())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn report_splits_the_memory_of_the_smallest_plan() {
    let peak = |more: &[&str]| {
        let network = "zoo:MobileNetV2?alpha=0.35&rho=96";
        let report = json(&[&["report", network, "--target", "portable", "--json"], more].concat());
        let bytes = |field: &str| report[field].as_u64().expect("a number of bytes");
        let parts = ["input_bytes", "output_bytes", "other_bytes"].map(bytes);
        assert_eq!(bytes("peak_ram_bytes"), parts.iter().sum::<u64>(), "{more:?}");
        assert!(bytes("arena_lower_bound_bytes") <= bytes("arena_bytes"), "{more:?}");
        (bytes("peak_ram_bytes"), parts[0], report["assumed_dtype"].clone())
    };
    let (whole, picture, _) = peak(&["--layer-by-layer"]);
    let (least, stored, _) = peak(&["--max-ram", "min"]);
    assert_eq!((picture, stored), (96 * 96 * 3 * 4, 96 * 96 * 3 * 4));
    assert!(least < whole / 4, "{least} of {whole}");
    let (by_rows, ring, _) = peak(&["--max-ram", "min", "--input-rows"]);
    assert!(by_rows < least - stored / 4 && ring == 3 * 96 * 3 * 4, "{by_rows}, {ring}");
    let (estimate, _, dtype) = peak(&["--assume-dtype", "i8"]);
    assert!(estimate < least / 3 && dtype == "i8", "{estimate}, {dtype}");
}

#[test]
fn a_limit_that_is_too_small_is_refused_with_the_least_and_what_needs_it() {
    let network = "zoo:MobileNetV2?alpha=0.35&rho=96";
    let report = |cap: &str| refused(&["report", network, "--target", "portable", "--max-ram", cap]);
    let (status, text) = report("100K");
    assert_eq!(status, Some(1), "{text}");
    for told in ["needs at least ", "102400 are allowed", "layers from conv_0 to"] {
        assert!(text.contains(told), "{told} is missing in {text}");
    }
    let least = text.split("at least ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    assert_eq!(report(least).0, Some(0), "what is said to be needed is enough");
    let (status, text) = report("plenty");
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("--max-ram plenty: it takes bytes"), "{text}");
}

#[test]
fn rows_give_the_scores_of_the_whole_picture() {
    let scores = |more: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().join("scores.npy");
        let output_name = output.display().to_string();
        let run = ["run", &digits(), "--input", &picture(), "--output", &output_name, "--json"];
        json(&[&run, more].concat());
        mobilec_tests::emitted::npy(&output).to_f32()
    };
    let whole = scores(&["--layer-by-layer"]);
    assert_eq!(scores(&["--input-rows"]), whole);
    assert_eq!(scores(&["--max-ram", "min", "--input-rows"]), whole);
    assert_eq!(scores(&["--max-ram", "min"]), whole);
}

#[test]
fn rows_are_refused_where_a_layer_needs_the_whole_picture() {
    let network = "zoo:MobileNetV2?layout=nchw&rho=96";
    let (status, text) = refused(&["report", network, "--target", "portable", "--input-rows"]);
    assert_eq!(status, Some(1), "{text}");
    for told in ["rows of the input input cannot arrive one by one", "needs it whole", "--pixels"] {
        assert!(text.contains(told), "{told} is missing in {text}");
    }
    let pixels =
        ["report", network, "--target", "portable", "--input-rows", "--pixels", "imagenet", "--json"];
    assert_eq!(json(&pixels)["input_bytes"].as_u64().map(|bytes| bytes % (96 * 3)), Some(0));
}
