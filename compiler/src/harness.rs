//! Builds an emitted module into a small program, with cargo and in a cache, and runs it.
//!
//! The program knows four verbs: `run`, `observe`, `bench`, `profile`; tensors travel in files as plain
//! little-endian bytes, one sample behind the other. The runtime's source travels inside this crate, so
//! nothing is fetched and no working directory matters. A program that was built once is found again by
//! the content of everything that it was made from.

mod program;

use crate::driver::{Compiled, sha256};
use crate::error::{Error, Fault, Result};
use crate::files;
use mobilec_targets::Target;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

/// The runtime's files, by path below its folder.
const RUNTIME: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/runtime_source.rs"));

/// A built program around one emitted module.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
}

/// What a program says of its speed.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Nanoseconds of each inference, in the order in which they ran.
    pub nanoseconds: Vec<u64>,
    /// Billions of floating-point operations a second that the core can do at most, measured in the
    /// same process; 0 where the program does not know how.
    pub peak_gflops: f64,
    /// With `profile`: for each layer the least nanoseconds.
    pub layers: Vec<u64>,
}

/// The target that suits this machine best.
pub fn native() -> &'static Target {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("fma")
    {
        return &mobilec_targets::X86_64_AVX512;
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avxvnni") && is_x86_feature_detected!("fma") {
        return &mobilec_targets::X86_64_AVX_VNNI;
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        return &mobilec_targets::X86_64_AVX2;
    }
    &mobilec_targets::PORTABLE
}

/// Where programs are kept: `$MOBILEC_CACHE_DIR`, else `mobilec` in the user's cache folder.
pub fn cache_dir() -> PathBuf {
    if let Some(folder) = env::var_os("MOBILEC_CACHE_DIR") {
        return PathBuf::from(folder);
    }
    let home = || env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(PathBuf::from);
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| home().map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("mobilec")
}

/// Builds a compiled model, or finds the program that was built from the same content before.
///
/// `say` is told when cargo starts, which takes seconds.
///
/// # Errors
///
/// cargo is missing or fails; what it printed is in the error.
pub fn build(compiled: &Compiled, observe: bool, say: &mut dyn FnMut(&str)) -> Result<Program> {
    build_in(&cache_dir(), compiled, observe, say)
}

/// Like [`build`], with another folder for programs.
///
/// # Errors
///
/// As [`build`].
pub fn build_in(
    cache: &Path,
    compiled: &Compiled,
    observe: bool,
    say: &mut dyn FnMut(&str),
) -> Result<Program> {
    let module = compiled.module();
    let main = program::source(&compiled.plan, observe);
    let runtime: String = RUNTIME.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    let content = [
        module.source.as_bytes(),
        &module.weights,
        main.as_bytes(),
        runtime.as_bytes(),
        flags.as_bytes(),
        program::MANIFEST.as_bytes(),
    ];
    let digest = sha256(content.map(sha256).concat().as_bytes());
    let name = format!("net-{}", &digest[..16]);
    let path = cache.join("target/release").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    let stamp = cache.join("built").join(&name);
    if path.exists() && stamp.exists() {
        return Ok(Program { path });
    }
    say("building with cargo");
    let runtime_dir = unpack_runtime(cache, &sha256(runtime.as_bytes())[..16])?;
    let folder = cache.join("programs").join(&name);
    make_dir(&folder.join("src"))?;
    let manifest = program::MANIFEST
        .replace("{name}", &name)
        .replace("{runtime}", &runtime_dir.to_string_lossy().replace('\\', "/"));
    files::write_if_changed(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    files::write_if_changed(&folder.join("src/net.weights.bin"), &module.weights)?;
    files::write_if_changed(&folder.join("src/net.rs"), module.source.as_bytes())?;
    files::write_if_changed(&folder.join("src/main.rs"), main.as_bytes())?;
    cargo(&folder, cache)?;
    make_dir(&cache.join("built"))?;
    files::write(&stamp, b"")?;
    Ok(Program { path })
}

/// The name under which a module must be compiled for [`build`].
pub const MODULE_NAME: &str = "net";

fn unpack_runtime(cache: &Path, digest: &str) -> Result<PathBuf> {
    let folder = cache.join(format!("runtime-{digest}"));
    for (name, text) in RUNTIME {
        let path = folder.join(name);
        make_dir(path.parent().unwrap_or(&folder))?;
        files::write_if_changed(&path, text.as_bytes())?;
    }
    files::write_if_changed(&folder.join("Cargo.toml"), program::RUNTIME_MANIFEST.as_bytes())?;
    Ok(folder)
}

fn make_dir(path: &Path) -> Result {
    fs::create_dir_all(path).map_err(|error| Error::io(path, error))
}

fn cargo(folder: &Path, cache: &Path) -> Result {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&program)
        .args(["build", "--release", "--offline", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", cache.join("target"))
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // A build script that clippy runs would have the program linted.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            let help = "mobilec builds the emitted module with cargo: install Rust, or set CARGO to its path";
            Error::whole(
                "cargo could not be run",
                Fault::target(format!("{}: {error}", program.to_string_lossy())).help(help),
            )
        })?;
    succeeded(&output, "the emitted module could not be built")
}

