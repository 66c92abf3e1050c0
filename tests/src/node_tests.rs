//! The node tests of ONNX: a model, its inputs, and the outputs that are expected, one folder each.

use crate::onnx::array;
use mobilec::Error;
use mobilec::driver::Model;
use mobilec::onnx::{ImportOptions, import};
use mobilec::reference::{Array, Data};
use mobilec::tensor::Tensor;
use onnx_protobuf::{Message, ModelProto, TensorProto};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Values by name.
pub type Values = BTreeMap<String, Array>;

/// One data set of one test.
#[derive(Debug)]
pub struct NodeTest {
    /// The folder's name, and the data set's number where it is not the first: `test_relu`.
    pub name: String,
    bytes: Vec<u8>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Values of the inputs.
    pub given: Values,
    /// Values of the outputs.
    pub expected: Values,
}

/// Why a test cannot be read or does not pass.
pub type Failure = (String, String);

/// Tests that use only operators that are imported, in the order of their names.
///
/// # Panics
///
/// On a folder that cannot be read.
pub fn load(folder: &Path) -> Vec<Result<NodeTest, Failure>> {
    let known: BTreeSet<&str> =
        mobilec::ops::ONNX.iter().flat_map(|s| s.iter()).map(|(name, _)| *name).collect();
    let mut tests = Vec::new();
    let folders: BTreeSet<_> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    for folder in folders {
        let Ok(bytes) = fs::read(folder.join("model.onnx")) else { continue };
        let model = ModelProto::parse_from_bytes(&bytes).expect("a model");
        if model.graph.node.iter().all(|node| node.domain.is_empty() && known.contains(&*node.op_type)) {
            let sets = (0..).map(|n| (n, folder.join(format!("test_data_set_{n}"))));
            tests.extend(sets.take_while(|(_, set)| set.exists()).map(|(n, set)| {
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                let name = if n == 0 { name.into_owned() } else { format!("{name}/{n}") };
                read(&name, &bytes, &model, &set).map_err(|why| (name, why))
            }));
        }
    }
    tests
}

fn read(name: &str, bytes: &[u8], model: &ModelProto, set: &Path) -> Result<NodeTest, String> {
    let inputs: Vec<String> = model.graph.input.iter().map(|value| value.name.clone()).collect();
    let outputs: Vec<String> = model.graph.output.iter().map(|value| value.name.clone()).collect();
    let (given, expected) = (values(set, "input", &inputs)?, values(set, "output", &outputs)?);
    Ok(NodeTest { name: name.into(), bytes: bytes.to_vec(), inputs, outputs, given, expected })
}

fn values(set: &Path, kind: &str, names: &[String]) -> Result<Values, String> {
    let mut values = Values::new();
    for (n, name) in names.iter().enumerate() {
        let bytes = fs::read(set.join(format!("{kind}_{n}.pb"))).map_err(|e| e.to_string())?;
        let proto = TensorProto::parse_from_bytes(&bytes).map_err(|_| "not a tensor")?;
        values.insert(name.clone(), array(&proto)?);
    }
    Ok(values)
}

impl NodeTest {
    /// Calls `check` on the test's model with all inputs given by the caller; where it needs constants,
    /// with all but the first input constant, and then with all, which tests the folding.
    ///
    /// # Errors
    ///
    /// What `check` says.
    pub fn with_constants<T>(&self, check: impl Fn(&Model) -> Result<T, String>) -> Result<T, String> {
        let mut given = self.inputs.len();
        loop {
            match self.model(&self.inputs[..given]).and_then(|model| check(&model)) {
                Err(why) if given > 0 && needs_constants(&why) => given = usize::from(given > 1),
                outcome => return outcome,
            }
        }
    }

    /// The model; where not all outputs are computed, cut to the first one.
    fn model(&self, given: &[String]) -> Result<Model, String> {
        let model = |until_outputs| Model {
            name: self.name.clone(),
            bytes: self.bytes.clone().into(),
            import: self.options(given, until_outputs),
            pixels: None,
            language: mobilec::driver::Language::Onnx,
        };
        let all = model(Vec::new());
        match import(&all.name, all.bytes.clone(), &all.import) {
            Ok(_) => Ok(all),
            Err(error) => match one_line(&error) {
                why if why.contains("is not computed") => Ok(model(self.outputs[..1].to_vec())),
                why => Err(why),
            },
        }
    }

    fn options(&self, given: &[String], until_outputs: Vec<String>) -> ImportOptions {
        let shapes = self.given.iter().filter(|(name, _)| given.contains(name));
        let constants = self.given.iter().filter(|(name, _)| !given.contains(name));
        ImportOptions {
            input_shapes: shapes.map(|(name, value)| (name.clone(), value.ty.shape.clone())).collect(),
            constants: constants.map(|(name, value)| (name.clone(), Tensor::from(value))).collect(),
            until_outputs,
            ..ImportOptions::default()
        }
    }

    /// Compares an output with the expected one.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn compare(&self, output: &str, actual: &Array) -> Result<(), String> {
        let expected = &self.expected[output];
        if actual.ty != expected.ty {
            return Err(format!("{output} is {}, expected {}", actual.ty, expected.ty));
        }
        match first_difference(actual, expected) {
            Some((at, (a, e))) => Err(format!("{output}[{at}] is {a}, expected {e}")),
            None => Ok(()),
        }
    }
}

fn needs_constants(why: &str) -> bool {
    why.contains("must be a constant") || why.contains("which has no elements")
}

/// The problems of an error, without their places.
pub fn one_line(error: &Error) -> String {
    let text = error.to_string();
    let lines = text.lines().skip(1).filter(|line| !line.trim().starts_with("× node"));
    lines.map(|line| line.trim().trim_start_matches("× ")).collect::<Vec<_>>().join("; ")
}

/// ONNX's own runner allows 1e-3 of a float and 1e-7 beside it; integers are exact.
fn first_difference(actual: &Array, expected: &Array) -> Option<(usize, (f64, f64))> {
    let is_exact = matches!(expected.data, Data::Int(_));
    let differs = |&(_, (a, e)): &(usize, (f64, f64))| {
        let same = a == e || (a.is_nan() && e.is_nan());
        let far = (a - e).abs() > 1e-3 * e.abs() + 1e-7 || a.is_nan() != e.is_nan();
        !same && (is_exact || far)
    };
    actual.to_floats().into_iter().zip(expected.to_floats()).enumerate().find(differs)
}
