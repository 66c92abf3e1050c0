//! Everything that `exporters/export.py` wrote, through the importer and as it is emitted, against ONNX
//! Runtime's answers.
//!
//! `MOBILEC_EXPORTS` names the folder.

use mobilec::driver::{self, Compiled, Options};
use mobilec::tensor::Tensor;
use mobilec_tests::emitted::{assert_close, npy, open, target};
use mobilec_tests::{batch, folder, skip};
use std::path::{Path, PathBuf};

/// `FOLDER/NAME` of every `FOLDER/NAME.onnx`.
fn all(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .map(|path| path.with_extension(""))
        .collect();
    all.sort();
    assert!(!all.is_empty(), "{} holds no exports", folder.display());
    all
}

fn compile(export: &Path, module: String) -> Compiled {
    let model = open(&export.with_added_extension("onnx"), &[]);
    let compiled = driver::compile(&model, &Options::new(target("x86-64-avx2"), module));
    compiled.unwrap_or_else(|error| panic!("{}: {error}", export.display()))
}

#[test]
fn every_export_agrees_with_onnx_runtime() {
    let Some(folder) = folder("MOBILEC_EXPORTS") else {
        return skip("exports", "MOBILEC_EXPORTS names no folder");
    };
    let exports = all(&folder);
    let cases = exports.iter().enumerate().map(|(n, export)| {
        let input = npy(&export.with_added_extension("input.npy"));
        (compile(export, format!("net{n}")), input.bytes().to_vec())
    });
    let cases: Vec<(Compiled, Vec<u8>)> = cases.collect();
    for ((export, (compiled, _)), outputs) in exports.iter().zip(&cases).zip(batch::run("exports", &cases)) {
        let got = Tensor::new(compiled.plan.outputs[0].ty.clone(), outputs.into()).expect("one output");
        let want = npy(&export.with_added_extension("output.npy"));
        assert_close(&export.display().to_string(), &got, &want, 1e-4);
    }
}
