//! The plan: flat, printable, checkable.
//!
//! A plan is a list of regions, each a list of kernel steps that run band by band of output rows, with
//! byte ranges in the arena and in the weight blob. [`build`] makes it from a fused graph; [`check`]
//! replays it knowing nothing of how it was made; [`Plan::text`] prints it.
//!
//! Buffers, regions and rows are the same for every instruction set of a target; kernels and the packing
//! of their constants are chosen for each ([`Step::kernels`]).

mod arena;
mod assume;
mod bands;
mod build;
pub mod check;
mod cuts;
mod drawing;
mod memory;
mod objective;
mod pack;
mod prefetch;
pub mod request;
mod search;
mod select;
mod stream;
mod text;

pub use bands::Bands;
pub use build::{PlanOptions, build};
pub use objective::{Convolutions, Inputs, Objective};
pub use select::Choice;

use crate::graph::NodeId;
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Isa, Target};
use request::{Arg, Request};
use std::ops::Range;

/// A buffer of the plan, by position in [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub usize);

/// Which memory a buffer lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The arena, at this byte offset.
    Arena(usize),
    /// The caller's input of this number.
    Input(usize),
    /// The weight blob, at this byte offset, as the graph's constant is.
    Weights(usize),
}

/// A tensor in memory, as rows: row `y` lies at `y % rows * row_bytes`.
///
/// A map `[N, H, W, C]` has `N·H` rows; every other tensor is one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// The value.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Its type.
    pub ty: TensorType,
    /// Where it lies.
    pub space: Space,
    /// Rows of the whole tensor.
    pub height: usize,
    /// Bytes of one row.
    pub row_bytes: usize,
    /// Rows held at a time; `height` unless it is a ring inside a region.
    pub rows: usize,
    /// First and last step of the plan at which it is in the arena.
    pub live: (usize, usize),
}

impl Buffer {
    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        self.rows * self.row_bytes
    }
}

/// A buffer that a step reads, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which.
    pub buffer: BufferId,
    /// What a range of output rows needs of it.
    pub access: Access,
}

/// Rows of an operand that output rows need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All rows, at every call.
    Whole,
    /// For output row `y`: rows `y·stride − pad + t·dilation` for every tap `t`, those inside the image
    /// whose first row is `base`.
    Window {
        /// Taps along rows.
        kernel: usize,
        /// Rows from one output to the next.
        stride: usize,
        /// Rows from one tap to the next.
        dilation: usize,
        /// Rows of padding above.
        pad: usize,
        /// First row of the image.
        base: usize,
        /// Rows of the image.
        height: usize,
    },
}

/// One kernel call a band.
#[derive(Clone, Debug)]
pub struct Step {
    /// The layer it belongs to: a position in [`Plan::layers`].
    pub layer: usize,
    /// What is asked of the kernel.
    pub request: Request,
    /// For each instruction set of the target, in its order: the kernel, and those that lost.
    pub kernels: Vec<Choice>,
    /// For each instruction set: offsets of the packed constants, in the order of the request's
    /// [`Arg::Weights`].
    pub weights: Vec<Vec<Range<usize>>>,
    /// For each instruction set: bytes of the weights that later steps read, which it asks for; empty where nothing is.
    pub prefetch: Vec<Range<usize>>,
    /// What it reads, by operand.
    pub reads: Vec<Read>,
    /// What it writes.
    pub write: BufferId,
    /// First row of the image that it writes.
    pub write_base: usize,
    /// Which of how many steps that together make the value.
    pub part: (usize, usize),
    /// Rows that it makes in each band; for [`request::Rows::Accumulate`], rows that it takes.
    pub bands: Bands,
}

/// Steps that run together, band by band.
#[derive(Clone, Debug)]
pub struct Region {
    /// A name made from its layers'.
    pub name: String,
    /// How many times the steps are run through.
    pub bands: usize,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// A fused operator of the graph, as reports show it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The node.
    pub node: NodeId,
    /// Its name in the model.
    pub name: String,
    /// Operator and attributes.
    pub operation: String,
    /// Type of the first operand that is not a constant.
    pub input: TensorType,
    /// Type of the result.
    pub output: TensorType,
    /// Multiply-adds.
    pub macs: u64,
}

/// An input or output of the network.
#[derive(Clone, Debug)]
pub struct Port {
    /// The name in the model.
    pub name: String,
    /// Its type in the model.
    pub ty: TensorType,
    /// Where it lies.
    pub buffer: BufferId,
}

/// An input of which the rows are handed over one by one.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The input; the arena holds the rows that are still needed.
    pub buffer: BufferId,
    /// Rows that must be there when a band of the first region runs.
    pub bands: Bands,
}

/// See the [module documentation](self).
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is for.
    pub target: &'static Target,
    /// The instruction sets for which functions are emitted, best first: those of the target but for one that has no
    /// kernel that the next one lacks.
    pub variants: Vec<Isa>,
    /// Planned as if floats were of this type: an estimate, from which no code can be made.
    pub assumed: Option<DType>,
    /// All tensors in memory.
    pub buffers: Vec<Buffer>,
    /// What runs.
    pub regions: Vec<Region>,
    /// The network's layers.
    pub layers: Vec<Layer>,
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// The input that arrives row by row.
    pub arrives: Option<Arrival>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
    /// Constants in the order and packing in which kernels read them.
    pub weights: Vec<u8>,
    /// Size of the arena.
    pub arena_bytes: usize,
    /// No placement of these buffers can do with less.
    pub arena_lower_bound_bytes: usize,
}

impl Plan {
    /// A buffer.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// Every step with its region's position.
    pub fn steps(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.regions
            .iter()
            .enumerate()
            .flat_map(|(at, region)| region.steps.iter().map(move |step| (at, step)))
    }

    /// Multiply-adds of one inference.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).sum()
    }

    /// Whether inputs lie in the arena.
    pub fn inputs_in_arena(&self) -> bool {
        let in_arena = |port: &Port| matches!(self.buffer(port.buffer).space, Space::Arena(_));
        self.inputs.first().is_some_and(in_arena)
    }
}

impl Step {
    /// The field of the request by name.
    pub fn field(&self, name: &str) -> Option<&Arg> {
        self.request.fields.iter().find(|(field, _)| *field == name).map(|(_, arg)| arg)
    }

    /// Whether the kernel takes a range of rows.
    pub fn takes_rows(&self) -> bool {
        self.request.family.streams()
    }
}
