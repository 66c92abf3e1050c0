//! Post-training quantisation: a network of floats and some samples to a network of 8-bit integers.
//!
//! The way: fused graph, batch-norms gone into weights → `split` → equalised (`equalize`) → ranges of all
//! values on the samples (`observe`, `statistics`, `range`) → scales, integer weights and corrected
//! biases put in (`insert`, `bias`) → ONNX. What it writes is the standard form of `QuantizeLinear` and
//! `DequantizeLinear` pairs at opset 17, which ONNX Runtime and this compiler run on integers:
//!
//! | | stored in | scale | zero point |
//! |---|---|---|---|
//! | activations | `u8` or `i8` | one a tensor | one a tensor |
//! | weights | `i8`, −127 to 127, [pairs](WeightRange) within ±128 | one an output channel | 0 |
//! | biases | `i32` | that of the input times that of the weights | 0 |
//!
//! Softmax, normalisations and whatever else integers do not compute stays in floats between a pair.

mod bias;
mod calibration;
mod equalize;
mod histogram;
mod insert;
mod layers;
mod observe;
mod parameters;
mod range;
mod report;
mod split;
mod statistics;

pub use calibration::Calibration;
pub use parameters::{Activations, WeightRange};
pub use range::{Method, Range};
pub use report::{LayerNoise, Power};

use crate::driver::{self, Model};
use crate::error::{Error, Fault, Result};
use crate::graph::{Graph, NodeId, Phase, verify};
use crate::onnx;
use crate::ops::Op;
use crate::samples::{Input, Sample};
use crate::tensor::TensorType;
use insert::{Inserted, Known};
use observe::{Observer, Values};
use statistics::Statistics;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A step that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Bringing channels between two layers to the same reach.
    Equalization,
    /// Taking back the mean shift of rounded weights.
    BiasCorrection,
}

/// How a network is quantised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// In what activations are stored.
    pub activations: Activations,
    /// Which integers weights take.
    pub weights: WeightRange,
    /// How ranges are chosen.
    pub method: Method,
    /// Steps that are left out.
    pub without: BTreeSet<Step>,
}

/// How far it has come, for people who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub what: &'static str,
    /// Samples that are done, and of how many.
    pub samples: (usize, usize),
}

/// A quantised network.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// What is left of each stored value.
    pub layers: Vec<LayerNoise>,
    /// Pairs of layers that were equalised.
    pub equalized: usize,
    /// What was assumed about the model.
    pub notes: Vec<String>,
}

/// Samples that the table of noise is made from.
const COMPARED: usize = 16;

/// A float model that is about to be quantised.
#[derive(Clone, Debug)]
pub struct Quantizer {
    graph: Graph,
    notes: Vec<String>,
}

impl Quantizer {
    /// Reads a model and brings it into the form that is quantised.
    ///
    /// # Errors
    ///
    /// All problems of the model; a model that is quantised already.
    pub fn new(model: &Model) -> Result<Self> {
        let (imported, notes) = driver::import(model)?;
        let (mut graph, _) = driver::optimize(&imported)?;
        let order = graph.order();
        if let Some(&id) =
            order.iter().find(|&&id| matches!(graph.op(id), Op::Quantize(_) | Op::Dequantize(_)))
        {
            let message =
                format!("{} ({}): it is quantised already", graph.name(id), graph.op(id).describe());
            return Err(refused(&graph, Fault::model(message).help("start from the model of floats")));
        }
        split::split(&mut graph).map_err(|fault| refused(&graph, fault))?;
        verify::check(&graph, Phase::Imported).map_err(|fault| refused(&graph, fault))?;
        // What cannot be written is said before minutes are spent.
        onnx::export(&graph, &BTreeMap::new()).map_err(|fault| refused(&graph, fault))?;
        Ok(Self { graph, notes })
    }