fn succeeded(output: &Output, what: &str) -> Result {
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::whole(what, Fault::bug(format!("{}\n{text}", output.status))))
}

impl Program {
    /// Runs every sample of `input` and returns all outputs, sample after sample and output after output,
    /// with the nanoseconds of each.
    ///
    /// # Errors
    ///
    /// The program could not be run or ended with an error.
    pub fn run(&self, input: &[u8]) -> Result<(Vec<u8>, Vec<u64>)> {
        let (bytes, text) = self.with_files("run", input, &[])?;
        Ok((bytes, numbers(&text, "ns")))
    }

    /// Runs one sample and returns each layer's number and value.
    ///
    /// # Errors
    ///
    /// As [`Program::run`].
    pub fn observe(&self, input: &[u8]) -> Result<Vec<(usize, Vec<u8>)>> {
        let (bytes, _) = self.with_files("observe", input, &[])?;
        let mut layers: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut rest = &bytes[..];
        while let Some((head, tail)) = rest.split_first_chunk::<16>() {
            let word =
                |at: usize| head[at..at + 8].iter().rev().fold(0_usize, |n, &b| n << 8 | usize::from(b));
            let (layer, len) = (word(0), word(8).min(tail.len()));
            // A layer that runs band by band is shown in pieces.
            match layers.iter_mut().find(|(number, _)| *number == layer) {
                Some((_, value)) => value.extend_from_slice(&tail[..len]),
                None => layers.push((layer, tail[..len].to_vec())),
            }
            rest = &tail[len..];
        }
        Ok(layers)
    }

    /// Times one sample for about `seconds`, by layer with `profile`.
    ///
    /// # Errors
    ///
    /// As [`Program::run`].
    pub fn time(&self, input: &[u8], seconds: f64, profile: bool) -> Result<Timing> {
        let verb = if profile { "profile" } else { "bench" };
        let (_, text) = self.with_files(verb, input, &[&seconds.to_string()])?;
        let peak = text.lines().find_map(|line| line.strip_prefix("peak ")).and_then(|v| v.parse().ok());
        Ok(Timing {
            nanoseconds: numbers(&text, "ns"),
            peak_gflops: peak.unwrap_or(0.0),
            layers: numbers(&text, "layer"),
        })
    }

    fn with_files(&self, verb: &str, input: &[u8], more: &[&str]) -> Result<(Vec<u8>, String)> {
        let folder = env::temp_dir().join(format!("mobilec-{}-{}", std::process::id(), unique()));
        make_dir(&folder)?;
        let outcome = self.with_files_in(&folder, verb, input, more);
        let _ = fs::remove_dir_all(&folder);
        outcome
    }

    fn with_files_in(
        &self,
        folder: &Path,
        verb: &str,
        input: &[u8],
        more: &[&str],
    ) -> Result<(Vec<u8>, String)> {
        let (from, to) = (folder.join("input"), folder.join("output"));
        files::write(&from, input)?;
        let output = Command::new(&self.path)
            .arg(verb)
            .args([&from, &to])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::io(&self.path, error))?;
        succeeded(&output, "the compiled network ended with an error")?;
        let bytes = fs::read(&to).unwrap_or_default();
        Ok((bytes, String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

/// A number that no other call in this process gets.
fn unique() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn numbers(text: &str, key: &str) -> Vec<u64> {
    text.lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .filter_map(|value| value.parse().ok())
        .collect()
}
