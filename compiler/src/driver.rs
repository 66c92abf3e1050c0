//! The way from a model's bytes to a plan and a module, phase by phase.

use crate::codegen::{self, Module, ModuleOptions};
use crate::error::{Error, Result};
use crate::fusions;
use crate::graph::{Graph, Phase, verify};
use crate::onnx::{self, ImportOptions};
use crate::passes;
use crate::pixels::Input;
use crate::plan::{self, Objective, Plan, PlanOptions};
use bytes::Bytes;
use mobilec_targets::Target;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A model's bytes and the name under which errors speak of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// File name, without its folder.
    pub name: String,
    /// The ONNX file.
    pub bytes: Bytes,
    /// What the user decides about it.
    pub import: ImportOptions,
    /// The input is to take pixels, which the network normalises itself.
    pub pixels: Option<Input>,
}

/// What to compile for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The CPU.
    pub target: &'static Target,
    /// The module's name: `NAME.rs`, `NAME.weights.bin`.
    pub name: String,
    /// The command that makes the module again, for its header; may be empty.
    pub command: String,
    /// Emit `run_observed` instead of `run`.
    pub observe: bool,
    /// Hold the weights as a literal instead of in a file beside the module.
    pub inline_weights: bool,
    /// What regions and bands are chosen for.
    pub objective: Objective,
}

impl Options {
    /// A module of that name for a target.
    pub fn new(target: &'static Target, name: impl Into<String>) -> Self {
        Self {
            target,
            name: name.into(),
            command: String::new(),
            observe: false,
            inline_weights: false,
            objective: Objective::default(),
        }
    }
}

/// A compiled model with everything that was decided on the way.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// As the front end built it.
    pub imported: Graph,
    /// As the plan was made from it.
    pub fused: Graph,
    /// What runs.
    pub plan: Plan,
    /// What was assumed about the model.
    pub notes: Vec<String>,
    /// For each place where a fusion was considered: what came of it.
    pub fusions: Vec<fusions::Note>,
    /// SHA-256 of the model's bytes, in hexadecimal.
    pub sha256: String,
    options: ModuleOptions,
}

/// Reads a model as far as the imported graph.
///
/// # Errors
///
/// All problems of the model.
pub fn import(model: &Model) -> Result<(Graph, Vec<String>)> {
    let mut imported = onnx::import(&model.name, model.bytes.clone(), &model.import)?;
    if let Some(pixels) = &model.pixels {
        pixels
            .apply(&mut imported.graph)
            .map_err(|fault| Error::whole(format!("{} cannot take pixels", model.name), fault))?;
    }
    checked(&imported.graph, Phase::Imported)?;
    Ok((imported.graph, imported.notes))
}

/// Canonicalises and fuses an imported graph.
///
/// # Errors
///
/// Only bugs of ours.
pub fn optimize(imported: &Graph) -> Result<(Graph, Vec<fusions::Note>)> {
    let mut graph = imported.clone();
    let mut notes = passes::canonicalize(&mut graph).map_err(|fault| bug(&graph, fault))?;
    checked(&graph, Phase::Canonical)?;
    notes.extend(fusions::fuse(&mut graph).map_err(|fault| bug(&graph, fault))?);
    checked(&graph, Phase::Fused)?;
    Ok((graph, notes))
}

/// Compiles a model.
///
/// # Errors
///
/// All problems of the first phase that has any.
pub fn compile(model: &Model, options: &Options) -> Result<Compiled> {
    let (imported, notes) = import(model)?;
    let (fused, fusions) = optimize(&imported)?;
    let plan = plan::build(&fused, &PlanOptions { target: options.target, objective: options.objective })?;
    plan::check::check(&plan).map_err(|fault| bug(&fused, fault))?;
    let sha256 = sha256(&model.bytes);
    let module = ModuleOptions {
        name: options.name.clone(),
        model: model.name.clone(),
        sha256: sha256.clone(),
        command: options.command.clone(),
        observe: options.observe,
        inline_weights: options.inline_weights,
    };
    Ok(Compiled { imported, fused, plan, notes, fusions, sha256, options: module })
}

impl Compiled {
    /// Trained numbers: elements of the constants that convolutions, dense layers and norms read.
    pub fn parameters(&self) -> usize {
        let graph = &self.fused;
        let weighted = graph.order().into_iter().filter(|&id| graph.op(id).has_weights());
        weighted
            .flat_map(|id| graph.operands(id))
            .filter_map(|id| graph.tensor(id))
            .map(|tensor| tensor.ty.elements())
            .sum()
    }

    /// The module's text and weights.
    pub fn module(&self) -> Module {
        codegen::module(&self.plan, &self.options)
    }
}

fn checked(graph: &Graph, phase: Phase) -> Result {
    verify::check(graph, phase).map_err(|fault| bug(graph, fault))
}

fn bug(graph: &Graph, fault: crate::error::Fault) -> Error {
    Error::whole(format!("{} cannot be compiled", graph.name), fault)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
