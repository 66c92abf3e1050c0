//! The builder: a program adds layers and blocks, and gets a [`Network`].
//!
//! A layer that does not fit is remembered, with the argument that is at fault; what follows goes on as
//! well as it can, so that all faults are found at once.

mod attention;
mod blocks;
mod single;
mod wiring;

use super::network::{Block, Network, Parameter, Part};
use super::settings::{Layout, Settings};
use crate::error::{Error, Fault, Problem};
use crate::graph::{Graph, NodeId};
use crate::ops::transpose::Transpose;
use crate::tensor::TensorType;

/// Layers that a network can have at most.
const MAX_BLOCKS: usize = 20_000;

/// A layer that does not fit, and the argument that is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The block: `inverted_residual_3`.
    pub path: String,
    /// The block's word.
    pub word: &'static str,
    /// The argument as the language names it; empty where it is the layer as a whole.
    pub argument: &'static str,
    /// What is wrong.
    pub fault: Fault,
}

/// What a layer says that does not fit.
type Refusal = (&'static str, Fault);

/// Names of what is inside: the innermost is the last.
#[derive(Debug, Default)]
struct Scope {
    prefix: String,
    next: usize,
}

/// Adds layers, one behind the other. See the [module documentation](super) for an example.
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    graph: Graph,
    /// The value that the next layer reads; `None` once a layer could not be built.
    value: Option<NodeId>,
    blocks: Vec<Block>,
    parameters: Vec<Parameter>,
    taps: Vec<(String, NodeId)>,
    outputs: Vec<(String, NodeId)>,
    /// Input rows per row of the present value, and the dilation that removed strides left.
    stride: usize,
    rate: usize,
    scopes: Vec<Scope>,
    label: Option<String>,
    /// Elements of all weights so far.
    weights: usize,
    misfits: Vec<Misfit>,
}

impl Builder {
    /// An empty network, with its input.
    pub fn new(name: &str, settings: Settings) -> Self {
        let mut builder = Self {
            settings,
            graph: Graph::new(name),
            value: None,
            blocks: Vec::new(),
            parameters: Vec::new(),
            taps: Vec::new(),
            outputs: Vec::new(),
            stride: 1,
            rate: 1,
            scopes: vec![Scope::default()],
            label: None,
            weights: 0,
            misfits: Vec::new(),
        };
        match builder.add_input() {
            Ok(value) => builder.value = Some(value),
            Err(refusal) => builder.refuse(refusal),
        }
        builder
    }

    fn add_input(&mut self) -> Result<NodeId, Refusal> {
        self.settings.check()?;
        let [height, width, channels] = self.settings.input;
        let shape = match self.settings.layout {
            Layout::Nhwc => [1, height, width, channels],
            Layout::Nchw => [1, channels, height, width],
        };
        let ty = TensorType::checked(crate::tensor::DType::F32, shape).map_err(|fault| ("input", fault))?;
        let input = self.graph.add_input("input", ty);
        match self.settings.layout {
            Layout::Nhwc => Ok(input),
            Layout::Nchw => self.op("input.nhwc", Transpose { permutation: vec![0, 2, 3, 1] }, &[input]),
        }
    }

    /// What holds for the whole network.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Channels of the present value; 0 once a layer could not be built.
    pub fn channels(&self) -> usize {
        self.value.and_then(|value| self.graph.ty(value).shape.last().copied()).unwrap_or(0)
    }

    /// Names the next layer or block.
    pub fn named(&mut self, name: &str) -> &mut Self {
        self.label = Some(name.to_owned());
        self
    }

    /// Calls the present value by a name, under which [`Settings::outputs`] can ask for it.
    pub fn tap(&mut self, name: &str) -> &mut Self {
        let Some(value) = self.value else { return self };
        if self.taps.iter().chain(&self.outputs).any(|(other, _)| other == name) || name == LAST {
            let fault = Fault::model(format!("there is a value {name} already"));
            self.refuse_at("tap", ("name", fault));
        }
        self.taps.push((name.to_owned(), value));
        self
    }

    /// Makes the present value a result of the network. Without any, the last value is the only one.
    pub fn output(&mut self, name: &str) -> &mut Self {
        self.tap(name);
        if let Some(last) = self.taps.last() {
            self.outputs.push(last.clone());
        }
        self
    }

    /// Everything that `body` adds stands under this name.
    pub fn scope(&mut self, name: &str, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.enter(name);
        body(self);
        self.leave();
        self
    }

    /// [`Builder::scope`] for callers that cannot hand over a closure.
    pub(super) fn enter(&mut self, name: &str) {
        let prefix = self.next_path(name) + ".";
        self.scopes.push(Scope { prefix, next: 0 });
    }

    pub(super) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// A layer could not be read: nothing is known of the present value, and nothing will be said about
    /// what follows.
    pub(super) fn forget(&mut self) {
        self.value = None;
    }

