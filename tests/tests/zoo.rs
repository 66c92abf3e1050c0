//! The networks of the zoo: their parameters and multiply-adds, against a count that shares nothing with
//! this one; and what they compute, against ONNX Runtime on their exports.

use mobilec::driver::{self, Language};
use mobilec::dsl::{Kind, Network};
use mobilec::files;
use mobilec::onnx::ImportOptions;
use mobilec::ops::Op;
use mobilec::tensor::Tensor;
use mobilec::zoo::{self, VARIANTS};
use mobilec_tests::emitted::{compile, run};
use mobilec_tests::oracle::Oracle;
use serde_json::Value;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counted from the networks' published tables by an independent program.
fn expected(list: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(mobilec_tests::here().join("zoo/expected.json")).expect("the file");
    let mut all: Value = serde_json::from_str(&text).expect("JSON");
    match all[list].take() {
        Value::Array(rows) => rows,
        other => panic!("{list} is {other}"),
    }
}

fn build(name: &str, options: &[(&str, &Value)]) -> Network {
    let options: Vec<(String, String)> =
        options.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    let entry = zoo::by_name(name).unwrap_or_else(|error| panic!("{error}"));
    entry.describe(&options).unwrap_or_else(|error| panic!("{error}")).network
}

#[test]
fn parameters_and_macs_of_every_variant() {
    let rows = expected("networks");
    assert_eq!(rows.len(), 110);
    assert_eq!(rows.len(), VARIANTS.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let name = row["name"].as_str().expect("a name");
        let known = |v: &zoo::Variant| v.name == name && row["alpha"] == v.alpha && row["rho"] == v.rho;
        assert!(VARIANTS.iter().any(known), "{row}");
        let network = build(name, &[("alpha", &row["alpha"]), ("rho", &row["rho"])]);
        let found = (network.count_parameters() as u64, network.graph.macs());
        assert_eq!(network.graph.parameters() as u64, found.0, "{row}");
        if (Some(found.0), Some(found.1)) != (row["parameters"].as_u64(), row["macs"].as_u64()) {
            wrong.push(format!("{row}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Stride and dilation of each block that has a kernel of several taps; attention's own do not count.
fn strides(network: &Network) -> Vec<Option<[usize; 2]>> {
    let mut blocks = vec![None; network.blocks.len()];
    for parameter in &network.parameters {
        let constant = match parameter.kind {
            Kind::Conv(node) | Kind::Depthwise(node) => node,
            Kind::Dense(_) | Kind::Bias(_) | Kind::Norm { .. } | Kind::LayerScale(_) => continue,
        };
        let window = match network.graph.op(network.graph.users(constant)[0]) {
            Op::Conv2d(op) => op.window,
            Op::Depthwise(op) => op.window,
            other => panic!("{other:?} has a convolution's weight"),
        };
        if window.taps() > 1 && network.blocks[parameter.block].word != "mqa" {
            let [stride, dilation] = blocks[parameter.block].unwrap_or([1, 1]);
            blocks[parameter.block] = Some([stride.max(window.stride[0]), dilation.max(window.dilation[0])]);
        }
    }
    let convolves = |word| !matches!(word, "global_avg_pool" | "dense");
    let placed = network.blocks.iter().zip(blocks).filter(|(block, _)| convolves(block.word));
    placed.map(|(_, placed)| placed).collect()
}

#[test]
fn output_strides_become_dilations_as_in_tensorflow() {
    for row in expected("output_strides") {
        let network =
            build(row["name"].as_str().expect("a name"), &[("output_stride", &row["output_stride"])]);
        let (found, wanted) = (strides(&network), row["blocks"].as_array().expect("blocks"));
        assert_eq!(found.len(), wanted.len(), "{row}");
        for (block, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!(found.is_none_or(|found| serde_json::json!(found) == *wanted), "block {block} of {row}");
        }
    }
}

/// The bound of the project: 1e-4 of the largest absolute output. Sums of some thousand products through
/// fifty to a hundred layers stay below 1e-5.
const TOLERANCE: f64 = 1e-4;

/// A network of the zoo with random weights, as it is emitted and as ONNX Runtime runs its export.
fn check_against_onnx_runtime(name: &str, options: &str, oracle: &Mutex<Oracle>) -> Result<(), String> {
    let word = format!("zoo:{name}?seed=1&{options}");
    let show = |error: mobilec::Error| format!("{word}: {error}");
    let model = files::named(&word, ImportOptions::default()).map_err(show)?;
    let Language::Text(given) = &model.language else { return Err(format!("{word} is no text")) };
    let (network, _) = driver::network(&model, given).map_err(show)?;
    let exported = network.to_onnx().map_err(|fault| format!("{word}: {fault}"))?;
    let input = noise(&network.graph.ty(network.graph.inputs()[0]).shape);
    let wanted = oracle.lock().map_err(|_| "the oracle is gone")?.run(&exported, &input);
    let wanted = wanted.map_err(|why| format!("{word}: {why}"))?;
    drop((network, exported));
    let got = run(&compile(&model, "x86-64-avx2"), input.bytes());
    let pairs = got.iter().zip(&wanted);
    let worst = pairs.map(|(got, wanted)| distance(got, wanted)).fold(0.0, f64::max);
    if got.len() == wanted.len() && worst <= TOLERANCE {
        return Ok(());
    }
    Err(format!("{word}: {} outputs of {}, {worst:e} apart", got.len(), wanted.len()))
}

/// Numbers between −1 and 1, always the same.
fn noise(shape: &[usize]) -> Tensor {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_f32(shape, &values)
}

/// The largest difference, of the largest absolute wanted value; infinite where something is no number.
fn distance(got: &Tensor, wanted: &Tensor) -> f64 {
    let (got, wanted) = (got.to_f64(), wanted.to_f64());
    let scale = wanted.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let errors = got.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
    let worst = errors.fold(0.0, |m: f64, e| if e.is_finite() { m.max(e) } else { f64::INFINITY });
    if got.len() == wanted.len() && scale > 0.0 { worst / scale } else { f64::INFINITY }
}

/// Every network, two at a time.
fn check_all(test: &str, options: &[(&str, &str)]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let Some(oracle) = Oracle::start(&folder) else {
        return mobilec_tests::skip(test, "MOBILEC_PYTHON names no Python with ONNX Runtime");
    };
    let (oracle, next, wrong) = (Mutex::new(oracle), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, options)) = options.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = check_against_onnx_runtime(name, options, &oracle) {
                        wrong.lock().expect("no worker panics").push(why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no worker panics");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_network_agrees_with_onnx_runtime_at_a_low_resolution() {
    let layout = |name: &str| if name.starts_with("timm_") { "rho=96&layout=nchw" } else { "rho=96" };
    let all: Vec<(&str, &str)> = zoo::ALL.iter().map(|entry| (entry.name, layout(entry.name))).collect();
    check_all("low_resolution", &all);
}

#[test]
fn other_widths_strides_and_outputs_agree_with_onnx_runtime() {
    check_all(
        "options",
        &[
            ("MobileNetV1", "alpha=0.25&rho=97"),
            ("MobileNetV2", "alpha=0.35&rho=96&padding=symmetric&outputs=p2,p3,p4,p5&layout=nchw"),
            ("MobileNetV3Small", "alpha=0.75&rho=129&classes=10"),
            ("MobileNetV3LargeDetection", "alpha=0.5&rho=128&outputs=p4,p5"),
            ("MobileNetMultiAVGSeg", "alpha=0.5&rho=128&output_stride=16&outputs=p5,p2"),
            ("MobileNetV4ConvSmall", "alpha=0.35&rho=128&output_stride=8&outputs=p5"),
        ],
    );
}

#[test]
fn every_network_agrees_with_onnx_runtime_at_its_own_resolution() {
    if std::env::var_os("MOBILEC_FULL").is_none() {
        return mobilec_tests::skip("full_resolution", "it takes minutes; MOBILEC_FULL=1 runs it");
    }
    let all: Vec<(&str, &str)> = zoo::ALL.iter().map(|entry| (entry.name, "layout=nhwc")).collect();
    check_all("full_resolution", &all);
}
