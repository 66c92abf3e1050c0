//! Files that are damaged, hostile or no models at all: each is refused with an error that says why, and
//! none makes the compiler panic.

use mobilec::onnx::{ImportOptions, external_files, import};
use mobilec_tests::onnx::{F32, I64, Model, entry, node, noise, tensor};
use onnx_protobuf::TensorProto;
use onnx_protobuf::tensor_proto::DataLocation;
use proptest::prelude::*;

/// A convolution, an activation, a pool and a fully-connected layer, with attributes of all kinds.
fn small() -> Model {
    Model::new()
        .input("x", F32, "N,3,8,8")
        .initializer("w", [4, 3, 3, 3], &noise(1, 108))
        .initializer("b", [4], &noise(2, 4))
        .initializer("lo", [], &[0.0_f32])
        .initializer("shape", [2], &[1_i64, 4])
        .initializer("v", [4, 2], &noise(3, 8))
        .node(node("Conv", "x w b", "c").ints("pads", &[1, 1, 1, 1]).text("auto_pad", "NOTSET"))
        .node(node("Clip", "c lo", "r"))
        .node(node("GlobalAveragePool", "r", "g"))
        .node(node("Reshape", "g shape", "f"))
        .node(node("Gemm", "f v", "y").float("alpha", 0.5))
        .typed_output("y", F32, "N,2")
}

fn refused(bytes: &[u8]) -> String {
    match import("m.onnx", bytes.to_vec().into(), &ImportOptions::default()) {
        Ok(imported) => panic!("accepted as\n{}", imported.graph.text()),
        Err(error) => error.to_string(),
    }
}

fn check(bytes: &[u8], expected: &str) {
    let text = refused(bytes);
    assert!(text.contains(expected), "{text}\ndoes not say {expected:?}");
}

fn check_model(model: Model, expected: &[&str]) {
    let text = model.refused();
    for part in expected {
        assert!(text.contains(part), "{text}\ndoes not say {part:?}");
    }
}

#[test]
fn the_small_model_is_accepted() {
    small().import();
}

#[test]
fn no_prefix_of_a_model_makes_a_panic() {
    let bytes = small().bytes();
    for length in 0..bytes.len() {
        let _ = import("m.onnx", bytes[..length].to_vec().into(), &ImportOptions::default());
    }
}