    /// Names and types of the inputs that samples must have.
    pub fn inputs(&self) -> Vec<Input<'_>> {
        let input = |&id: &NodeId| Input { name: self.graph.name(id), ty: self.graph.ty(id) };
        self.graph.inputs().iter().map(input).collect()
    }

    /// Quantises. Programs are built in the folder `cache`.
    ///
    /// # Errors
    ///
    /// An operator that cannot be run or exported, with its name; what cargo says.
    pub fn run(
        mut self,
        samples: &[Sample],
        options: &Options,
        cache: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Quantized> {
        self.check(samples)?;
        let mut work = Work { samples, cache, progress };
        let mut equalized = 0;
        if !options.without.contains(&Step::Equalization) {
            let statistics = work.statistics("equalising", &self.graph)?.1;
            equalized =
                equalize::equalize(&mut self.graph, &statistics).map_err(|f| refused(&self.graph, f))?;
        }
        let (observer, statistics) = work.statistics("calibrating", &self.graph)?;
        let inserted = self.insert(&statistics, options)?;
        let onnx =
            onnx::export(&inserted.graph, &BTreeMap::new()).map_err(|fault| refused(&self.graph, fault))?;
        let layers = work.noise(&self.graph, &observer, &inserted)?;
        Ok(Quantized { onnx, layers, equalized, notes: self.notes })
    }

    fn check(&self, samples: &[Sample]) -> Result {
        if samples.is_empty() {
            return Err(refused(&self.graph, Fault::model("there is no calibration sample")));
        }
        let types: Vec<&TensorType> = self.graph.inputs().iter().map(|&id| self.graph.ty(id)).collect();
        match samples
            .iter()
            .find(|sample| !sample.tensors.iter().map(|tensor| &tensor.ty).eq(types.iter().copied()))
        {
            None => Ok(()),
            Some(sample) => {
                Err(refused(&self.graph, Fault::model(format!("{} does not fit the inputs", sample.name))))
            }
        }
    }

    fn insert(&self, statistics: &Statistics, options: &Options) -> Result<Inserted> {
        // What goes in and comes out is not cut off: the largest score must stay the largest.
        let method = |id: NodeId| match insert::is_interface(&self.graph, id) {
            true => Method::MinMax,
            false => options.method,
        };
        let range = |id: NodeId| statistics.histograms.get(&id).map(|values| method(id).range(values));
        let corrects = !options.without.contains(&Step::BiasCorrection);
        let means = |id: NodeId| if corrects { statistics.mean_inputs(id) } else { None };
        let known =
            Known { range: &range, means: &means, stored: options.activations, weights: options.weights };
        let inserted = insert::insert(&self.graph, &known).map_err(|fault| refused(&self.graph, fault))?;
        verify::check(&inserted.graph, Phase::Imported).map_err(|fault| refused(&self.graph, fault))?;
        Ok(inserted)
    }
}

fn refused(graph: &Graph, fault: Fault) -> Error {
    Error::whole(format!("{} cannot be quantised", graph.name), fault)
}

/// What runs programs on samples.
struct Work<'a> {
    samples: &'a [Sample],
    cache: &'a Path,
    progress: &'a mut dyn FnMut(Progress),
}

impl Work<'_> {
    fn observer(&mut self, graph: &Graph) -> Result<Observer> {
        (self.progress)(Progress { what: "building", samples: (0, self.samples.len()) });
        Observer::build(graph, self.cache)
    }

    /// Shows every sample's values to `see`.
    fn each(&mut self, what: &'static str, count: usize, mut see: impl FnMut(&Sample) -> Result) -> Result {
        for (at, sample) in self.samples.iter().take(count).enumerate() {
            (self.progress)(Progress { what, samples: (at, count.min(self.samples.len())) });
            see(sample)?;
        }
        Ok(())
    }

    fn statistics(&mut self, what: &'static str, graph: &Graph) -> Result<(Observer, Statistics)> {
        let observer = self.observer(graph)?;
        let mut statistics = Statistics::new(graph);
        self.each(what, usize::MAX, |sample| {
            statistics.add(&observer.values(sample)?);
            Ok(())
        })?;
        Ok((observer, statistics))
    }

    fn noise(&mut self, float: &Graph, floats: &Observer, inserted: &Inserted) -> Result<Vec<LayerNoise>> {
        let simulation = insert::simulation(&inserted.graph);
        let stored = self.observer(&simulation)?;
        let mut noise = report::Noise::default();
        self.each("comparing", COMPARED, |sample| {
            let (floats, stored): (Values, Values) = (floats.values(sample)?, stored.values(sample)?);
            noise.add(inserted, &floats, &stored);
            Ok(())
        })?;
        Ok(noise.layers(float, inserted))
    }
}
