//! Compiles the model that `PEERS_MODEL` names, for the target that `PEERS_TARGET` names if any, into the smallest arena.

fn main() -> mobilec::Result {
    println!("cargo::rerun-if-env-changed=PEERS_MODEL");
    println!("cargo::rerun-if-env-changed=PEERS_TARGET");
    let model = std::env::var("PEERS_MODEL").expect("PEERS_MODEL names an ONNX file");
    let build = mobilec::Build::onnx(model).inputs(mobilec::Inputs::Arena).smallest_arena();
    match std::env::var("PEERS_TARGET") {
        Ok(target) if !target.is_empty() => build.target(&target).emit("net"),
        _ => build.emit("net"),
    }
}
