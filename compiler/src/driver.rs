//! The way from a model, an ONNX file or a text, to a plan and a module, phase by phase.

use crate::codegen::{self, Module, ModuleOptions};
use crate::dsl::{self, Description, Network};
use crate::error::{Error, Fault, Result};
use crate::fusions;
use crate::graph::{Graph, Phase, verify};
use crate::onnx::{self, ImportOptions};
use crate::ops::quantization::Rounding;
use crate::passes;
use crate::pixels::Input;
use crate::plan::{self, Convolutions, Inputs, Objective, Plan, PlanOptions};
use crate::tensor::DType;
use crate::weights;
use bytes::Bytes;
use mobilec_targets::Target;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A model's bytes, and the name by which errors speak of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// File name, without its folder.
    pub name: String,
    /// The ONNX file, or the text.
    pub bytes: Bytes,
    /// In which of the two the network is described.
    pub language: Language,
    /// What the user decides about it; of a text, the files of weights stand in `external`.
    pub import: ImportOptions,
    /// The input is to take pixels, which the network normalises itself.
    pub pixels: Option<Input>,
}

/// In what a network is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Language {
    /// An ONNX file.
    Onnx,
    /// A text of the [model language](crate::dsl), with options by name that overrule its own.
    Text(Vec<(String, String)>),
}

impl Model {
    /// An ONNX file.
    pub fn onnx(name: impl Into<String>, bytes: Bytes, import: ImportOptions) -> Self {
        Self { name: name.into(), bytes, language: Language::Onnx, import, pixels: None }
    }

    /// A text of the [model language](crate::dsl), with options by name that overrule its own.
    pub fn text(name: impl Into<String>, text: impl Into<Bytes>, options: Vec<(String, String)>) -> Self {
        let language = Language::Text(options);
        Self {
            name: name.into(),
            bytes: text.into(),
            language,
            import: ImportOptions::default(),
            pixels: None,
        }
    }

    /// What tells this model from any other: SHA-256 of the ONNX file, or of everything that a text is
    /// built from.
    fn sha256(&self) -> String {
        let Language::Text(options) = &self.language else { return sha256(&self.bytes) };
        let mut parts = sha256(&self.bytes);
        for (name, value) in options {
            parts += &format!("\n{name}={value}");
        }
        for (name, bytes) in &self.import.external {
            parts += &format!("\n{name} {}", sha256(bytes));
        }
        sha256(parts.as_bytes())
    }
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
    /// Where inputs lie.
    pub inputs: Inputs,
    /// Plan as if floats were of this type: for reports, no module can be made.
    pub assume: Option<DType>,
    /// How quantised operators round.
    pub rounding: Rounding,
    /// How 3×3 convolutions of floats may be computed.
    pub convolutions: Convolutions,
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
            objective: Objective::of(target),
            inputs: Inputs::default(),
            assume: None,
            rounding: Rounding::default(),
            convolutions: Convolutions::default(),
        }
    }
}

/// A compiled model with everything that was decided on the way.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// As the front end built it.
    pub imported: Graph,
    /// As the plan was made from it: fused and laid out.
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
    let (mut graph, notes) = match &model.language {
        Language::Onnx => {
            let imported = onnx::import(&model.name, model.bytes.clone(), &model.import)?;
            (imported.graph, imported.notes)
        }
        Language::Text(options) => {
            let (network, notes) = network(model, options)?;
            (network.graph, notes)
        }
    };
    if let Some(pixels) = &model.pixels {
        pixels
            .apply(&mut graph)
            .map_err(|fault| Error::whole(format!("{} cannot take pixels", model.name), fault))?;
    }
    checked(&graph, Phase::Imported)?;
    Ok((graph, notes))
}

/// Builds the network of a text, with its weights; and what was assumed about it.
///
/// # Errors
///
/// All problems of the text, or of the weights.
pub fn network(model: &Model, options: &[(String, String)]) -> Result<(Network, Vec<String>)> {
    let text = std::str::from_utf8(&model.bytes).map_err(|error| {
        Error::whole(format!("{} cannot be read", model.name), Fault::model(error.to_string()))
    })?;
    let mut options = options.to_vec();
    if !model.import.until_outputs.is_empty() {
        options.push(("outputs".into(), model.import.until_outputs.join(",")));
    }
    let Description { options, mut network, .. } = dsl::describe(&model.name, text, &options)?;
    let mut notes = Vec::new();
    let weights = weights::chosen(&options, &model.import.external, &mut notes)?;
    weights.load(&mut network)?;
    network.graph.name.clone_from(&model.name);
    Ok((network, notes))
}

/// Canonicalises and fuses an imported graph; what is quantised rounds by the rule of ONNX.
///
/// # Errors
///
/// Only bugs of ours.
pub fn optimize(imported: &Graph) -> Result<(Graph, Vec<fusions::Note>)> {
    optimize_with(imported, Rounding::default())
}

/// As [`optimize`]; what is quantised becomes integer operators that round by a rule.
///
/// # Errors
///
/// Only bugs of ours.
pub fn optimize_with(imported: &Graph, rounding: Rounding) -> Result<(Graph, Vec<fusions::Note>)> {
    let mut graph = imported.clone();
    let mut notes = passes::canonicalize(&mut graph).map_err(|fault| bug(&graph, fault))?;
    let quantized = fusions::quantized::fuse(&mut graph, rounding).map_err(|fault| bug(&graph, fault))?;
    if let (true, fused) = quantized {
        // Weights that became real numbers are constants now, which more can be done with.
        notes = passes::canonicalize(&mut graph).map_err(|fault| bug(&graph, fault))?;
        notes.extend(fused);
    }
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
    let (mut fused, fusions) = optimize_with(&imported, options.rounding)?;
    if options.inputs != Inputs::Rows {
        passes::lay_out(&mut fused).map_err(|fault| bug(&fused, fault))?;
    }
    let compiled = compile_fused(fused, options)?;
    let sha256 = model.sha256();
    let module = ModuleOptions { model: model.name.clone(), sha256: sha256.clone(), ..compiled.options };
    Ok(Compiled { imported, notes, fusions, sha256, options: module, ..compiled })
}

/// Compiles a graph as it is; it stands for the imported one as well.
///
/// # Errors
///
/// An operator without a kernel, a target that cannot hold the network.
pub fn compile_fused(fused: Graph, options: &Options) -> Result<Compiled> {
    let Options { target, objective, inputs, assume, convolutions, .. } = *options;
    let plan = plan::build(&fused, &PlanOptions { target, objective, inputs, assume, convolutions })?;
    plan::check::check(&plan).map_err(|fault| bug(&fused, fault))?;
    let module = ModuleOptions {
        name: options.name.clone(),
        model: fused.name.clone(),
        sha256: String::new(),
        command: options.command.clone(),
        observe: options.observe,
        inline_weights: options.inline_weights,
    };
    Ok(Compiled {
        imported: fused.clone(),
        fused,
        plan,
        notes: Vec::new(),
        fusions: Vec::new(),
        sha256: String::new(),
        options: module,
    })
}

impl Compiled {
    /// Trained numbers, as the model has them: see [`Graph::parameters`].
    pub fn parameters(&self) -> usize {
        self.imported.parameters()
    }

    /// The module's text and weights.
    pub fn module(&self) -> Module {
        codegen::module(&self.plan, &self.options)
    }
}

fn checked(graph: &Graph, phase: Phase) -> Result {
    verify::check(graph, phase).map_err(|fault| bug(graph, fault))
}

fn bug(graph: &Graph, fault: Fault) -> Error {
    Error::whole(format!("{} cannot be compiled", graph.name), fault)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
