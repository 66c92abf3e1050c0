//! Compiles the digits network five times: as it is, with pixels for input, with rows of pixels in the
//! smallest arena, in integers, and in integers that are rounded as TensorFlow Lite does.

fn main() -> mobilec::Result {
    let model = "../../digits/digits.onnx";
    let budget = mobilec::Budget::new().ram_kib(128).flash_kib(384);
    mobilec::Build::onnx(model).budget(budget).emit("digits")?;
    mobilec::Build::onnx(model).input(mobilec::Input::grey8()).emit("digits_u8")?;
    let camera = mobilec::Build::onnx(model).input(mobilec::Input::grey8()).smallest_arena();
    camera.inputs(mobilec::Inputs::Rows).emit("digits_rows")?;
    let calibration = mobilec::Calibration::dir("../../digits/pictures");
    mobilec::Build::onnx(model).input(mobilec::Input::grey8()).quantize(calibration).emit("digits_int8")?;
    let rounding = mobilec::Rounding::Tflite;
    mobilec::Build::onnx("../../digits/digits_int8.onnx").rounding(rounding).emit("digits_tflite")
}
