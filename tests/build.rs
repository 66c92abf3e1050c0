//! Writes a function that names every kernel of the tables with the type it must have: a row whose kernel
//! does not exist, or takes another step, does not compile.

use mobilec_targets::{Isa, Kernel, kernels};
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let rows: String = kernels::all().map(row).collect();
    let text = format!("fn every_row_names_a_kernel() {{\n{rows}}}\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("kernel_rows.rs");
    fs::write(out, text)
}

fn row(kernel: &Kernel) -> String {
    let step = format!("&mobilec_runtime::steps::{:?}", kernel.family);
    let rows = if kernel.family.streams() { ", core::ops::Range<usize>" } else { "" };
    let (cfg, token) = match kernel.isa {
        Isa::Portable => ("", String::new()),
        Isa::Avx2 | Isa::AvxVnni | Isa::Avx512 => ("#[cfg(target_arch = \"x86_64\")] ", token(kernel.isa)),
    };
    format!(
        "    {cfg}let _: fn({token}&mut mobilec_runtime::Memory<'_>, {step}{rows}) = \
         mobilec_runtime::kernels::{};\n",
        kernel.path
    )
}

fn token(isa: Isa) -> String {
    isa.token().map_or(String::new(), |path| format!("mobilec_runtime::{path}, "))
}
