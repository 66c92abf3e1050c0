//! The arguments that name a model and a target, and what they stand for.

use clap::{Args, ValueEnum};
use mobilec::build::unknown_target;
use mobilec::driver::{self, Compiled, Model, Options};
use mobilec::harness::{self, Program};
use mobilec::onnx::ImportOptions;
use mobilec::ops::quantization::Rounding;
use mobilec::plan::{Convolutions, Inputs, Objective};
use mobilec::{Error, Input, Result, files};
use mobilec_targets::{Target, by_name};
use std::path::Path;
use std::time::Duration;

/// A model, and what it leaves open.
#[derive(Args, Clone)]
pub struct ModelArguments {
    /// An ONNX file, a .mobilec file, or zoo:NAME?alpha=0.35&rho=96
    pub model: String,
    /// Shape of an input with symbolic dimensions
    #[arg(long, value_name = "NAME=1,3,224,224")]
    input_shape: Vec<String>,
    /// Make a graph input a constant
    #[arg(long, value_name = "NAME=FILE.npy")]
    const_input: Vec<String>,
    /// Cut the model at this value, which becomes an output
    #[arg(long, value_name = "NAME")]
    until_output: Vec<String>,
    /// Let the network take u8 pixels and normalise them itself: imagenet, tf, unit or raw
    #[arg(long, value_name = "HOW")]
    pixels: Option<String>,
}

impl ModelArguments {
    /// Reads the model.
    pub fn open(&self) -> Result<Model> {
        let mut import =
            ImportOptions { until_outputs: self.until_output.clone(), ..ImportOptions::default() };
        for text in &self.input_shape {
            let (name, shape) = pair(text, "--input-shape", "NAME=1,3,224,224")?;
            let dims: Result<Vec<usize>, _> = shape.split([',', 'x']).map(|d| d.trim().parse()).collect();
            let dims =
                dims.map_err(|_| Error::Usage(format!("--input-shape {text}: {shape} is not a shape")))?;
            import.input_shapes.insert(name, dims);
        }
        for text in &self.const_input {
            let (name, file) = pair(text, "--const-input", "NAME=FILE.npy")?;
            import.constants.insert(name, files::read_npy(file.as_ref())?);
        }
        let mut model = files::named(&self.model, import)?;
        model.pixels = self.pixels.as_deref().map(|how| pixels(how, &model)).transpose()?;
        Ok(model)
    }

    /// The same arguments for another model.
    pub fn beside(&self, model: &str) -> Self {
        Self { model: model.to_owned(), ..self.clone() }
    }

    /// The same arguments as words of a command line, for a module's header: no folder of this machine.
    pub fn words(&self) -> String {
        let mut words = vec![self.word()];
        for (flag, values) in [
            ("--input-shape", &self.input_shape),
            ("--const-input", &self.const_input),
            ("--until-output", &self.until_output),
        ] {
            words.extend(values.iter().map(|value| format!("{flag} {value}")));
        }
        words.extend(self.pixels.iter().map(|how| format!("--pixels {how}")));
        words.join(" ")
    }
}

impl ModelArguments {
    /// The model without its folder, in quotes where a shell would read something into it.
    fn word(&self) -> String {
        let (front, query) = self.model.split_once('?').unwrap_or((&self.model, ""));
        let file = Path::new(front).file_name().unwrap_or_default().to_string_lossy().into_owned();
        if query.is_empty() { file } else { format!("'{file}?{query}'") }
    }
}

/// Pixels of as many channels as the model's input has.
fn pixels(how: &str, model: &Model) -> Result<Input> {
    let (graph, _) = driver::import(model)?;
    let grey = graph
        .inputs()
        .first()
        .is_some_and(|&input| matches!(graph.ty(input).shape[..], [1, 1, _, _] | [1, _, _, 1]));
    let input = if grey { Input::grey8() } else { Input::rgb8() };
    match how {
        "imagenet" => Ok(input.imagenet()),
        "tf" => Ok(input.tf()),
        "unit" => Ok(input),
        "raw" => Ok(input.raw()),
        _ => Err(Error::Usage(format!("--pixels {how}: it takes imagenet, tf, unit or raw"))),
    }
}

