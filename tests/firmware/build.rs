#[path = "../device/module.rs"]
mod module;

fn main() {
    module::copy_to_out_dir();
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rustc-link-arg=-Tlink.x");
}
