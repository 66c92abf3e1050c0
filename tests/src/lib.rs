//! Helpers that the tests share.

pub mod batch;
pub mod emitted;
pub mod networks;
pub mod node_tests;
pub mod onnx;
pub mod oracle;

use std::io::Write as _;
use std::path::PathBuf;

/// The folder of this crate.
pub fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder that an environment variable names; relative ones are relative to the workspace.
pub fn folder(variable: &str) -> Option<PathBuf> {
    let path = here().join("..").join(std::env::var_os(variable)?);
    path.is_dir().then_some(path)
}

/// Says that a test is skipped, past the test harness's capture, so that nobody takes it for passed.
pub fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}

/// Whether this CPU executes what is emitted for `x86-64-avx512`, and `MOBILEC_EMULATE` does not ask for the emulated
/// one in spite of that.
pub fn has_avx512() -> bool {
    std::env::var_os("MOBILEC_EMULATE").is_none()
        && mobilec::harness::native().name == mobilec_targets::X86_64_AVX512.name
}

/// The `mobilec` command, built from this workspace.
///
/// # Panics
///
/// When cargo cannot build it.
pub fn command() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT.get_or_init(build_command).clone()
}

fn build_command() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--package", "mobilec", "--features", "cli", "--message-format", "json"])
        .current_dir(here().join(".."))
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = String::from_utf8_lossy(&built.stdout);
    let executable = text.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        rest.split_once('"').map(|(path, _)| PathBuf::from(path))
    });
    executable.expect("cargo names the executable")
}
