//! Puts the runtime's source into the compiler, so that the command can build what it emits wherever it
//! was installed.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../runtime");
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files)?;
    files.sort();
    println!("cargo::rerun-if-changed={}", root.join("src").display());
    let rows: Vec<String> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap_or(file).to_string_lossy().replace('\\', "/");
            let path = fs::canonicalize(file)?;
            Ok(format!("    ({name:?}, include_str!({:?})),\n", path.to_string_lossy()))
        })
        .collect::<io::Result<_>>()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("runtime_source.rs");
    fs::write(out, format!("&[\n{}]\n", rows.concat()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
