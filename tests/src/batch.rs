//! Builds many emitted modules into one program and runs each of them: a build for each would take seconds times
//! their number.

use mobilec::codegen::output_fields;
use mobilec::driver::Compiled;
use mobilec::plan::Port;
use mobilec::tensor::DType;
use std::borrow::Borrow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Runs `cases`: modules that were compiled under the names `net0`, `net1` … and the input bytes of their samples,
/// one behind the other. Returns the output bytes of each. The program is built in `target/batch/NAME`.
///
/// # Panics
///
/// On modules that do not build or run.
pub fn run<C: Borrow<Compiled>>(name: &str, cases: &[(C, Vec<u8>)]) -> Vec<Vec<u8>> {
    let folder = written(name, cases);
    succeeds(cargo(&folder, &["run"]).current_dir(&folder), name);
    outputs(cases, &fs::read(folder.join("outputs.bin")).expect("outputs.bin"))
}

/// As [`run`], on an emulated CPU with AVX-512 where this one has none (`tests/avx512`).
///
/// # Panics
///
/// As [`run`].
pub fn run_on_avx512<C: Borrow<Compiled>>(name: &str, cases: &[(C, Vec<u8>)]) -> Vec<Vec<u8>> {
    if crate::has_avx512() {
        return run(name, cases);
    }
    let folder = written(name, cases);
    let target = "x86_64-unknown-linux-gnu";
    let mut build = cargo(&folder, &["build", "--features", "embedded", "--target", target]);
    succeeds(build.env("RUSTFLAGS", "-C target-feature=+crt-static"), name);
    let program = folder.join(format!("../target/{target}/debug/batch-{name}"));
    let output = Command::new(crate::here().join("avx512/run.sh")).arg(program).output().expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let printed = text.lines().find_map(|line| line.strip_prefix("outputs "));
    let digits = printed.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let byte = |at: usize| digits.get(at..at + 2).and_then(|byte| u8::from_str_radix(byte, 16).ok());
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map_while(byte).collect();
    outputs(cases, &bytes)
}

/// The program's folder, with its text and the inputs in it.
fn written<C: Borrow<Compiled>>(name: &str, cases: &[(C, Vec<u8>)]) -> PathBuf {
    let folder = crate::here().join("../target/batch").join(name);
    write(name, &folder, cases);
    let inputs: Vec<u8> = cases.iter().flat_map(|(_, input)| input.iter().copied()).collect();
    fs::write(folder.join("inputs.bin"), inputs).expect("inputs.bin");
    folder
}

fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).args(["--quiet", "--offline", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    command.env("CARGO_TARGET_DIR", folder.join("../target"));
    command
}

fn succeeds(command: &mut Command, name: &str) {
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "the modules of {name} do not build or run");
}

/// The output bytes of each case.
fn outputs<C: Borrow<Compiled>>(cases: &[(C, Vec<u8>)], mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut take = |(compiled, input): &(C, Vec<u8>)| {
        let plan = &compiled.borrow().plan;
        let len: usize = plan.outputs.iter().map(|port| port.ty.bytes()).sum();
        let (head, tail) = rest.split_at(len * samples(compiled.borrow(), input));
        rest = tail;
        head.to_vec()
    };
    cases.iter().map(&mut take).collect()
}

/// How many samples the input bytes of a module are.
fn samples(compiled: &Compiled, input: &[u8]) -> usize {
    let len: usize = compiled.plan.inputs.iter().map(|port| port.ty.bytes()).sum();
    input.len().checked_div(len).unwrap_or(1)
}

fn write<C: Borrow<Compiled>>(name: &str, folder: &Path, cases: &[(C, Vec<u8>)]) {
    let source = folder.join("src");
    fs::create_dir_all(&source).expect("a folder in target");
    let runtime = crate::here().join("../runtime");
    let runtime = runtime.to_string_lossy().replace('\\', "/");
    let manifest = MANIFEST.replace("{name}", name).replace("{runtime}", &runtime);
    fs::write(folder.join("Cargo.toml"), manifest).expect("Cargo.toml");
    for (n, (compiled, _)) in cases.iter().enumerate() {
        let module = compiled.borrow().module();
        fs::write(source.join(format!("net{n}.rs")), module.source).expect("a module");
        fs::write(source.join(format!("net{n}.weights.bin")), module.weights).expect("weights");
    }
    fs::write(source.join("main.rs"), main(cases)).expect("main.rs");
}

