//! Compiles the model that `PEERS_MODEL` names.

fn main() -> mobilec::Result {
    println!("cargo::rerun-if-env-changed=PEERS_MODEL");
    let model = std::env::var("PEERS_MODEL").expect("PEERS_MODEL names an ONNX file");
    mobilec::Build::onnx(model).emit("net")
}
