//! For the build scripts of the device programs: brings the emitted module to where `include!` finds it.

use std::{env, fs, path::Path};

/// Copies every file of `MOBILEC_MODULE_DIR` (digits.rs and its weights) to `OUT_DIR`.
pub fn copy_to_out_dir() {
    println!("cargo:rerun-if-env-changed=MOBILEC_MODULE_DIR");
    let from =
        env::var("MOBILEC_MODULE_DIR").expect("MOBILEC_MODULE_DIR names the folder of the emitted digits.rs");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo:rerun-if-changed={from}");
    for entry in fs::read_dir(&from).unwrap_or_else(|e| panic!("{from}: {e}")) {
        let file = entry.expect("a readable folder").path();
        if let (true, Some(name)) = (file.is_file(), file.file_name()) {
            println!("cargo:rerun-if-changed={}", file.display());
            fs::copy(&file, Path::new(&out).join(name)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
    }
}
