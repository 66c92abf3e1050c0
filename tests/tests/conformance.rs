//! The node tests of ONNX itself, for every operator that is imported: the expected outputs against the
//! reference interpreter's, for the graph as imported and as fused, and against those of emitted code.
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

use mobilec::driver::{self, Compiled, Model, Options, optimize};
use mobilec::graph::Graph;
use mobilec::onnx::import;
use mobilec::plan::{Inputs, Objective};
use mobilec::reference::{Array, run};
use mobilec::tensor::Tensor;
use mobilec_tests::emitted::target;
use mobilec_tests::node_tests::{Failure, NodeTest, load, one_line};
use mobilec_tests::{batch, folder, skip};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn tests(name: &str) -> Option<Vec<Result<NodeTest, Failure>>> {
    let Some(folder) = folder("MOBILEC_ONNX_TESTS") else {
        skip(name, "MOBILEC_ONNX_TESTS names no folder");
        return None;
    };
    Some(load(&folder.join("node")))
}

#[test]
fn the_reference_agrees() {
    let Some(tests) = tests("the_reference_agrees") else { return };
    let (mut passing, mut failing) = (BTreeSet::new(), BTreeMap::new());
    for test in tests {
        let (name, outcome) = match &test {
            Ok(test) => (&test.name, catch_unwind(|| check(test)).unwrap_or_else(|_| Err("panic".into()))),
            Err((name, why)) => (name, Err(why.clone())),
        };
        match outcome {
            Ok(()) => _ = passing.insert(name.clone()),
            Err(why) => _ = failing.insert(name.clone(), why),
        }
    }
    failing.iter().for_each(|(name, why)| println!("{name}: {why}"));
    println!("{} pass, {} fail", passing.len(), failing.len());
    if std::env::var_os("MOBILEC_ONNX_WRITE").is_some() {
        let lines: String = passing.iter().map(|name| format!("{name}\n")).collect();
        std::fs::write(passing_file(), lines).expect("passing.txt");
    }
    compare_with_list(&passing, &failing);
}

fn compare_with_list(passing: &BTreeSet<String>, failing: &BTreeMap<String, String>) {
    let panics: Vec<_> = failing.iter().filter(|(_, why)| *why == "panic").collect();
    assert!(panics.is_empty(), "{panics:#?}");
    let listed = listed();
    let broken: Vec<_> = listed.difference(passing).map(|name| (name, failing.get(name))).collect();
    assert!(broken.is_empty(), "these passed before: {broken:#?}");
    let new: Vec<_> = passing.difference(&listed).collect();
    assert!(new.is_empty(), "these pass now; list them with MOBILEC_ONNX_WRITE=1: {new:#?}");
}

fn passing_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/passing.txt")
}

fn listed() -> BTreeSet<String> {
    std::fs::read_to_string(passing_file()).expect("passing.txt").lines().map(str::to_owned).collect()
}

/// Interprets the model as imported and as fused, and compiles it.
fn check(test: &NodeTest) -> Result<(), String> {
    test.with_constants(|model| {
        let imported = import(&model.name, model.bytes.clone(), &model.import).map_err(|e| one_line(&e))?;
        interpret(test, &imported.graph)?;
        let (fused, _) = optimize(&imported.graph).map_err(|e| format!("fusing: {}", one_line(&e)))?;
        interpret(test, &fused).map_err(|why| format!("fused: {why}"))?;
        compile(model, "portable", Objective::LayerByLayer, 0).map(drop)
    })
}

fn interpret(test: &NodeTest, graph: &Graph) -> Result<(), String> {
    let given: Vec<Array> = graph.inputs().iter().map(|&id| test.given[graph.name(id)].clone()).collect();
    let trace = run(graph, &given).map_err(|fault| fault.message)?;
    graph.outputs().iter().try_for_each(|(name, id)| test.compare(name, &trace[id]))
}

fn compile(model: &Model, on: &str, objective: Objective, number: usize) -> Result<Compiled, String> {
    let inputs = if objective == Objective::Memory { Inputs::Arena } else { Inputs::Borrowed };
    let options = Options { objective, inputs, ..Options::new(target(on), format!("net{number}")) };
    driver::compile(model, &options).map_err(|e| format!("compiling: {}", one_line(&e)))
}

#[test]
fn portable_code_agrees() {
    emitted_code_agrees("portable", "portable", Objective::LayerByLayer);
}

#[test]
fn row_streaming_code_agrees() {
    emitted_code_agrees("streaming", "portable", Objective::Memory);
}

#[test]
fn avx2_code_agrees() {
    if std::env::consts::ARCH == "x86_64" {
        emitted_code_agrees("avx2", "x86-64-avx2", Objective::LayerByLayer);
    }
}

/// All listed tests in one program.
fn emitted_code_agrees(name: &str, target: &str, objective: Objective) {
    let Some(tests) = tests(name) else { return };
    let listed = listed();
    let tests: Vec<NodeTest> =
        tests.into_iter().flatten().filter(|test| listed.contains(&test.name)).collect();
    let cases: Vec<(Compiled, Vec<u8>)> =
        tests.iter().enumerate().map(|(n, test)| case(test, target, objective, n)).collect();
    let outputs = batch::run(name, &cases);
    let wrong: Vec<String> = tests
        .iter()
        .zip(cases.iter().zip(&outputs))
        .filter_map(|(test, ((compiled, _), output))| Some((test, outcome(test, compiled, output).err()?)))
        .map(|(test, why)| format!("{}: {why}", test.name))
        .collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), tests.len());
}

fn case(test: &NodeTest, target: &str, objective: Objective, number: usize) -> (Compiled, Vec<u8>) {
    let compiled = test
        .with_constants(|model| compile(model, target, objective, number))
        .unwrap_or_else(|why| panic!("{}: {why}", test.name));
    let inputs = compiled.plan.inputs.iter();
    let bytes = inputs.flat_map(|port| Tensor::from(&test.given[&port.name]).bytes().to_vec()).collect();
    (compiled, bytes)
}

fn outcome(test: &NodeTest, compiled: &Compiled, mut output: &[u8]) -> Result<(), String> {
    for port in &compiled.plan.outputs {
        let (head, tail) = output.split_at(port.ty.bytes());
        let tensor = Tensor::new(port.ty.clone(), head.to_vec().into()).expect("as many bytes");
        test.compare(&port.name, &Array::from(&tensor))?;
        output = tail;
    }
    Ok(())
}
