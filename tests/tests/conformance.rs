//! The node tests of ONNX itself, for every operator that is imported: the reference interpreter's answer
//! against the expected one, for the graph as imported and as fused; and a plan must be found for it.
//!
//! They are in the Python package `onnx`, up to version 1.22.0; later ones leave them out. Their
//! directory is given by `MOBILEC_ONNX_TESTS`:
//!
//! ```sh
//! pip install onnx==1.22.0
//! export MOBILEC_ONNX_TESTS=$(python -c 'import onnx, os; print(os.path.dirname(onnx.__file__))')/backend/test/data
//! cargo test -p mobilec-tests --test conformance
//! ```
//!
//! `tests/conformance/passing.txt` lists the tests that must pass. With `MOBILEC_ONNX_WRITE=1` it is written
//! anew; `-- --nocapture` shows why each of the others of the same operators fails.

use mobilec::Error;
use mobilec::driver::optimize;
use mobilec::onnx::{ImportOptions, Imported, import};
use mobilec::plan::{self, Objective, PlanOptions};
use mobilec::reference::{Array, Data, run};
use mobilec::tensor::Tensor;
use mobilec_tests::emitted::target;
use mobilec_tests::onnx::array;
use mobilec_tests::{folder, skip};
use onnx_protobuf::{Message, ModelProto, TensorProto};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[test]
fn node_tests_of_onnx() {
    let Some(directory) = folder("MOBILEC_ONNX_TESTS") else {
        return skip("node_tests_of_onnx", "MOBILEC_ONNX_TESTS names no folder");
    };
    let (mut passing, mut failing) = (BTreeSet::new(), BTreeMap::new());
    for (name, path) in cases(&directory.join("node")) {
        match catch_unwind(|| check(&path)).unwrap_or_else(|_| Err("panic".into())) {
            Ok(()) => drop(passing.insert(name)),
            Err(why) => drop(failing.insert(name, why)),
        }
    }
    failing.iter().for_each(|(name, why)| println!("{name}: {why}"));
    println!("{} pass, {} fail", passing.len(), failing.len());
    if std::env::var_os("MOBILEC_ONNX_WRITE").is_some() {
        let lines: String = passing.iter().map(|name| format!("{name}\n")).collect();
        std::fs::write(passing_file(), lines).expect("passing.txt");
    }
    let panics: Vec<_> = failing.iter().filter(|(_, why)| *why == "panic").collect();
    assert!(panics.is_empty(), "{panics:#?}");
    let listed = std::fs::read_to_string(passing_file()).expect("passing.txt");
    let listed: Vec<String> = listed.lines().map(str::to_owned).collect();
    let broken: Vec<_> = listed.iter().filter(|name| !passing.contains(*name)).collect();
    let why: Vec<_> = broken.iter().map(|name| (name, failing.get(*name))).collect();
    assert!(broken.is_empty(), "these passed before: {why:#?}");
    let new: Vec<_> = passing.iter().filter(|name| !listed.contains(name)).collect();
    assert!(new.is_empty(), "these pass now; list them with MOBILEC_ONNX_WRITE=1: {new:#?}");
}

fn passing_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/passing.txt")
}

/// Name and folder of every test that uses only operators that are imported.
fn cases(directory: &Path) -> Vec<(String, PathBuf)> {
    let known: BTreeSet<&str> =
        mobilec::ops::ONNX.iter().flat_map(|s| s.iter()).map(|(name, _)| *name).collect();
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the directory of MOBILEC_ONNX_TESTS") {
        let path = entry.expect("an entry of the directory").path();
        let Ok(bytes) = std::fs::read(path.join("model.onnx")) else { continue };
        let model = ModelProto::parse_from_bytes(&bytes).expect("a model");
        if model.graph.node.iter().all(|node| node.domain.is_empty() && known.contains(&*node.op_type)) {
            cases.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path));
        }
    }
    cases
}

/// One test, on each of its data sets. Inputs are given by the caller; where something must be a
/// constant, all but the first input are, and then all, which tests the folding.
fn check(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path.join("model.onnx")).map_err(|e| e.to_string())?;
    let model = ModelProto::parse_from_bytes(&bytes).map_err(|e| e.to_string())?;
    let names: Vec<String> = model.graph.input.iter().map(|input| input.name.clone()).collect();
    for set in (0..).map(|n| path.join(format!("test_data_set_{n}"))).take_while(|set| set.exists()) {
        let inputs = values(&set, "input", names.iter())?;
        let expected = values(&set, "output", model.graph.output.iter().map(|v| &v.name))?;
        let mut dynamic = names.len();
        while let Err(why) = check_set(&model, &bytes, &names[..dynamic], &inputs, &expected) {
            if dynamic == 0 || !needs_constants(&why) {
                return Err(why);
            }
            dynamic = usize::from(dynamic > 1);
        }
    }
    Ok(())
}

