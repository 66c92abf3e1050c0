//! How models are imported that leave things open or say them in another way: IMPORT rules for symbolic
//! dimensions, unused domains, weights listed as inputs, external files, names, cuts, element types.

use mobilec::graph::NodeId;
use mobilec::onnx::{ElementType, ImportOptions, Imported, external_files};
use mobilec::reference::{Array, run};
use mobilec::tensor::{DType, Tensor, TensorType};
use mobilec_tests::onnx::{BOOL, F16, F32, F64, I64, Model, Node, entry, node, noise, tensor, value};
use onnx_protobuf::tensor_proto::DataLocation;

/// `y = op(x)` for an input of a shape.
fn unary(shape: &str, node: Node) -> Model {
    Model::new().input("x", F32, shape).node(node).output("y")
}

fn relu(shape: &str) -> Model {
    unary(shape, node("Relu", "x", "y"))
}

fn shapes(list: &[(&str, &[usize])]) -> ImportOptions {
    let input_shapes = list.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect();
    ImportOptions { input_shapes, ..ImportOptions::default() }
}

fn input_types(imported: &Imported) -> Vec<String> {
    imported.graph.inputs().iter().map(|&id| imported.graph.ty(id).to_string()).collect()
}

fn error(model: &Model, options: &ImportOptions) -> String {
    model.import_with(options).unwrap_err().to_string()
}

/// The only output's value for one input.
fn answer(imported: &Imported, x: &[f64]) -> Vec<f64> {
    let shape = imported.inputs[0].ty.shape.clone();
    let trace = run(&imported.graph, &[Array::float(shape, x.to_vec())]).unwrap();
    trace[&imported.graph.outputs()[0].1].to_floats()
}

fn only_node(imported: &Imported, prefix: &str) -> NodeId {
    let graph = &imported.graph;
    let is_meant = |id: &NodeId| graph.name(*id).starts_with(prefix);
    graph.order().into_iter().find(is_meant).unwrap_or_else(|| panic!("no {prefix} in\n{}", graph.text()))
}

#[test]
fn a_symbolic_batch_becomes_one() {
    for (shape, note) in [
        ("N,3", "batch N of input x is taken as 1"),
        ("-1,3", "batch of input x is taken as 1"),
        ("?,3", "batch of input x is taken as 1"),
    ] {
        let imported = relu(shape).import();
        assert_eq!(input_types(&imported), ["f32[1,3]"], "{shape}");
        assert_eq!(imported.notes, [note], "{shape}");
    }
    assert!(relu("1,3").import().notes.is_empty());
}

#[test]
fn input_shapes_fill_open_dimensions() {
    let imported = relu("N,3,h,w").import_with(&shapes(&[("x", &[2, 3, 5, 7])])).unwrap();
    assert_eq!(input_types(&imported), ["f32[2,3,5,7]"]);
    assert!(imported.notes.is_empty());
    let message = error(&relu("N,3,h,w"), &shapes(&[("x", &[1, 4, 5, 7])]));
    assert!(message.contains("input x is [N,3,h,w], but --input-shape gives [1,4,5,7]"), "{message}");
    let message = error(&relu("N,3"), &shapes(&[("x", &[1, 3, 1])]));
    assert!(message.contains("--input-shape gives [1,3,1]"), "{message}");
}

#[test]
fn a_dimensions_name_has_one_value() {
    let model =
        Model::new().input("x", F32, "N,c").input("z", F32, "N,c").node(node("Add", "x z", "y")).output("y");
    let imported = model.import_with(&shapes(&[("x", &[2, 3])])).unwrap();
    assert_eq!(input_types(&imported), ["f32[2,3]", "f32[2,3]"]);
}

#[test]
fn options_for_inputs_that_are_not_there() {
    let message = error(&relu("1,3"), &shapes(&[("X", &[1, 3])]));
    assert!(message.contains("--input-shape X: the model has no input of this name"), "{message}");
    assert!(message.contains("help: its inputs are x"), "{message}");
    let constants = [("q".to_owned(), Tensor::from_f32([1], &[1.0]))].into();
    let message = error(&relu("1,3"), &ImportOptions { constants, ..ImportOptions::default() });
    assert!(message.contains("--const-input q"), "{message}");
}

#[test]
fn an_input_that_is_given_is_a_constant() {
    let model =
        || Model::new().input("x", F32, [2]).input("c", F32, "n").node(node("Add", "x c", "y")).output("y");
    let with = |tensor: Tensor| {
        let constants = [("c".to_owned(), tensor)].into();
        model().import_with(&ImportOptions { constants, ..ImportOptions::default() })
    };
    let imported = with(Tensor::from_f32([2], &[10.0, 20.0])).unwrap();
    assert_eq!(imported.inputs.len(), 1);
    assert_eq!(answer(&imported, &[1.0, 2.0]), [11.0, 22.0]);
    let message = with(Tensor::from_i64(&[1, 2])).unwrap_err().to_string();
    assert!(message.contains("input c is f32, but --const-input gives i64[2]"), "{message}");
    let message = with(Tensor::from_f32([1, 2], &[])).unwrap_err().to_string();
    assert!(message.contains("input c is [n], but --const-input gives [1,2]"), "{message}");
}

