//! For a user's `build.rs`: compile a model into `OUT_DIR`.
//!
//! ```no_run
//! fn main() -> mobilec::Result {
//!     mobilec::Build::onnx("models/mobilenet_v2.onnx").emit("classifier")
//! }
//! ```
//!
//! and in the crate, `mobilec_runtime::include_model!(classifier);`.

use crate::driver::{self, Compiled, Model, Options};
use crate::error::{Error, Fault, Result};
use crate::files;
use crate::onnx::ImportOptions;
use crate::ops::quantization::Rounding;
use crate::pixels::Input;
use crate::plan::{Convolutions, Inputs, Objective};
#[cfg(feature = "quantize")]
use crate::quantize::Calibration;
use mobilec_targets::{Target, by_name};
use std::env;
use std::path::{Path, PathBuf};

/// A model to compile, and how. Methods chain; [`Build::emit`] does it.
#[derive(Clone, Debug)]
pub struct Build {
    source: Source,
    target: Option<String>,
    budget: Budget,
    import: ImportOptions,
    pixels: Option<Input>,
    inputs: Inputs,
    convolutions: Convolutions,
    objective: Option<Objective>,
    rounding: Rounding,
    #[cfg(feature = "quantize")]
    calibration: Option<Calibration>,
}

/// What is compiled.
#[derive(Clone, Debug)]
enum Source {
    /// A file, relative to the crate's folder.
    File(PathBuf),
    /// `NAME?alpha=0.35&rho=96`
    Zoo(String),
}

/// What the module may need at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    ram_bytes: Option<usize>,
    flash_bytes: Option<usize>,
}

impl Budget {
    /// No limits.
    pub const fn new() -> Self {
        Self { ram_bytes: None, flash_bytes: None }
    }

    /// Arena of at most so many KiB.
    #[must_use]
    pub const fn ram_kib(mut self, kib: usize) -> Self {
        self.ram_bytes = Some(kib * 1024);
        self
    }

    /// Weights of at most so many KiB.
    #[must_use]
    pub const fn flash_kib(mut self, kib: usize) -> Self {
        self.flash_bytes = Some(kib * 1024);
        self
    }
}

impl Build {
    /// An ONNX file, relative to the crate's folder.
    pub fn onnx(path: impl AsRef<Path>) -> Self {
        Self::new(Source::File(path.as_ref().to_owned()))
    }

    /// A text of the [model language](crate::dsl), `NAME.mobilec`, relative to the crate's folder. The
    /// weights that it names are relative to the text.
    pub fn text(path: impl AsRef<Path>) -> Self {
        Self::new(Source::File(path.as_ref().to_owned()))
    }

