//! The node tests of ONNX itself, for every operator that is imported: the reference interpreter's answer
//! against the expected one.
//!
//! They are in the Python package `onnx`, up to version 1.22.0; later ones leave them out. Their
//! directory is given by `MOBILEC_ONNX_TESTS`:
//!
//! ```sh
//! pip install onnx==1.22.0
//! export MOBILEC_ONNX_TESTS=$(python -c 'import onnx, os; print(os.path.dirname(onnx.__file__))')/backend/test/data/node
//! cargo test -p mobilec-tests --test conformance
//! ```
//!
//! `tests/conformance/passing.txt` lists the tests that must pass. With `MOBILEC_ONNX_WRITE=1` it is written
//! anew, and `tests/conformance/failing.txt` beside it says why the others of the same operators fail.

use mobilec::onnx::{ImportOptions, Imported, import};
use mobilec::reference::{Array, Data, run};
use mobilec::tensor::Tensor;
use mobilec_tests::onnx::array;
use onnx_protobuf::{Message, ModelProto, TensorProto};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[test]
fn node_tests_of_onnx() {
    let Some(directory) = std::env::var_os("MOBILEC_ONNX_TESTS").map(PathBuf::from) else {
        eprintln!("skipped: MOBILEC_ONNX_TESTS does not name the node tests of ONNX");
        return;
    };
    let (mut passing, mut failing) = (BTreeSet::new(), BTreeMap::new());
    for (name, path) in cases(&directory) {
        match catch_unwind(|| check(&path)).unwrap_or_else(|_| Err("panic".into())) {
            Ok(()) => drop(passing.insert(name)),
            Err(why) => drop(failing.insert(name, why)),
        }
    }
    println!("{} pass, {} fail", passing.len(), failing.len());
    if std::env::var_os("MOBILEC_ONNX_WRITE").is_some() {
        write(&passing, &failing);
    }
    let panics: Vec<_> = failing.iter().filter(|(_, why)| *why == "panic").collect();
    assert!(panics.is_empty(), "{panics:#?}");
    let listed: Vec<String> = list("passing.txt").lines().map(str::to_owned).collect();
    let broken: Vec<_> = listed.iter().filter(|name| !passing.contains(*name)).collect();
    let why: Vec<_> = broken.iter().map(|name| (name, failing.get(*name))).collect();
    assert!(broken.is_empty(), "these passed before: {why:#?}");
    let new: Vec<_> = passing.iter().filter(|name| !listed.contains(name)).collect();
    assert!(new.is_empty(), "these pass now; list them with MOBILEC_ONNX_WRITE=1: {new:#?}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

fn list(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).expect(file)
}

fn write(passing: &BTreeSet<String>, failing: &BTreeMap<String, String>) {
    let lines = |lines: Vec<String>| lines.join("\n") + "\n";
    let passing = lines(passing.iter().cloned().collect());
    let failing = lines(failing.iter().map(|(name, why)| format!("{name}: {why}")).collect());
    std::fs::write(folder().join("passing.txt"), passing).expect("passing.txt");
    std::fs::write(folder().join("failing.txt"), failing).expect("failing.txt");
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

/// One test, on each of its data sets.
fn check(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path.join("model.onnx")).map_err(|e| e.to_string())?;
    let model = ModelProto::parse_from_bytes(&bytes).map_err(|e| e.to_string())?;
    for set in (0..).map(|n| path.join(format!("test_data_set_{n}"))).take_while(|set| set.exists()) {
        let inputs = values(&set, "input", model.graph.input.iter().map(|v| &v.name))?;
        let expected = values(&set, "output", model.graph.output.iter().map(|v| &v.name))?;
        let first = model.graph.input.first().map(|input| input.name.as_str());
        let imported = import_test(&bytes, &inputs, first)?;
        compare(&imported, &inputs, &expected)?;
    }
    Ok(())
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

/// Imports with inputs that the caller gives; where an operator needs a constant, with all but the first
/// input as constants.
fn import_test(bytes: &[u8], inputs: &Values, first: Option<&str>) -> Result<Imported, String> {
    let constants = |all: bool| {
        let given = inputs.iter().filter(|(name, _)| all && Some(name.as_str()) != first);
        let constants = given.map(|(name, value)| (name.clone(), Tensor::from(value))).collect();
        ImportOptions { constants, input_shapes: shapes(inputs, all, first), ..ImportOptions::default() }
    };
    import("model", bytes.to_vec().into(), &constants(false))
        .or_else(|error| match error.to_string().contains("must be a constant") {
            true => import("model", bytes.to_vec().into(), &constants(true)),
            false => Err(error),
        })
        .map_err(|error| one_line(&error.to_string()))
}

fn shapes(inputs: &Values, only_first: bool, first: Option<&str>) -> BTreeMap<String, Vec<usize>> {
    let given = inputs.iter().filter(|(name, _)| !only_first || Some(name.as_str()) == first);
    given.map(|(name, value)| (name.clone(), value.ty.shape.clone())).collect()
}

fn one_line(text: &str) -> String {
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
