//! Compiles the digits network twice: as it is, and with pixels for input.

fn main() -> mobilec::Result {
    let model = "../../digits/digits.onnx";
    let budget = mobilec::Budget::new().ram_kib(128).flash_kib(256);
    mobilec::Build::onnx(model).budget(budget).emit("digits")?;
    mobilec::Build::onnx(model).input(mobilec::Input::grey8()).emit("digits_u8")
}
