//! Writes a function that names every kernel of the tables with the type it must have: a row whose kernel
//! does not exist, or takes another step, does not compile. And one that finds the kernels of layers that sum products
//! by their paths, for the benchmark of the zoo's layers.

use mobilec_targets::{Family, Isa, Kernel, kernels};
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let rows: String = kernels::all().map(row).collect();
    let text = format!("fn every_row_names_a_kernel() {{\n{rows}}}\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("kernel_rows.rs"), text)?;
    let arms: String = kernels::all().filter_map(arm).collect();
    let text =
        format!("fn kernel(path: &str) -> Option<Kernel> {{\nmatch path {{\n{arms}_ => None,\n}}\n}}\n");
    fs::write(out.join("layer_kernels.rs"), text)
}

/// An arm that gives a kernel of a family which sums products of floats, where its instruction set is detected.
fn arm(kernel: &Kernel) -> Option<String> {
    let family = match kernel.family {
        Family::Pointwise | Family::Conv2d | Family::PlanarConv2d | Family::Depthwise => kernel.family,
        _ => return None,
    };
    let (path, call) = (kernel.path, format!("mobilec_runtime::kernels::{}", kernel.path));
    Some(match kernel.isa.token() {
        None => format!("\"{path}\" => Some(Kernel::{family:?}({call})),\n"),
        Some(token) => format!(
            "#[cfg(target_arch = \"x86_64\")]\n\"{path}\" => mobilec_runtime::{token}::detect().map(|_| \
             Kernel::{family:?}(|memory, step, rows| if let Some(cpu) = mobilec_runtime::{token}::detect() {{ \
             {call}(cpu, memory, step, rows) }})),\n"
        ),
    })
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
