//! The digits network on other CPUs under QEMU: the portable module, in floats and quantised, with the host's
//! answers bit by bit.
//!
//! Needs `tests/cross/setup.sh`; `MOBILEC_CROSS_ENV` names the file of settings that it writes.

use mobilec::driver::{self, Options};
use mobilec::plan::{Inputs, Objective};
use mobilec::tensor::Tensor;
use mobilec_tests::emitted::{compile, npy, open, run, target};
use mobilec_tests::{here, skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The network in floats.
const FLOAT: &str = "digits";
/// The same on 8-bit codes.
const INT8: &str = "digits_int8";

/// Writes the portable module of a digits network to a folder of its own.
fn module(network: &str, inputs: Inputs) -> PathBuf {
    let folder = format!("{network}_{inputs:?}").to_lowercase();
    let folder = here().join("../target/devices").join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let model = open(&here().join(format!("digits/{network}.onnx")), &[]);
    let plain = Options::new(target("portable"), "digits");
    let options = match inputs {
        Inputs::Borrowed => plain,
        Inputs::Arena | Inputs::Rows => Options { objective: Objective::Memory, inputs, ..plain },
    };
    let compiled = driver::compile(&model, &options).expect("it compiles");
    let module = compiled.module();
    mobilec::files::write_if_changed(&folder.join("digits.rs"), module.source.as_bytes()).expect("written");
    mobilec::files::write_if_changed(&folder.join("digits.weights.bin"), &module.weights).expect("written");
    std::fs::canonicalize(folder).expect("it exists")
}

/// Ten scores for each picture, from this machine.
fn host_scores(network: &str, target: &str) -> Vec<Vec<u32>> {
    let compiled = compile(&open(&here().join(format!("digits/{network}.onnx")), &[]), target);
    let pixels = npy(&here().join("digits/inputs.npy")).to_f32();
    let values: Vec<f32> = pixels.iter().map(|v| v / 255.0).collect();
    let outputs = run(&compiled, Tensor::from_f32([40, 1, 28, 28], &values).bytes());
    let bits: Vec<u32> = outputs[0].to_f32().iter().map(|score| score.to_bits()).collect();
    bits.chunks(10).map(<[u32]>::to_vec).collect()
}

/// Lines of a device program: `NUMBER c0a1b2c3=-5.0530 …`; remarks start with `#`.
fn device_scores(text: &str) -> Vec<Vec<u32>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.split_whitespace()
                .filter_map(|word| word.split_once('='))
                .map(|(bits, _)| u32::from_str_radix(bits, 16).expect("hexadecimal"))
                .collect()
        })
        .collect()
}

/// Programs of one device are built and run in one folder, one after the other.
static FOLDERS: Mutex<()> = Mutex::new(());

fn check(device: &str, network: &str, inputs: Inputs) {
    let _alone = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(env) = std::env::var_os("MOBILEC_CROSS_ENV").filter(|env| Path::new(env).exists()) else {
        return skip(device, "MOBILEC_CROSS_ENV names no file; run tests/cross/setup.sh");
    };
    let output = Command::new("sh")
        .args(["-c", r#". "$0" && exec cargo run --release --quiet --features "$1""#])
        .arg(&env)
        .arg(if inputs == Inputs::Rows { "rows" } else { "" })
        .current_dir(here().join(device))
        .env("MOBILEC_MODULE_DIR", module(network, inputs))
        // The settings of the cargo and rustup that run this test are not the device's.
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .expect("sh runs");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{device}: {}\n{text}\n{errors}", output.status);
    assert_eq!(device_scores(&text), host_scores(network, "portable"), "{device}: {text}");
}

#[test]
fn cortex_m4_gives_the_hosts_scores() {
    check("firmware", FLOAT, Inputs::Borrowed);
}

#[test]
fn cortex_m4_gives_the_hosts_scores_row_by_row() {
    check("firmware", FLOAT, Inputs::Rows);
}

#[test]
fn aarch64_gives_the_hosts_scores() {
    check("aarch64", FLOAT, Inputs::Borrowed);
}

#[test]
fn cortex_m4_gives_the_hosts_int8_scores() {
    check("firmware", INT8, Inputs::Borrowed);
}

#[test]
fn aarch64_gives_the_hosts_int8_scores() {
    check("aarch64", INT8, Inputs::Borrowed);
}

#[test]
fn every_instruction_set_of_this_machine_gives_the_same_int8_scores() {
    let portable = host_scores(INT8, "portable");
    if std::env::consts::ARCH == "x86_64" {
        assert_eq!(host_scores(INT8, "x86-64-avx2"), portable);
    }
    let labels = (0..10).flat_map(|class| [class; 4]);
    let right = portable.iter().zip(labels).filter(|(scores, label)| {
        let scores: Vec<f32> = scores.iter().map(|&bits| f32::from_bits(bits)).collect();
        (0..10).all(|other| scores[other] <= scores[*label])
    });
    assert!(right.count() >= 38, "in floats it is 39 of 40");
}
