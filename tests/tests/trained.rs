//! Trained networks, end to end: from their files to the outputs that ONNX Runtime gave.
//!
//! The digits network is always there. Larger ones are read from the folder that `MOBILEC_MODELS` names.

use mobilec::tensor::{DType, Tensor, TensorType};
use mobilec_tests::emitted::{assert_close, compile, npy, open, run, to_nchw};
use mobilec_tests::{folder, here, skip};
use std::path::Path;

/// The acceptance bound of the project: 1e-4 of the largest absolute output. Rounding of sums of some
/// thousand products through fifty layers stays below 1e-5.
const TOLERANCE: f64 = 1e-4;

struct Case<'a> {
    model: &'a str,
    shapes: &'a [(&'a str, &'a [usize])],
    input: &'a str,
    nhwc_to_nchw: bool,
    outputs: &'a [&'a str],
    /// For integer outputs: steps.
    tolerance: f64,
}

const F32: Case<'static> =
    Case { model: "", shapes: &[], input: "", nhwc_to_nchw: false, outputs: &[], tolerance: TOLERANCE };

fn check(case: &Case<'_>, target: &str) {
    let Some(models) = folder("MOBILEC_MODELS") else {
        return skip(case.model, "MOBILEC_MODELS names no folder");
    };
    let compiled = compile(&open(&models.join(case.model), case.shapes), target);
    let mut input = npy(&models.join(case.input));
    if case.nhwc_to_nchw {
        input = to_nchw(&input);
    }
    let outputs = run(&compiled, input.bytes());
    assert_eq!(outputs.len(), case.outputs.len());
    for (got, want) in outputs.iter().zip(case.outputs) {
        assert_close(&format!("{} on {target}", case.model), got, &npy(&models.join(want)), case.tolerance);
    }
}

macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        mod portable {
            use super::*;
            $(#[test] fn $name() { check(&$case, "portable"); })*
        }
        mod x86_64_avx2 {
            use super::*;
            $(#[test] fn $name() { check(&$case, "x86-64-avx2"); })*
        }
    };
}

cases! {
    mobilenet_v2: Case {
        model: "imagenet/mobilenet_v2_tv_f32.onnx",
        input: "imagenet/expected/cat_224_f32_nchw_tv.npy",
        outputs: &["imagenet/expected/cat_mobilenet_v2_tv_f32_out.npy"],
        ..F32
    };
    mobilenet_v1_025_with_u8_input: Case {
        model: "imagenet/mobilenet_v1_025_128_tf2onnx_f32.onnx",
        input: "imagenet/expected/cat_128_u8_nhwc.npy",
        outputs: &["imagenet/expected/cat_mobilenet_v1_025_128_tf2onnx_f32_out.npy"],
        tolerance: 1.0, // the last operator rounds to steps of 1/256
        ..F32
    };
    flowers_with_unfused_batch_norms: Case {
        model: "flowers_mobilenet_v2_035_128/mobilenet_v2_0.35_128_tfs_channel_first.onnx",
        input: "flowers_mobilenet_v2_035_128/input_nhwc.npy",
        nhwc_to_nchw: true,
        outputs: &["flowers_mobilenet_v2_035_128/expected_onnxruntime_float.npy"],
        ..F32
    };
    text_angle_as_paddle_exports: Case {
        model: "apps/ppocr_v2_cls_mobilenetv3_small_035.onnx",
        shapes: &[("x", &[1, 3, 48, 192])],
        input: "apps/expected/ppocr_cls_in.npy",
        outputs: &["apps/expected/ppocr_cls_out.npy"],
        ..F32
    };
    visual_wake_words: Case {
        model: "vww_mobilenet_v1_025_96_float/vww_96_float.onnx",
        input: "vww_mobilenet_v1_025_96_float/input_nhwc.npy",
        nhwc_to_nchw: true,
        outputs: &["vww_mobilenet_v1_025_96_float/expected_onnxruntime.npy"],
        ..F32
    };
}