/// How the plan is to be chosen.
#[derive(Args, Clone)]
pub struct PlanArguments {
    /// Largest arena: the fastest plan that fits, or `min` for the smallest there is. Inputs lie in it
    #[arg(long, value_name = "128K")]
    max_ram: Option<String>,
    /// Run every layer by itself, without streaming rows from one to the next
    #[arg(long, conflicts_with = "max_ram")]
    layer_by_layer: bool,
    /// Take the picture row by row, as it comes from a camera, instead of whole
    #[arg(long)]
    input_rows: bool,
    /// How int8 operators round: onnx (in single precision, halves to even), or tflite (in fixed point, as
    /// TensorFlow Lite's reference kernels and CMSIS-NN)
    #[arg(long, default_value = "onnx", value_name = "RULE")]
    pub rounding: Rounding,
    /// What is left out: 3×3 convolutions by Winograd's method, which is faster, with up to 4 times the weights, and
    /// rounds a little more
    #[arg(long)]
    without: Option<Left>,
}

/// What can be left out of a plan.
#[derive(Clone, Copy, ValueEnum)]
enum Left {
    /// 3×3 convolutions by Winograd's method
    Winograd,
}

impl PlanArguments {
    /// What regions and bands are chosen for; `None` when nothing is said about it.
    pub fn objective(&self) -> Result<Option<Objective>> {
        match self.max_ram.as_deref() {
            None => Ok(self.layer_by_layer.then_some(Objective::LayerByLayer)),
            Some(text) => match text.parse() {
                Ok(objective) => Ok(Some(objective)),
                Err(why) => Err(Error::Usage(format!("--max-ram {text}: {why}"))),
            },
        }
    }

    /// Where inputs lie: with memory limited in the arena, where they count and are overwritten.
    pub fn inputs(&self) -> Inputs {
        match &self.max_ram {
            _ if self.input_rows => Inputs::Rows,
            Some(_) => Inputs::Arena,
            None => Inputs::Borrowed,
        }
    }

    /// Options for a module of that name.
    pub fn options(&self, target: &'static Target, name: &str) -> Result<Options> {
        let options = Options::new(target, name);
        let objective = self.objective()?.unwrap_or(options.objective);
        let convolutions = match self.without {
            Some(Left::Winograd) => Convolutions::Direct,
            None => options.convolutions,
        };
        Ok(Options { objective, inputs: self.inputs(), rounding: self.rounding, convolutions, ..options })
    }

    /// The same arguments as words of a command line.
    pub fn words(&self) -> String {
        let mut words = self.max_ram.as_ref().map_or(String::new(), |text| format!(" --max-ram {text}"));
        for (given, flag) in [(self.layer_by_layer, " --layer-by-layer"), (self.input_rows, " --input-rows")]
        {
            words += if given { flag } else { "" };
        }
        if let Some(Left::Winograd) = self.without {
            words += " --without winograd";
        }
        if self.rounding == Rounding::Tflite {
            words += " --rounding tflite";
        }
        words
    }
}

/// Splits `NAME=VALUE` at the last `=` that leaves a name: names may hold `=`, values hold none.
pub fn pair(text: &str, flag: &str, form: &str) -> Result<(String, String)> {
    match text.rsplit_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::Usage(format!("{flag} {text}: it takes {form}"))),
    }
}

/// The target of that name; `native` is the best for this CPU.
pub fn target(name: &str) -> Result<&'static Target> {
    if name == "native" {
        return Ok(harness::native());
    }
    by_name(name).ok_or_else(|| unknown_target(name))
}

/// Compiles for running here, and shows the notes.
pub fn compile(
    model: &Model,
    target: &'static Target,
    plan: &PlanArguments,
    observe: bool,
) -> Result<Compiled> {
    let options = Options { observe, ..plan.options(target, harness::MODULE_NAME)? };
    let compiled = driver::compile(model, &options)?;
    show_notes(&compiled);
    Ok(compiled)
}

/// Notes go to standard error.
pub fn show_notes(compiled: &Compiled) {
    for note in &compiled.notes {
        eprintln!("note: {note}");
    }
}

/// Builds, with a spinner on a terminal.
pub fn build(compiled: &Compiled, observe: bool) -> Result<Program> {
    let spinner = indicatif::ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    let program = harness::build(compiled, observe, &mut |text| spinner.set_message(text.to_owned()));
    spinner.finish_and_clear();
    program
}
