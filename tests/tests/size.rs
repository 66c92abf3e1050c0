//! What the README says of a small program's size and memory: that of MobileNetV2 with its weights inside, which
//! `tests/peers/run.py --start` measures too. Its time is not looked at.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use mobilec::driver::{self, Options};
use mobilec::onnx::ImportOptions;
use mobilec::plan::{Inputs, Objective};
use mobilec_targets::Target;
use mobilec_tests::emitted::target;
use mobilec_tests::{has_avx512, here};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of the program without its weights.
const PROGRAM_BYTES: u64 = 600_000;

/// Bytes that it ever holds, 14.0 million of them weights.
const PEAK_BYTES: u64 = 18_000_000;

/// The crate that is built around the module: the program of `tests/peers`, with a build script that finds what is
/// compiled already.
const MANIFEST: &str = r#"[package]
name = "small"
version = "0.0.0"
edition = "2024"

[[bin]]
name = "small"
path = "{tests}/peers/rust/start/src/main.rs"

[dependencies]
driver = { path = "{tests}/peers/rust/driver" }
mobilec-runtime = { path = "{tests}/../runtime", features = ["alloc"] }

[profile.release]
lto = "fat"
codegen-units = 1
panic = "abort"
strip = true

[workspace]
"#;

const BUILD: &str = r#"fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    for name in ["net.rs", "net.weights.bin"] {
        println!("cargo::rerun-if-changed={name}");
        std::fs::copy(name, format!("{out}/{name}")).unwrap();
    }
}
"#;

#[test]
fn a_program_with_mobilenet_v2_inside_is_small() {
    for target in [target("x86-64-avx2"), target("x86-64-avx512")] {
        let (program, weight_bytes) = build(target);
        let bytes = fs::metadata(&program).expect("it was built").len() - weight_bytes;
        println!("{}: {bytes} bytes of program", target.name);
        assert!(bytes <= PROGRAM_BYTES, "{}: {bytes} bytes of program", target.name);
        if target.name == "x86-64-avx2" && is_x86_feature_detected!("avx2") || has_avx512() {
            let peak = peak_bytes(&program);
            println!("{}: {peak} bytes held", target.name);
            assert!(peak > weight_bytes && peak <= PEAK_BYTES, "{}: {peak} bytes held", target.name);
        }
    }
}

/// The program for a target, and how many bytes of it are weights.
fn build(target: &'static Target) -> (PathBuf, u64) {
    let network = "zoo:MobileNetV2?layout=nchw";
    let model = mobilec::files::zoo(network, &here(), ImportOptions::default()).expect("it is in the zoo");
    let options =
        Options { objective: Objective::Memory, inputs: Inputs::Arena, ..Options::new(target, "net") };
    let module = driver::compile(&model, &options).expect("it compiles").module();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("size");
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("the disk has room");
    write("Cargo.toml", MANIFEST.replace("{tests}", env!("CARGO_MANIFEST_DIR")).as_bytes());
    write("build.rs", BUILD.as_bytes());
    write("net.rs", module.source.as_bytes());
    write("net.weights.bin", &module.weights);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline", "--quiet"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    (folder.join("target/release/small"), module.weights.len() as u64)
}

/// What the program says that it held, after one inference.
fn peak_bytes(program: &Path) -> u64 {
    let (input, output) = (program.with_extension("input"), program.with_extension("output"));
    fs::write(&input, vec![0; 3 * 224 * 224 * 4]).expect("the disk has room");
    let ran =
        Command::new(program).args(["", ""]).args([&input, &output]).arg("0").output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    let kib = said.split_once("\"rss_kib\": ").and_then(|(_, rest)| rest.split_once(','));
    1024 * kib.and_then(|(kib, _)| kib.parse::<u64>().ok()).expect("it says how much it held")
}