    /// A network of the [zoo](crate::zoo), with options: `MobileNetV2?alpha=0.35&rho=96&weights=w.safetensors`.
    /// Files are relative to the crate's folder.
    pub fn zoo(reference: &str) -> Self {
        Self::new(Source::Zoo(reference.to_owned()))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            target: None,
            budget: Budget::new(),
            import: ImportOptions::default(),
            pixels: None,
            inputs: Inputs::default(),
            convolutions: Convolutions::default(),
            objective: None,
            rounding: Rounding::default(),
            #[cfg(feature = "quantize")]
            calibration: None,
        }
    }

    /// Compiles for this target instead of the one that cargo builds for.
    ///
    /// Without it: `x86-64` when cargo builds for 64-bit x86 (the best instruction set is found when
    /// running), `x86-64-avx2` when the build assumes AVX2 and FMA, and `portable` otherwise.
    #[must_use]
    pub fn target(mut self, name: &str) -> Self {
        self.target = Some(name.to_owned());
        self
    }

    /// The module takes `u8` pixels `[H, W, C]` and normalises them itself.
    #[must_use]
    pub fn input(mut self, pixels: Input) -> Self {
        self.pixels = Some(pixels);
        self
    }

    /// Makes integers of a float network first, see [`quantize`](crate::quantize). The float network is built
    /// and run on the calibration samples, here and whenever they have changed.
    ///
    /// ```no_run
    /// # fn main() -> mobilec::Result {
    /// mobilec::Build::onnx("models/mobilenet_v2.onnx")
    ///     .quantize(mobilec::Calibration::dir("calibration"))
    ///     .emit("classifier")
    /// # }
    /// ```
    #[cfg(feature = "quantize")]
    #[must_use]
    pub fn quantize(mut self, calibration: Calibration) -> Self {
        self.calibration = Some(calibration);
        self
    }

    /// By which rule the integer operators of a quantised model round: ONNX's unless something else is said.
    #[must_use]
    pub const fn rounding(mut self, rounding: Rounding) -> Self {
        self.rounding = rounding;
        self
    }

    /// Fixes the shape of an input with symbolic dimensions.
    #[must_use]
    pub fn input_shape(mut self, input: &str, shape: &[usize]) -> Self {
        self.import.input_shapes.insert(input.to_owned(), shape.to_vec());
        self
    }

    /// Where the module's inputs lie: in the caller's memory unless something else is said.
    ///
    /// With [`Inputs::Arena`] the picture is written to `input_mut(&mut arena)` and `run_in_place` computes
    /// over it; with [`Inputs::Rows`] it arrives row by row: `rows(&mut arena)`, `push_row`, `finish`.
    #[must_use]
    pub const fn inputs(mut self, inputs: Inputs) -> Self {
        self.inputs = inputs;
        self
    }

    /// How 3×3 convolutions may be computed: as is fastest unless something else is said, or the weights would not fit
    /// the budget.
    #[must_use]
    pub const fn convolutions(mut self, convolutions: Convolutions) -> Self {
        self.convolutions = convolutions;
        self
    }

    /// Takes the smallest arena that there is, however slow.
    #[must_use]
    pub const fn smallest_arena(mut self) -> Self {
        self.objective = Some(Objective::Memory);
        self
    }

    /// The fastest module that needs no more; the build fails where there is none.
    #[must_use]
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Writes `OUT_DIR/NAME.rs` and `OUT_DIR/NAME.weights.bin` and tells cargo when to do so again.
    ///
    /// # Errors
    ///
    /// All problems of the model; a budget that is exceeded, with what needs the memory.
    pub fn emit(self, name: &str) -> Result {
        let out = PathBuf::from(variable("OUT_DIR")?);
        let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let target = self.chosen_target()?;
        let (mut model, folder) = self.open(&root)?;
        model.pixels.clone_from(&self.pixels);
        for location in model.import.external.keys() {
            println!("cargo::rerun-if-changed={}", folder.join(location).display());
        }
        #[cfg(feature = "quantize")]
        if let Some(calibration) = &self.calibration {
            model = calibration.quantized(&model, &root, &out.join("mobilec"))?;
        }
        let options = Options::new(target, name);
        let within = self.budget.ram_bytes.map(|cap| Objective::Speed { cap });
        let objective = self.objective.or(within).unwrap_or(options.objective);
        let (inputs, rounding, convolutions) = (self.inputs, self.rounding, self.convolutions);
        let options = Options { objective, inputs, rounding, convolutions, ..options };
        let mut compiled = driver::compile(&model, &options)?;
        if self.budget.flash_bytes.is_some_and(|limit| compiled.plan.weights.len() > limit) {
            compiled = driver::compile(&model, &Options { convolutions: Convolutions::Direct, ..options })?;
        }
        self.within_budget(&model.name, &compiled)?;
        let module = compiled.module();
        files::write_if_changed(&out.join(format!("{name}.weights.bin")), &module.weights)?;
        files::write_if_changed(&out.join(format!("{name}.rs")), module.source.as_bytes())
    }

    /// The model, and the folder that the files it names are relative to.
    fn open(&self, root: &Path) -> Result<(Model, PathBuf)> {
        match &self.source {
            Source::File(file) => {
                let path = root.join(file);
                println!("cargo::rerun-if-changed={}", path.display());
                let folder = path.parent().unwrap_or(root).to_owned();
                Ok((files::model(&path, self.import.clone())?, folder))
            }
            Source::Zoo(reference) => {
                let model = files::zoo(&format!("zoo:{reference}"), root, self.import.clone())?;
                Ok((model, root.to_owned()))
            }
        }
    }

    fn chosen_target(&self) -> Result<&'static Target> {
        let name = self.target.clone().unwrap_or_else(|| default_target(&cargo_cfg()).to_owned());
        by_name(&name).ok_or_else(|| unknown_target(&name))
    }

    fn within_budget(&self, model: &str, compiled: &Compiled) -> Result {
        let plan = &compiled.plan;
        let over = |what: &str, need: usize, limit: Option<usize>| {
            limit.filter(|&limit| need > limit).map(|limit| {
                Fault::target(format!("{what} needs {need} bytes, {limit} are allowed\n{}", plan.text()))
                    .help("raise the budget, or take a network of smaller width or resolution")
            })
        };
        let faults = [
            over("the arena", plan.arena_bytes, self.budget.ram_bytes),
            over("the weights", plan.weights.len(), self.budget.flash_bytes),
        ];
        match faults.into_iter().flatten().next() {
            Some(fault) => Err(Error::whole(format!("{model} exceeds its budget"), fault)),
            None => Ok(()),
        }
    }
}

/// The error for a target name that does not exist.
pub fn unknown_target(name: &str) -> Error {
    let known: Vec<&str> = mobilec_targets::ALL.iter().map(|target| target.name).collect();
    Error::Usage(format!("there is no target {name}; there are {} and native", known.join(", ")))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|_| {
        Error::Usage(format!("{name} is not set: Build::emit is for a build.rs that cargo runs"))
    })
}

fn cargo_cfg() -> (String, String) {
    let get = |name: &str| env::var(name).unwrap_or_default();
    (get("CARGO_CFG_TARGET_ARCH"), get("CARGO_CFG_TARGET_FEATURE"))
}

fn default_target((arch, features): &(String, String)) -> &'static str {
    let has = |feature: &str| features.split(',').any(|f| f == feature);
    let avx512 = ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"];
    match arch.as_str() {
        "x86_64" if avx512.into_iter().all(has) && has("fma") => "x86-64-avx512",
        "x86_64" if has("avxvnni") && has("avx2") && has("fma") => "x86-64-avx-vnni",
        "x86_64" if has("avx2") && has("fma") => "x86-64-avx2",
        "x86_64" => "x86-64",
        _ => "portable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_follows_what_cargo_builds_for() {
        let target = |arch: &str, features: &str| default_target(&(arch.into(), features.into()));
        assert_eq!(target("x86_64", "fxsr,sse2"), "x86-64");
        assert_eq!(target("x86_64", "avx,avx2,fma"), "x86-64-avx2");
        let avx512 = "avx,avx2,avx512bw,avx512dq,avx512f,avx512vl,avx512vnni,fma";
        assert_eq!(target("x86_64", avx512), "x86-64-avx512");
        assert_eq!(target("x86_64", "avx,avx2,avx512f,fma"), "x86-64-avx2");
        assert_eq!(target("x86_64", "avx,avx2,avxvnni,fma"), "x86-64-avx-vnni");
        assert_eq!(target("aarch64", "neon"), "portable");
        assert_eq!(target("arm", ""), "portable");
    }
}