fn check_set(
    model: &ModelProto,
    bytes: &[u8],
    dynamic: &[String],
    inputs: &Values,
    expected: &Values,
) -> Result<(), String> {
    let imported = import_test(model, bytes, dynamic, inputs)?;
    compare(&imported, inputs, expected)?;
    let (graph, _) = optimize(&imported.graph).map_err(|e| format!("optimised: {}", one_line(&e)))?;
    let fused = Imported { graph, ..imported };
    compare(&fused, inputs, expected).map_err(|why| format!("optimised: {why}"))?;
    let options = PlanOptions { target: target("portable"), objective: Objective::LayerByLayer };
    let plan = plan::build(&fused.graph, &options).map_err(|e| format!("plan: {}", one_line(&e)))?;
    plan::check::check(&plan).map_err(|fault| format!("plan: {fault}"))
}

type Values = BTreeMap<String, Array>;

fn values<'a>(set: &Path, kind: &str, names: impl Iterator<Item = &'a String>) -> Result<Values, String> {
    let mut values = Values::new();
    for (n, name) in names.enumerate() {
        let bytes = std::fs::read(set.join(format!("{kind}_{n}.pb"))).map_err(|e| e.to_string())?;
        let proto = TensorProto::parse_from_bytes(&bytes).map_err(|_| "not a tensor")?;
        values.insert(name.clone(), array(&proto)?);
    }
    Ok(values)
}

/// Where an output is not computed, the first one alone is asked for.
fn import_test(
    model: &ModelProto,
    bytes: &[u8],
    dynamic: &[String],
    inputs: &Values,
) -> Result<Imported, String> {
    let first = model.graph.output.iter().take(1).map(|output| output.name.clone()).collect();
    let import = |until_outputs| {
        import("model", bytes.to_vec().into(), &options(inputs, dynamic, until_outputs))
            .map_err(|error| one_line(&error))
    };
    import(Vec::new()).or_else(|why| if why.contains("is not computed") { import(first) } else { Err(why) })
}

fn needs_constants(error: &str) -> bool {
    error.contains("must be a constant") || error.contains("which has no elements")
}

fn options(inputs: &Values, dynamic: &[String], until_outputs: Vec<String>) -> ImportOptions {
    let shapes = inputs.iter().filter(|(name, _)| dynamic.contains(name));
    let constants = inputs.iter().filter(|(name, _)| !dynamic.contains(name));
    ImportOptions {
        input_shapes: shapes.map(|(name, value)| (name.clone(), value.ty.shape.clone())).collect(),
        constants: constants.map(|(name, value)| (name.clone(), Tensor::from(value))).collect(),
        until_outputs,
        ..ImportOptions::default()
    }
}

fn one_line(error: &Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().skip(1).filter(|line| !line.trim().starts_with("× node")).collect();
    lines.iter().map(|line| line.trim().trim_start_matches("× ")).collect::<Vec<_>>().join("; ")
}

fn compare(imported: &Imported, inputs: &Values, expected: &Values) -> Result<(), String> {
    let given: Vec<Array> = imported.inputs.iter().map(|port| inputs[&port.name].clone()).collect();
    let trace = run(&imported.graph, &given).map_err(|fault| fault.message)?;
    for (port, (_, id)) in imported.outputs.iter().zip(imported.graph.outputs()) {
        let (actual, expected) = (&trace[id], &expected[&port.name]);
        if actual.ty != expected.ty {
            return Err(format!("{} is {}, expected {}", port.name, actual.ty, expected.ty));
        }
        if let Some((i, (a, e))) = first_difference(actual, expected) {
            return Err(format!("{}[{i}] is {a}, expected {e}", port.name));
        }
    }
    Ok(())
}

/// ONNX's own runner allows 1e-3 of a float and 1e-7 beside it; integers are exact.
fn first_difference(actual: &Array, expected: &Array) -> Option<(usize, (f64, f64))> {
    let is_exact = matches!(expected.data, Data::Int(_));
    let differs = |&(_, (a, e)): &(usize, (f64, f64))| {
        let same = a == e || (a.is_nan() && e.is_nan());
        !same && (is_exact || !((a - e).abs() <= 1e-3 * e.abs() + 1e-7))
    };
    actual.to_floats().into_iter().zip(expected.to_floats()).enumerate().find(differs)
}