/// The program: reads all inputs, calls all modules, writes all outputs.
fn main<C: Borrow<Compiled>>(cases: &[(C, Vec<u8>)]) -> String {
    let mut modules = String::new();
    let mut calls = String::new();
    for (n, (compiled, input)) in cases.iter().enumerate() {
        let _ = writeln!(modules, "#[rustfmt::skip]\nmod net{n};");
        let samples = samples(compiled.borrow(), input);
        let _ = writeln!(calls, "    (0..{samples}).for_each(|_| call{n}(bytes, &mut out));");
        modules.push_str(&call(n, compiled.borrow()));
    }
    MAIN.replace("{modules}", &modules).replace("{calls}", &calls)
}

fn call(n: usize, compiled: &Compiled) -> String {
    let plan = &compiled.plan;
    let mut text = format!("fn call{n}(bytes: &mut &[u8], out: &mut Vec<u8>) {{\n");
    let mut arguments = String::new();
    for (i, port) in plan.inputs.iter().enumerate() {
        let (element, len) = (element(port), port.ty.elements());
        let _ = writeln!(text, "    let mut in{i}: Box<[{element}; {len}]> = zeros();");
        let _ = writeln!(text, "    fill!(*in{i}, {element}, bytes);");
        let _ = write!(arguments, ", &in{i}");
    }
    let _ = writeln!(text, "    let mut arena = net{n}::Arena::boxed();");
    let _ = writeln!(text, "    let outputs = net{n}::run(&mut arena{arguments});");
    let fields = output_fields(plan);
    for field in &fields {
        let field = if fields.len() == 1 { String::new() } else { format!(".{field}") };
        let _ = writeln!(text, "    store!(out, outputs{field});");
    }
    text + "}\n"
}

fn element(port: &Port) -> &'static str {
    match port.ty.dtype {
        DType::Bool => "u8",
        DType::F32 | DType::I8 | DType::U8 | DType::I32 | DType::I64 => port.ty.dtype.rust(),
    }
}

const MANIFEST: &str = r#"[package]
name = "batch-{name}"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
mobilec-runtime = { path = "{runtime}", features = ["alloc"] }

[features]
# Without files: the inputs are part of the program, and outputs are printed.
embedded = []

[profile.dev]
opt-level = 0
debug = false
incremental = false

[profile.dev.package.mobilec-runtime]
opt-level = 2

[workspace]
"#;

const MAIN: &str = r#"//! Runs modules one after the other.
#![allow(dead_code, unused)]

macro_rules! fill {
    ($array:expr, $T:ty, $bytes:expr) => {
        for value in $array.iter_mut() {
            let (head, tail) = $bytes.split_at(size_of::<$T>());
            *value = <$T>::from_le_bytes(head.try_into().unwrap());
            *$bytes = tail;
        }
    };
}

macro_rules! store {
    ($out:expr, $values:expr) => {
        for value in $values {
            $out.extend_from_slice(&value.to_le_bytes());
        }
    };
}

fn zeros<T: Copy + Default, const N: usize>() -> Box<[T; N]> {
    vec![T::default(); N].into_boxed_slice().try_into().ok().unwrap()
}

{modules}

fn main() {
    #[cfg(feature = "embedded")]
    let input = include_bytes!("../inputs.bin");
    #[cfg(not(feature = "embedded"))]
    let input = std::fs::read("inputs.bin").unwrap();
    let bytes = &mut &input[..];
    let mut out = Vec::new();
{calls}
    #[cfg(feature = "embedded")]
    println!("outputs {}", out.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    #[cfg(not(feature = "embedded"))]
    std::fs::write("outputs.bin", out).unwrap();
}
"#;
