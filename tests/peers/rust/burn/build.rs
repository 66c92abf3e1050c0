//! Generates burn's Rust for the model that `PEERS_MODEL` names.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=PEERS_MODEL");
    let model = env::var("PEERS_MODEL").expect("PEERS_MODEL names an ONNX file");
    println!("cargo::rerun-if-changed={model}");
    burn_onnx::ModelGen::new().input(&model).out_dir("model/").run_from_script();
    let out = env::var("OUT_DIR").expect("cargo says where");
    let name = Path::new(&model).file_stem().and_then(|name| name.to_str()).expect("a file's name");
    fs::rename(format!("{out}/model/{name}.rs"), format!("{out}/net.rs")).expect("the Rust was written");
    println!("cargo::rustc-env=PEERS_WEIGHTS={out}/model/{name}.bpk");
}