/// The face detector's picture, normalised as its authors do: (v − 127) / 128.
fn face_picture(models: &Path) -> Tensor {
    let picture =
        image::open(models.join("apps/pics/grace_hopper_320x240.png")).expect("a picture").to_rgb8();
    let values: Vec<f32> = picture.as_raw().iter().map(|&v| (f32::from(v) - 127.0) / 128.0).collect();
    to_nchw(&Tensor::from_f32([1, 240, 320, 3], &values))
}

fn check_faces(model: &str, target: &str) {
    let Some(models) = folder("MOBILEC_MODELS") else {
        return skip(model, "MOBILEC_MODELS names no folder");
    };
    let compiled = compile(&open(&models.join(format!("apps/{model}.onnx")), &[]), target);
    let outputs = run(&compiled, face_picture(&models).bytes());
    for (got, port) in outputs.iter().zip(&compiled.plan.outputs) {
        let want = npy(&models.join(format!("apps/expected/{model}_grace_hopper_{}.npy", port.name)));
        assert_close(&format!("{model} {} on {target}", port.name), got, &want, TOLERANCE);
    }
}

#[test]
fn faces_with_boxes_decoded_in_the_graph() {
    check_faces("ultraface_rfb_320", "portable");
    check_faces("ultraface_rfb_320", "x86-64-avx2");
}

#[test]
fn faces_without_postprocessing() {
    check_faces("ultraface_rfb_320_without_postprocessing", "x86-64-avx2");
}

fn check_digits(target: &str) {
    let digits = here().join("digits");
    let compiled = compile(&open(&digits.join("digits.onnx"), &[]), target);
    let pixels = npy(&digits.join("inputs.npy"));
    assert_eq!(pixels.ty, TensorType::new(DType::U8, [40, 28, 28]));
    let values: Vec<f32> = pixels.to_f32().iter().map(|v| v / 255.0).collect();
    let input = Tensor::from_f32([40, 1, 28, 28], &values);
    let outputs = run(&compiled, input.bytes());
    assert_close(
        &format!("digits on {target}"),
        &outputs[0],
        &npy(&digits.join("expected_logits.npy")),
        TOLERANCE,
    );
}

#[test]
fn digits_on_every_target() {
    for target in ["portable", "x86-64-avx2", "x86-64"] {
        check_digits(target);
    }
}

/// Index of the largest and its lead over the second.
fn top(scores: &[f64]) -> (usize, f64) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    (order[0], scores[order[0]] - scores[order[1]])
}

/// From pictures as files, through the command's own decoding and normalisation, from one built program.
#[test]
fn a_hundred_pictures_get_the_recorded_classes() {
    let Some(models) = folder("MOBILEC_MODELS") else {
        return skip("a_hundred_pictures", "MOBILEC_MODELS names no folder");
    };
    let output = std::env::temp_dir().join(format!("mobilec-val100-{}.npy", std::process::id()));
    let run = std::process::Command::new(mobilec_tests::command())
        .arg("run")
        .arg(models.join("imagenet/mobilenet_v2_tv_f32.onnx"))
        .arg("--input")
        .arg(models.join("imagenet/val100"))
        .args(["--normalize", "imagenet", "--target", "x86-64-avx2", "--json", "--output"])
        .arg(&output)
        .output()
        .expect("the command runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let got = npy(&output).to_f64();
    let _ = std::fs::remove_file(&output);
    let want = npy(&models.join("imagenet/expected/val100_mobilenet_v2_tv_f32_logits.npy")).to_f64();
    assert_eq!(got.len(), want.len());
    for (picture, (got, want)) in got.chunks(1000).zip(want.chunks(1000)).enumerate() {
        let ((got, _), (want, lead)) = (top(got), top(want));
        // JPEG decoders differ by a step, which moves a logit by some hundredths.
        assert!(got == want || lead < 0.1, "picture {picture}: {got}, not {want}, which leads by {lead}");
    }
}
