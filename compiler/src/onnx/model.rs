//! From bytes to the message of a model: what is no ONNX file is told by what it is instead, and the
//! versions are checked.

use super::external;
use super::notes::Notes;
use super::origin;
use super::proto::{EXTERNAL, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::error::{Error, Fault, Problem};
use bytes::Bytes;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

/// IR versions of which the meaning is known: from the first one with operator sets.
const IR: (i64, i64) = (3, 13);

/// Versions of the default operator set of which the meaning is known: from the first one with
/// broadcasting as in NumPy.
const OPSET: (i64, i64) = (7, 26);

/// A model whose versions are known.
#[derive(Debug)]
pub struct Model {
    /// The graph.
    pub graph: GraphProto,
    /// Versions of the operator sets, by domain; the default one is `""`.
    pub opsets: BTreeMap<String, i64>,
    /// The functions that the model defines: domain and name.
    pub functions: BTreeSet<(String, String)>,
    /// Who made it: `pytorch 2.9.0`; may be empty.
    pub producer: String,
}

impl Model {
    /// Reads a model.
    ///
    /// # Errors
    ///
    /// Bytes that are no ONNX model, or one of a version that is not known.
    pub fn read(bytes: &Bytes, notes: &mut Notes) -> Result<Self, Fault> {
        let proto = decode(bytes)?;
        check_ir(proto.ir_version, notes)?;
        let opsets = opsets(&proto)?;
        check_opset(opsets.get("").copied(), notes)?;
        let producer = format!("{} {}", proto.producer_name, proto.producer_version).trim().to_owned();
        let functions = proto.functions.into_iter().map(|f| (plain_domain(f.domain), f.name)).collect();
        let graph = proto.graph.ok_or_else(|| Fault::model("the model has no graph"))?;
        Ok(Self { graph, opsets, functions, producer })
    }

    /// A problem at a node.
    pub fn problem(&self, node: &NodeProto, fault: Fault) -> Problem {
        let domain = plain_domain(node.domain.clone());
        let version = self.opset_of(&domain);
        let set = if domain.is_empty() { String::new() } else { format!("{domain} ") };
        let operator = origin::shown(&format!("{}, {set}opset {version}", node.op_type));
        Problem { node: origin::name(node), operator, module: origin::module(node), fault }
    }

    /// Version of the default operator set.
    pub fn opset(&self) -> i64 {
        self.opset_of("")
    }

    /// Version of a domain's operator set; 1 for one that the model forgot to import.
    pub fn opset_of(&self, domain: &str) -> i64 {
        self.opsets.get(domain).copied().unwrap_or(1)
    }
}

/// The default domain has two names.
pub fn plain_domain(domain: String) -> String {
    if domain == "ai.onnx" { String::new() } else { domain }
}

/// The files that a model's tensors lie in, each once, by the location that the model names, relative to
/// the model. Give their contents as [`ImportOptions::external`](super::ImportOptions::external).
///
/// # Errors
///
/// Bytes that are no ONNX model, and locations outside the model's directory.
pub fn external_files(name: &str, model: &Bytes) -> Result<Vec<String>, Error> {
    let refuse = |fault| Error::whole(format!("{name} cannot be read"), fault);
    let graph = decode(model).map_err(refuse)?.graph.unwrap_or_default();
    let attributes = graph.node.iter().flat_map(|node| &node.attribute).filter_map(|a| a.t.as_ref());
    let mut files = BTreeSet::new();
    let mut problems = Vec::new();
    for tensor in graph.initializer.iter().chain(attributes).filter(|t| t.data_location == EXTERNAL) {
        match external::location(&tensor.external_data) {
            Ok(location) => drop(files.insert(location.to_owned())),
            Err(fault) => problems.push(Problem::whole(of_tensor(tensor, fault))),
        }
    }
    match problems.is_empty() {
        true => Ok(files.into_iter().collect()),
        false => Err(Error::problems(format!("{name} cannot be read"), problems)),
    }
}

/// Says of which tensor a fault is.
pub fn of_tensor(tensor: &TensorProto, mut fault: Fault) -> Fault {
    fault.message = format!("tensor {}: {}", origin::shown(&tensor.name), fault.message);
    fault
}

fn decode(bytes: &Bytes) -> Result<ModelProto, Fault> {
    let decoded = ModelProto::decode(bytes.clone());
    match decoded {
        Ok(proto) if proto.graph.is_some() && proto.ir_version != 0 => Ok(proto),
        Ok(_) => Err(recognise(bytes).unwrap_or_else(|| not_onnx("it has no graph or no IR version"))),
        Err(error) => Err(recognise(bytes).unwrap_or_else(|| not_onnx(&error.to_string()))),
    }
}

fn not_onnx(why: &str) -> Fault {
    Fault::model(format!("this is no ONNX model, or one that was cut off: {why}"))
        .help("export or download it again; a file that other tools read is worth a bug report")
}

/// What a file that is no ONNX model is.
fn recognise(bytes: &Bytes) -> Option<Fault> {
    let (what, help) = match &bytes[..] {
        [] => ("the file is empty", "export or download it again"),
        all if all.iter().all(|&b| b == 0) => ("the file is all zeros", "export or download it again"),
        [b'P', b'K', 3, 4, ..] | [0x80, 2, ..] => {
            ("this is a PyTorch or zip file, not an ONNX model", "export it with torch.onnx.export")
        }
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => {
            ("this is a TensorFlow Lite file, not an ONNX model", "convert it with tf2onnx --tflite")
        }
        [0x89, b'H', b'D', b'F', ..] => {
            ("this is an HDF5 (Keras) file, not an ONNX model", "convert it with tf2onnx")
        }
        all if all.starts_with(b"version https://git-lfs") => {
            ("this is a pointer of Git LFS, not the model itself", "fetch it with git lfs pull")
        }
        all if is_text(all) => ("this is a text file, not an ONNX model", "give the .onnx file"),
        _ => return None,
    };
    Some(Fault::model(what).help(help))
}

fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(4096)];
    let is_utf8 = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && start.iter().all(|&b| (b >= 32 && b != 127) || matches!(b, b'\t' | b'\n' | b'\r'))
}

fn check_ir(version: i64, notes: &mut Notes) -> Result<(), Fault> {
    if version < IR.0 {
        return Err(Fault::unsupported(format!(
            "IR version {version} is not supported; {} is the first",
            IR.0
        ))
        .help("convert the model with onnx.version_converter"));
    }
    if version > IR.1 {
        notes.add(format!("IR version {version} is newer than {}, the last one that is known", IR.1));
    }
    Ok(())
}

fn check_opset(version: Option<i64>, notes: &mut Notes) -> Result<(), Fault> {
    let Some(version) = version else {
        return Err(Fault::model("the model does not say which version of ONNX's operators it uses"));
    };
    if version < OPSET.0 {
        return Err(Fault::unsupported(format!(
            "opset {version} is not supported; {} is the first",
            OPSET.0
        ))
        .help(format!("convert the model with onnx.version_converter to opset {} or later", OPSET.0)));
    }
    if version > OPSET.1 {
        notes.add(format!("opset {version} is newer than {}, the last one that is known", OPSET.1));
    }
    Ok(())
}

fn opsets(proto: &ModelProto) -> Result<BTreeMap<String, i64>, Fault> {
    let mut opsets = BTreeMap::new();
    for set in &proto.opset_import {
        let domain = plain_domain(set.domain.clone());
        if opsets.insert(domain, set.version).is_some_and(|other| other != set.version) {
            return Err(Fault::model(format!("two versions of the operator set {:?}", set.domain)));
        }
    }
    Ok(opsets)
}