#[test]
fn weights_that_are_inputs_too_are_constants() {
    let model = Model::new()
        .ir(3)
        .input("x", F32, [1, 2])
        .input("w", F32, [2, 2])
        .initializer("w", [2, 2], &[1.0_f32, 2.0, 3.0, 4.0])
        .node(node("MatMul", "x w", "y"))
        .output("y");
    let imported = model.import();
    assert_eq!(input_types(&imported), ["f32[1,2]"]);
    assert_eq!(answer(&imported, &[1.0, 1.0]), [4.0, 6.0]);
}

#[test]
fn operator_sets_that_nothing_uses_are_ignored() {
    let model = relu("1,3").domain("ai.onnx.ml", 3).domain("com.microsoft", 1).domain("org.pytorch.aten", 1);
    assert_eq!(model.import().opset, 17);
    let named = relu("1,3").edit(|model| model.opset_import[0].domain = "ai.onnx".into());
    assert_eq!(named.import().opset, 17);
}

#[test]
fn external_data_are_found_by_location() {
    let mut weight = tensor::<f32>("w", &[2], &[]);
    weight.external_data =
        vec![entry("location", "m.data"), entry("offset", "4"), entry("length", "8"), entry("checksum", "-")];
    weight.data_location = DataLocation::EXTERNAL.into();
    let model = Model::new().input("x", F32, [2]).tensor(weight).node(node("Add", "x w", "y")).output("y");
    assert_eq!(external_files("m.onnx", &model.bytes().into()).unwrap(), ["m.data"]);
    let data: Vec<u8> = [9.0_f32, 1.0, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let external = [("m.data".to_owned(), data.into())].into();
    let imported = model.import_with(&ImportOptions { external, ..ImportOptions::default() }).unwrap();
    assert_eq!(answer(&imported, &[0.0, 0.0]), [1.0, 2.0]);
}

#[test]
fn nodes_may_stand_in_any_order() {
    let model = Model::new()
        .input("x", F32, [1])
        .node(node("Add", "b x", "y"))
        .node(node("Neg", "a", "b"))
        .node(node("Neg", "x", "a"))
        .output("y");
    assert_eq!(answer(&model.import(), &[3.0]), [6.0]);
}

#[test]
fn a_model_is_cut_at_values_or_nodes() {
    let model = Model::new()
        .input("x", F32, [1])
        .input("z", F32, "1,more,?")
        .node(node("Neg", "x", "a"))
        .node(node("Frobnicate", "a z", "y"))
        .output("y");
    for cut in ["a", "Neg_a"] {
        let options = ImportOptions { until_outputs: vec![cut.into()], ..ImportOptions::default() };
        let imported = model.import_with(&options).unwrap();
        assert_eq!((imported.inputs.len(), imported.outputs[0].name.as_str()), (1, "a"));
        assert_eq!(answer(&imported, &[3.0]), [-3.0]);
    }
    let options = ImportOptions { until_outputs: vec!["Neg_b".into()], ..ImportOptions::default() };
    let message = error(&model, &options);
    assert!(message.contains("--until-output Neg_b: the model has no value"), "{message}");
}

#[test]
fn outputs_may_be_inputs_or_constants() {
    let model = relu("1").initializer("w", [1], &[5.0_f32]).output("x").output("w");
    let imported = model.import();
    let trace = run(&imported.graph, &[Array::float([1], vec![-1.0])]).unwrap();
    let values: Vec<f64> = imported.graph.outputs().iter().map(|(_, id)| trace[id].to_floats()[0]).collect();
    assert_eq!(values, [0.0, -1.0, 5.0]);
}

#[test]
fn outputs_that_nothing_reads_need_not_be_computed() {
    let dropout = |outputs| Model::new().input("x", F32, [2]).node(node("Dropout", "x", outputs));
    assert_eq!(answer(&dropout("y mask").output("y").import(), &[1.0, 2.0]), [1.0, 2.0]);
    let model = Model::new()
        .input("x", F32, [1, 1, 2, 2])
        .node(node("MaxPool", "x", "y indices").ints("kernel_shape", &[2, 2]));
    let message = model.output("y").output("indices").refused();
    assert!(message.contains("node MaxPool_y") && message.contains("indices"), "{message}");
}

#[test]
fn half_and_double_precision_become_single() {
    let model = Model::new()
        .input("x", F16, [2])
        .tensor(onnx_protobuf::TensorProto {
            name: "w".into(),
            data_type: F16,
            dims: vec![2],
            raw_data: vec![0x00, 0x3c, 0x00, 0xc0],
            ..Default::default()
        })
        .node(node("Mul", "x w", "y"))
        .typed_output("y", F16, [2]);
    let imported = model.import();
    assert_eq!(imported.inputs[0].ty, TensorType::f32([2]));
    assert_eq!(imported.inputs[0].element, ElementType::Float16);
    assert_eq!(imported.outputs[0].element, ElementType::Float16);
    assert_eq!(imported.notes, ["input x: float16 is computed in f32", "float16 is computed in f32"]);
    assert_eq!(answer(&imported, &[3.0, 4.0]), [3.0, -8.0]);

    let double = |w: f64| {
        let model = Model::new().input("x", F32, [1]).initializer("w", [1], &[w]);
        model.node(node("Mul", "x w", "y")).output("y").import().notes
    };
    assert!(double(0.5).is_empty());
    assert_eq!(double(0.1), ["double is rounded to f32"]);
}

#[test]
fn a_cast_to_half_precision_changes_nothing() {
    let imported = unary("2", node("Cast", "x", "y").int("to", i64::from(F16))).import();
    assert_eq!(answer(&imported, &[0.1, 2.0]), [0.1, 2.0]);
    assert_eq!(imported.notes, ["float16 is computed in f32"]);
}

#[test]
fn typed_fields_are_read_like_raw_data() {
    let model = |data_type, fill: fn(&mut onnx_protobuf::TensorProto)| {
        let mut weight = tensor::<u8>("w", &[2], &[]);
        weight.data_type = data_type;
        fill(&mut weight);
        let model = Model::new().input("x", F32, [1]).node(node("Neg", "x", "y")).tensor(weight);
        let imported = model.output("y").output("w").import();
        imported.graph.tensor(imported.graph.outputs()[1].1).unwrap().clone()
    };
    assert_eq!(model(F32, |w| w.float_data = vec![1.0, 2.0]).to_f32(), [1.0, 2.0]);
    assert_eq!(model(F64, |w| w.double_data = vec![1.0, 2.0]).to_f32(), [1.0, 2.0]);
    assert_eq!(model(I64, |w| w.int64_data = vec![-1, 2]).to_i64(), [-1, 2]);
    assert_eq!(model(12, |w| w.uint64_data = vec![1, 4_000_000_000]).to_i64(), [1, 4_000_000_000]);
    let flags = model(BOOL, |w| w.int32_data = vec![1, 0]);
    assert_eq!((flags.ty.dtype, flags.to_i64()), (DType::Bool, vec![1, 0]));
}

#[test]
fn modules_are_known_to_every_node_of_a_call() {
    let model =
        Model::new()
            .input("x", F32, [1, 3, 4, 4])
            .initializer("w", [2, 3, 1, 1], &noise(1, 6))
            .node(node("Conv", "x w", "c").named("/features/features.0/features.0.0/Conv"))
            .node(node("Relu", "c", "y").named("node_relu").metadata(
                "pkg.torch.onnx.name_scopes",
                "['', 'features', 'features.0', 'features.0.1', 'relu']",
            ))
            .output("y");
    let imported = model.import();
    assert_eq!(imported.graph.module(only_node(&imported, "node_relu")), Some("features.0.1"));
    let others = imported.graph.order().into_iter().filter(|&id| imported.graph.module(id).is_some());
    assert!(others.count() > 1, "{}", imported.graph.text());
    assert_eq!(imported.graph.module(only_node(&imported, "/features")), Some("features.0.0"));
}

#[test]
fn shape_arithmetic_does_not_reach_the_graph() {
    let model = Model::new()
        .input("x", F32, "N,3,4,4")
        .initializer("zero", [], &[0_i64])
        .initializer("axes", [1], &[0_i64])
        .initializer("rest", [1], &[-1_i64])
        .node(node("Shape", "x", "shape"))
        .node(node("Gather", "shape zero", "n"))
        .node(node("Unsqueeze", "n axes", "n1"))
        .node(node("Concat", "n1 rest", "target").int("axis", 0))
        .node(node("Reshape", "x target", "y"))
        .output("y");
    let imported = model.import();
    assert_eq!(imported.outputs[0].ty, TensorType::f32([1, 48]));
    assert_eq!(imported.graph.order().len(), 2, "{}", imported.graph.text());
}

#[test]
fn integer_weights_keep_their_scales() {
    let model = Model::new()
        .input("x", F32, [1, 2])
        .initializer("q", [2, 2], &[1_i8, 2, 3, 4])
        .initializer("s", [], &[0.5_f32])
        .node(node("DequantizeLinear", "q s", "w"))
        .node(node("MatMul", "x w", "y"))
        .output("y");
    let imported = model.import();
    assert!(imported.graph.text().contains("quantize"), "{}", imported.graph.text());
    assert_eq!(answer(&imported, &[1.0, 1.0]), [2.0, 3.0]);
}

#[test]
fn ports_are_as_the_model_declares_them() {
    let model = unary("N,2", node("Relu", "x", "y")).edit_graph(|graph| {
        graph.output[0] = value("y", F32, "N,2");
    });
    let imported = model.edit(|model| model.producer_version = "1.2".into()).import();
    assert_eq!(imported.producer, "mobilec-tests 1.2");
    assert_eq!((imported.outputs[0].name.as_str(), &imported.outputs[0].ty), ("y", &TensorType::f32([1, 2])));
}
