#[path = "../device/module.rs"]
mod module;

fn main() {
    module::copy_to_out_dir();
}