#[test]
fn what_is_no_model_is_told_by_what_it_is() {
    check(b"", "the file is empty");
    check(&[0; 64], "the file is all zeros");
    check(b"# Models\n\nDownload them from\n", "a text file");
    check(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull");
    check(b"PK\x03\x04\0\0\0\0", "torch.onnx.export");
    check(b"\x1c\0\0\0TFL3\0\0\0\0", "TensorFlow Lite");
    check(&small().bytes()[..200], "was cut off");
    check(&[0xff; 64], "no ONNX model");
}

#[test]
fn versions_that_are_too_old_or_missing() {
    check_model(small().ir(2), &["IR version 2", "3 is the first"]);
    check_model(small().opset(6), &["opset 6", "7 is the first"]);
    check_model(small().edit(|model| model.opset_import.clear()), &["does not say which version"]);
}

#[test]
fn versions_from_the_future_are_noted() {
    let notes = small().ir(99).opset(99).import().notes.join("\n");
    assert!(notes.contains("IR version 99") && notes.contains("opset 99"), "{notes}");
}

#[test]
fn an_empty_graph() {
    check_model(Model::new().input("x", F32, [1]).output("x"), &["it has no nodes"]);
    check_model(Model::new().input("x", F32, [1]).node(node("Relu", "x", "y")), &["has no outputs"]);
    check_model(small().edit(|model| model.graph.clear()), &["no graph"]);
}

#[test]
fn a_cycle_names_its_nodes() {
    let model = Model::new()
        .input("x", F32, [4])
        .node(node("Add", "x b", "a"))
        .node(node("Relu", "a", "b"))
        .node(node("Relu", "b", "y"))
        .output("y");
    check_model(model, &["nodes need their own results: Add_a, Relu_b"]);
    let itself = Model::new().node(node("Relu", "y", "y")).output("y");
    check_model(itself, &["nodes need their own results: Relu_y"]);
}

#[test]
fn names_that_stand_twice_or_nowhere() {
    let twice = Model::new().input("x", F32, [4]).node(node("Relu", "x", "y")).node(node("Abs", "x", "y"));
    check_model(twice.output("y"), &["node Abs_y", "there is another value y"]);
    let input = Model::new().input("x", F32, [4]).node(node("Relu", "x", "x")).output("x");
    check_model(input, &["there is another value x"]);
    let undefined = Model::new().input("x", F32, [4]).node(node("Add", "x z", "y")).output("y");
    check_model(undefined, &["node Add_y (Add, opset 17)", "it reads z, which nothing makes"]);
    check_model(small().output("nowhere"), &["nothing makes the output nowhere"]);
}

#[test]
fn wrong_weight_lengths() {
    let cut = |change: fn(&mut TensorProto)| small().edit_graph(|graph| change(&mut graph.initializer[0]));
    check_model(cut(|w| w.raw_data.truncate(431)), &["tensor w: float[4,3,3,3] takes 432 bytes, but 431"]);
    check_model(cut(|w| w.raw_data.clear()), &["but 0 are there"]);
    check_model(cut(|w| w.dims[0] = i64::MAX), &["tensor w", "more than"]);
    check_model(cut(|w| w.dims[0] = -4), &["dimension -4"]);
    check_model(cut(|w| w.data_type = 77), &["element type 77 is not supported"]);
    check_model(cut(|w| w.data_type = 8), &["tensor w: string is not supported"]);
}

#[test]
fn weights_of_another_shape_than_the_operator_takes() {
    let model = small().edit_graph(|graph| graph.initializer[0].dims = vec![6, 2, 3, 3]);
    check_model(model, &["node Conv_c (Conv, opset 17)", "6"]);
}

#[test]
fn all_unsupported_operators_are_named() {
    let model = Model::new()
        .input("x", F32, [1, 3, 8, 8])
        .node(node("Relu", "x", "r"))
        .node(node("NonMaxSuppression", "r", "a").named("/head/boxes/NMS"))
        .node(node("Covn", "a", "b"))
        .node(node("Frobnicate", "r", "c").domain("com.example").metadata("namespace", ": M/head: H/f: f"))
        .node(node("Add", "b c", "y"))
        .output("y")
        .domain("com.example", 3);
    check_model(
        model,
        &[
            "3 operators in m.onnx are not supported",
            "node /head/boxes/NMS (NonMaxSuppression, opset 17), module head.boxes",
            "help: cut the model before it with --until-output r",
            "node Covn_b (Covn, opset 17)",
            "did the exporter mean Conv?",
            "node Frobnicate_c (Frobnicate, com.example opset 3), module head",
            "the operator com.example::Frobnicate is not supported",
        ],
    );
}

#[test]
fn subgraphs_functions_and_sparse_tensors_are_refused() {
    let base = || Model::new().input("x", F32, [4]);
    let graph = base().node(node("Relu", "x", "y")).output("y").graph();
    check_model(base().node(node("If", "x", "y").graph("then_branch", graph)).output("y"), &["subgraphs"]);
    let function =
        onnx_protobuf::FunctionProto { name: "Mine".into(), domain: "me".into(), ..Default::default() };
    let model = base().node(node("Mine", "x", "y").domain("me")).output("y").domain("me", 1);
    check_model(model.edit(|model| model.functions.push(function)), &["inline_local_functions"]);
    let sparse = onnx_protobuf::SparseTensorProto {
        values: protobuf::MessageField::some(tensor("s", &[1], &[1.0_f32])),
        ..Default::default()
    };
    let model = base().node(node("Add", "x s", "y")).output("y");
    check_model(model.edit_graph(|graph| graph.sparse_initializer.push(sparse)), &["sparse tensors"]);
}

fn external(entries: &[(&str, &str)]) -> Model {
    let mut weight = tensor::<f32>("w", &[4], &[]);
    weight.external_data = entries.iter().map(|(key, value)| entry(key, value)).collect();
    weight.data_location = DataLocation::EXTERNAL.into();
    Model::new().input("x", F32, [4]).tensor(weight).node(node("Add", "x w", "y")).output("y")
}

#[test]
fn external_data_that_are_missing_or_elsewhere() {
    check_model(external(&[("location", "w.bin")]), &["\"w.bin\", which is not there", "beside the model"]);
    check_model(external(&[]), &["which is not named"]);
    for outside in ["../w.bin", "/etc/passwd", "a/../../b", "C:\\w.bin"] {
        let model = external(&[("location", outside)]);
        check_model(model.clone(), &["outside the model's directory"]);
        let error = external_files("m.onnx", &model.bytes().into()).unwrap_err().to_string();
        assert!(error.contains("outside the model's directory"), "{error}");
    }
    let model = external(&[("location", "w.bin"), ("offset", "8"), ("length", "16")]);
    let options = ImportOptions {
        external: [("w.bin".to_owned(), vec![0; 20].into())].into(),
        ..ImportOptions::default()
    };
    let error = model.import_with(&options).unwrap_err().to_string();
    assert!(error.contains("bytes 8 to 24 of \"w.bin\", which has 20"), "{error}");
}

#[test]
fn symbolic_dimensions_ask_for_a_shape() {
    let model = Model::new().input("x", F32, "N,3,height,?").node(node("Relu", "x", "y")).output("y");
    check_model(model, &["input x is [N,3,height,?]", "--input-shape x=1,3,height,?"]);
    let unknown = Model::new().input("x", F32, [4]).node(node("Relu", "x", "y")).output("y");
    let shapeless = unknown.clone().edit_graph(|graph| {
        graph.input[0].type_.mut_or_insert_default().mut_tensor_type().shape.clear();
    });
    check_model(shapeless, &["input x has no shape", "--input-shape x="]);
    let huge = Model::new().input("x", F32, "1,99999999999,99999999999").node(node("Relu", "x", "y"));
    check_model(huge.output("y"), &["input x", "more than"]);
    let negative = Model::new().input("x", I64, "1,-7").node(node("Relu", "x", "y")).output("y");
    check_model(negative, &["dimension -7 of input x"]);
    let typeless = unknown.edit_graph(|graph| graph.input[0].type_.clear());
    check_model(typeless, &["input x is no tensor"]);
}

#[test]
fn declared_outputs_must_be_what_is_computed() {
    let model = |shape: &str, ty| {
        Model::new().input("x", F32, [1, 4]).node(node("Relu", "x", "y")).typed_output("y", ty, shape)
    };
    model("N,-1", F32).import();
    check_model(model("1,5", F32), &["output y is declared float[1,5], but is f32[1,4]"]);
    check_model(model("1,4", I64), &["output y is declared int64[1,4], but is f32[1,4]"]);
    check_model(model("4", F32), &["output y is declared float[4], but is f32[1,4]"]);
}

#[test]
fn names_cannot_break_out_of_a_line() {
    let model = Model::new()
        .input("x\ny", F32, [4])
        .edit_graph(|graph| {
            graph.node.push(onnx_protobuf::NodeProto {
                name: "a\n// b\u{202e}".into(),
                op_type: "Relu".into(),
                input: vec!["x\ny".into()],
                output: vec!["o\r".into()],
                ..Default::default()
            });
        })
        .edit_graph(|graph| {
            let output = onnx_protobuf::ValueInfoProto { name: "o\r".into(), ..Default::default() };
            graph.output.push(output);
        });
    let imported = model.import();
    let text = imported.graph.text();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains(['\r', '\u{202e}']), "{text}");
    assert_eq!(imported.inputs[0].name, "x\ny");
}

proptest! {
    #[test]
    fn damaged_bytes_never_make_a_panic(flips in prop::collection::vec((0..10_000_usize, 0..8_u8), 1..6)) {
        let mut bytes = small().bytes();
        let length = bytes.len();
        for (position, bit) in flips {
            bytes[position % length] ^= 1 << bit;
        }
        let _ = import("m.onnx", bytes.into(), &ImportOptions::default());
    }

    #[test]
    fn bytes_at_random_never_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = import("m.onnx", bytes.into(), &ImportOptions::default());
    }
}
