//! For a user's `build.rs`: on what a network is quantised, and how.

use super::{Activations, Method, Options, Quantizer, Step, WeightRange};
use crate::driver::Model;
use crate::error::Result;
use crate::onnx::ImportOptions;
use crate::samples;
use std::path::{Path, PathBuf};

/// Calibration samples and what is done with them. Methods chain.
#[derive(Clone, Debug)]
pub struct Calibration {
    path: PathBuf,
    normalize: Option<String>,
    options: Options,
}

impl Calibration {
    /// A folder of pictures, `.npy` and `.npz` files, relative to the crate's folder.
    pub fn dir(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), normalize: None, options: Options::default() }
    }

    /// One `.npy` or `.npz` file with samples stacked along a leading dimension.
    pub fn tensors(path: impl AsRef<Path>) -> Self {
        Self::dir(path)
    }

    /// How pictures are normalised: `imagenet`, `tf`, `unit`, `none` or `MEAN/DEVIATION`, as on the command
    /// line. Without it `imagenet` for three channels, `unit` for others.
    #[must_use]
    pub fn normalize(mut self, how: &str) -> Self {
        self.normalize = Some(how.to_owned());
        self
    }

    /// How ranges are chosen.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.options.method = method;
        self
    }

    /// In what activations are stored.
    #[must_use]
    pub fn activations(mut self, activations: Activations) -> Self {
        self.options.activations = activations;
        self
    }

    /// Which integers weights take.
    #[must_use]
    pub fn weights(mut self, range: WeightRange) -> Self {
        self.options.weights = range;
        self
    }

    /// Leaves a step out.
    #[must_use]
    pub fn without(mut self, step: Step) -> Self {
        self.options.without.insert(step);
        self
    }

    /// The quantised form of a model; a path is relative to `root`, programs are built in `cache`. Tells cargo
    /// what it depends on.
    pub(crate) fn quantized(&self, model: &Model, root: &Path, cache: &Path) -> Result<Model> {
        let path = root.join(&self.path);
        println!("cargo::rerun-if-changed={}", path.display());
        let quantizer = Quantizer::new(model)?;
        let samples = samples::of_path(&path, &quantizer.inputs(), self.normalize.as_deref())?;
        let quantized = quantizer.run(&samples, &self.options, cache, &mut |_| {})?;
        Ok(Model::onnx(model.name.clone(), quantized.onnx.into(), ImportOptions::default()))
    }
}
