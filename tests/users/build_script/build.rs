//! Compiles the digits network three times: as it is, with pixels for input, and with rows of pixels in the
//! smallest arena.

fn main() -> mobilec::Result {
    let model = "../../digits/digits.onnx";
    let budget = mobilec::Budget::new().ram_kib(128).flash_kib(256);
    mobilec::Build::onnx(model).budget(budget).emit("digits")?;
    mobilec::Build::onnx(model).input(mobilec::Input::grey8()).emit("digits_u8")?;
    let camera = mobilec::Build::onnx(model).input(mobilec::Input::grey8()).smallest_arena();
    camera.inputs(mobilec::Inputs::Rows).emit("digits_rows")
}