    /// What has not fitted since it was asked last.
    pub(super) fn take_misfits(&mut self) -> Vec<Misfit> {
        std::mem::take(&mut self.misfits)
    }

    /// The network.
    ///
    /// # Errors
    ///
    /// All layers that do not fit.
    pub fn finish(self) -> Result<Network, Error> {
        let summary = format!("{} cannot be built", self.graph.name);
        self.complete()
            .map_err(|misfits| Error::problems(summary, misfits.into_iter().map(Misfit::problem).collect()))
    }

    pub(super) fn complete(mut self) -> Result<Network, Vec<Misfit>> {
        let outputs = self.chosen_outputs();
        for (name, value) in outputs {
            match self.as_output(&name, value) {
                Ok(value) => self.graph.add_output(name, value),
                Err(refusal) => self.refuse(refusal),
            }
        }
        if self.misfits.is_empty() && self.graph.outputs().is_empty() {
            self.refuse(("", Fault::model("the network has no layers")));
        }
        if !self.misfits.is_empty() {
            return Err(self.misfits);
        }
        self.graph.sweep();
        let Self { graph, blocks, mut parameters, settings, .. } = self;
        parameters.retain(|parameter| graph.contains(parameter.kind.constant()));
        Ok(Network { graph, blocks, parameters, norms: Vec::new(), epsilon: settings.bn_eps })
    }

    fn chosen_outputs(&mut self) -> Vec<(String, NodeId)> {
        let last = self.value.filter(|value| !self.graph.inputs().contains(value));
        if self.settings.outputs.is_empty() {
            return match (self.outputs.is_empty(), last) {
                (true, Some(value)) => vec![(LAST.to_owned(), value)],
                _ => self.outputs.clone(),
            };
        }
        let mut chosen = Vec::new();
        for name in self.settings.outputs.clone() {
            let tap = self.taps.iter().find(|(tap, _)| *tap == name).map(|(_, value)| *value);
            match tap.or(last.filter(|_| name == LAST)) {
                Some(value) => chosen.push((name, value)),
                None if self.value.is_none() => {}
                None => {
                    let taps: Vec<&str> =
                        self.taps.iter().map(|(tap, _)| tap.as_str()).chain([LAST]).collect();
                    let fault = Fault::model(format!("there is no {name}; there are {}", taps.join(", ")));
                    self.refuse_at("outputs", ("outputs", fault));
                }
            }
        }
        chosen
    }

    /// A map is given back in the layout of the input.
    fn as_output(&mut self, name: &str, value: NodeId) -> Result<NodeId, Refusal> {
        let is_map = self.graph.ty(value).rank() == 4;
        if is_map && self.settings.layout == Layout::Nchw {
            self.op(&format!("{name}.nchw"), Transpose { permutation: vec![0, 3, 1, 2] }, &[value])
        } else {
            Ok(value)
        }
    }

    fn next_path(&mut self, word: &str) -> String {
        let label = self.label.take();
        let Some(scope) = self.scopes.last_mut() else { return word.to_owned() };
        let name = label.unwrap_or_else(|| format!("{word}_{}", scope.next));
        scope.next += 1;
        format!("{}{name}", scope.prefix)
    }

    /// One layer or block that reads the present value and makes the next.
    fn block(
        &mut self,
        word: &'static str,
        build: impl FnOnce(&mut Self, NodeId) -> Result<NodeId, Refusal>,
    ) -> &mut Self {
        let path = self.next_path(word);
        self.blocks.push(Block { path, word });
        if let Some(value) = self.value.filter(|_| self.blocks.len() <= MAX_BLOCKS) {
            match build(self, value) {
                Ok(value) => self.value = Some(value),
                Err(refusal) => {
                    self.refuse(refusal);
                    self.value = None;
                }
            }
        } else if self.value.take().is_some() {
            self.refuse(("", Fault::unsupported(format!("more than {MAX_BLOCKS} layers"))));
        }
        self
    }

    fn refuse(&mut self, refusal: Refusal) {
        let word = self.blocks.last().map_or("", |block| block.word);
        self.refuse_at(word, refusal);
    }

    fn refuse_at(&mut self, word: &'static str, (argument, fault): Refusal) {
        let path = self.blocks.last().map_or_else(String::new, |block| block.path.clone());
        self.misfits.push(Misfit { path, word, argument, fault });
    }

    /// The name of a part of the present block.
    fn layer(&self, part: Part) -> String {
        let path = self.blocks.last().map_or("", |block| &block.path);
        match part {
            Part::Whole => path.to_owned(),
            part => format!("{path}.{}", part.name()),
        }
    }
}

/// The name of the last value, where it is the network's result.
pub const LAST: &str = "output";

impl Misfit {
    fn problem(self) -> Problem {
        let operator = match self.argument {
            "" => self.word.to_owned(),
            argument => format!("{}, {argument}", self.word),
        };
        Problem { node: self.path, operator, module: None, fault: self.fault }
    }
}
