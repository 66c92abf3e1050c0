//! From a fused graph to a plan: buffers, kernels and weights of every layer; then what [`search`] finds.

use super::assume;
use super::cuts::Cut;
use super::objective::{Convolutions, Inputs, Objective};
use super::pack::{Blob, pack};
use super::prefetch;
use super::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use super::search::{Found, search};
use super::select::{Choice, select};
use super::stream::{Layers, Take, Usage};
use super::{Access, Arrival, Bands, Buffer, BufferId, Layer, Plan, Port, Read, Region, Space, Step};
use crate::error::{Error, Fault, Problem, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::slice::Slice;
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Isa, Target};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a plan is made for.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// The CPU.
    pub target: &'static Target,
    /// What regions and bands are chosen for.
    pub objective: Objective,
    /// Where inputs lie.
    pub inputs: Inputs,
    /// Plan as if floats were of this type: an estimate, from which no code can be made.
    pub assume: Option<DType>,
    /// How 3×3 convolutions may be computed.
    pub convolutions: Convolutions,
}

/// Plans a fused graph.
///
/// # Errors
///
/// All nodes for which there is no kernel.
pub fn build(graph: &Graph, options: &PlanOptions) -> Result<Plan> {
    let graph = with_computed_outputs(graph)?;
    let layers: Vec<NodeId> = graph.order().into_iter().filter(|&id| runs(&graph, id)).collect();
    let mut builder = Builder {
        graph: &graph,
        target: options.target,
        assume: options.assume,
        convolutions: options.convolutions.with(options.objective, options.inputs),
        blob: Blob::new(options.target.align),
        buffers: Vec::new(),
        of: BTreeMap::new(),
    };
    for &input in graph.inputs() {
        let space = match options.inputs {
            Inputs::Borrowed => Space::Input(builder.of.len()),
            Inputs::Arena | Inputs::Rows => Space::Arena(0),
        };
        builder.declare(input, space);
    }
    let mut problems = Vec::new();
    let mut steps = Vec::new();
    for (at, &id) in layers.iter().enumerate() {
        match builder.steps(at, id) {
            Ok(of_layer) => steps.push(of_layer),
            Err(fault) => problems.push(Problem {
                node: graph.name(id).to_owned(),
                operator: graph.op(id).describe(),
                module: graph.module(id).map(str::to_owned),
                fault,
            }),
        }
    }
    if !problems.is_empty() {
        return Err(Error::problems(
            format!("{} cannot be compiled for {}", graph.name, options.target.name),
            problems,
        ));
    }
    let variants = distinct_variants(options.target, &mut steps);
    let mut outputs = builder.ports(graph.outputs());
    let inputs: Vec<(String, NodeId)> =
        graph.inputs().iter().map(|&id| (graph.name(id).to_owned(), id)).collect();
    let mut inputs = builder.ports(&inputs);
    let mut of_graph: Vec<Layer> = layers.iter().map(|&id| layer(&graph, id)).collect();
    let mut buffers = builder.buffers;
    if options.assume.is_some() {
        assume::narrow(&mut buffers, &mut of_graph, inputs.iter_mut().chain(&mut outputs));
    }
    let weights = builder.blob.into_bytes();
    let usage = usage(buffers.len(), &steps, &outputs);
    let arrives = match options.inputs {
        Inputs::Rows => Some(arriving(&inputs, &buffers).map_err(|fault| whole(&graph, options, fault))?),
        Inputs::Borrowed | Inputs::Arena => None,
    };
    let candidates = Layers { steps: &steps, buffers: &buffers, usage, arrives };
    let Found { cuts, buffers, placement } =
        search(&candidates, options).map_err(|fault| whole(&graph, options, fault))?;
    let mut regions = regions(&graph, &layers, steps, &cuts);
    prefetch::assign(&mut regions, options.target);
    let arrives = arrives.map(|buffer| Arrival { buffer, bands: arrivals(&buffers[buffer.0], &cuts) });
    Ok(Plan {
        target: options.target,
        variants,
        assumed: options.assume,
        layers: of_graph,
        regions,
        buffers,
        inputs,
        arrives,
        outputs,
        weights,
        arena_bytes: placement.bytes,
        arena_lower_bound_bytes: placement.lower_bound,
    })
}

/// The target's instruction sets without those whose kernels are all those of the next one; what steps hold for these
/// is dropped.
fn distinct_variants(target: &Target, steps: &mut [Vec<Step>]) -> Vec<Isa> {
    let mut variants = target.variants.to_vec();
    for at in (0..variants.len().saturating_sub(1)).rev() {
        let same = |step: &Step| step.kernels[at].kernel.path == step.kernels[at + 1].kernel.path;
        if steps.iter().flatten().all(same) {
            variants.remove(at);
            for step in steps.iter_mut().flatten() {
                step.kernels.remove(at);
                step.weights.remove(at);
                step.prefetch.remove(at);
            }
        }
    }
    variants
}

fn whole(graph: &Graph, options: &PlanOptions, fault: Fault) -> Error {
    Error::whole(format!("{} cannot be compiled for {}", graph.name, options.target.name), fault)
}

/// The input whose rows arrive one by one.
fn arriving(inputs: &[Port], buffers: &[Buffer]) -> Result<BufferId, Fault> {
    let [input] = inputs else {
        return Err(Fault::unsupported(format!(
            "--input-rows takes a single input, the model has {}",
            inputs.len()
        )));
    };
    match (&input.ty.shape[..], buffers[input.buffer.0].ty.shape.len()) {
        ([1, ..], 4) => Ok(input.buffer),
        _ => Err(Fault::unsupported(format!(
            "--input-rows takes rows of one picture, {} is {}",
            input.name, input.ty
        ))),
    }
}

/// Rows of the input that each band of the first region takes.
fn arrivals(input: &Buffer, cuts: &[Cut]) -> Bands {
    let take = cuts.first().map_or(Take::ONE, |cut| cut.streamed.take);
    take.bands(input.height)
}

/// Whether a node becomes steps.
fn runs(graph: &Graph, id: NodeId) -> bool {
    match graph.op(id) {
        Op::Input(_) | Op::Constant(_) => false,
        op => !op.is_view(),
    }
}

/// The node whose bytes a value is.
fn root(graph: &Graph, mut id: NodeId) -> NodeId {
    while graph.op(id).is_view() {
        match graph.operand(id, 0) {
            Some(operand) => id = operand,
            None => break,
        }
    }
    id
}

/// Outputs that are an input's or a constant's bytes become copies, so that every output is in the arena.
fn with_computed_outputs(graph: &Graph) -> Result<Graph> {
    let mut graph = graph.clone();
    for at in 0..graph.outputs().len() {
        let (name, value) = graph.outputs()[at].clone();
        if runs(&graph, root(&graph, value)) {
            continue;
        }
        let shape = graph.ty(value).shape.clone();
        let copy = Slice { starts: vec![0; shape.len()], steps: vec![1; shape.len()], shape };
        let copy =
            graph.add(name, copy, &[value]).map_err(|fault| Error::whole("an output is a copy", fault))?;
        graph.set_output(at, copy);
    }
    Ok(graph)
}

fn layer(graph: &Graph, id: NodeId) -> Layer {
    let operands = graph.operands(id);
    let input = operands.iter().find(|&&n| graph.tensor(n).is_none()).copied().unwrap_or(id);
    Layer {
        node: id,
        name: graph.name(id).to_owned(),
        operation: graph.op(id).describe(),
        input: graph.ty(input).clone(),
        output: graph.ty(id).clone(),
        macs: graph.node_macs(id),
    }
}

struct Builder<'a> {
    graph: &'a Graph,
    target: &'static Target,
    assume: Option<DType>,
    convolutions: Convolutions,
    blob: Blob,
    buffers: Vec<Buffer>,
    of: BTreeMap<NodeId, BufferId>,
}

impl Builder<'_> {
    fn declare(&mut self, node: NodeId, space: Space) -> BufferId {
        let ty = self.graph.ty(node).clone();
        let (height, row_bytes) = match (self.graph.op(node), &ty.shape[..]) {
            // A picture of one channel, channels first: its rows are those of its only plane.
            (Op::Input(_), &[1, 1, height, width]) => (height, width * ty.dtype.bytes()),
            _ => rows_of(&ty),
        };
        let id = BufferId(self.buffers.len());
        let name = self.graph.name(node).to_owned();
        self.buffers.push(Buffer { node, name, ty, space, height, row_bytes, rows: height, live: (0, 0) });
        self.of.insert(node, id);
        id
    }

    /// The buffer that holds a value; a constant enters the blob as it is when first asked for.
    fn buffer_of(&mut self, value: NodeId) -> BufferId {
        let node = root(self.graph, value);
        match (self.of.get(&node), self.graph.tensor(node)) {
            (Some(&id), _) => id,
            (None, Some(tensor)) => {
                let at = self.blob.intern(tensor.bytes().to_vec());
                self.declare(node, Space::Weights(at.start))
            }
            (None, None) => self.declare(node, Space::Arena(0)),
        }
    }

    fn ports(&mut self, values: &[(String, NodeId)]) -> Vec<Port> {
        values
            .iter()
            .map(|(name, value)| Port {
                name: name.clone(),
                ty: self.graph.ty(*value).clone(),
                buffer: self.buffer_of(*value),
            })
            .collect()
    }

    fn steps(&mut self, layer: usize, id: NodeId) -> Result<Vec<Step>, Fault> {
        let operands = self.graph.operands(id);
        let types: Vec<TensorType> = operands.iter().map(|&n| self.graph.ty(n).clone()).collect();
        let constants: Vec<Option<&Tensor>> = operands.iter().map(|&n| self.graph.tensor(n)).collect();
        let site = Site { operands: &types, constants: &constants, output: self.graph.ty(id) };
        let requests = self.graph.op(id).lower(&site)?;
        if requests.is_empty() {
            return Err(Fault::bug("the operator asks for no kernel"));
        }
        let parts = requests.len();
        let write = self.buffer_of(id);
        requests
            .into_iter()
            .enumerate()
            .map(|(part, request)| self.step(layer, request, &operands, write, (part, parts)))
            .collect()
    }

    fn step(
        &mut self,
        layer: usize,
        request: Request,
        operands: &[NodeId],
        write: BufferId,
        part: (usize, usize),
    ) -> Result<Step, Fault> {
        let kernels: Vec<Choice> = self
            .target
            .variants
            .iter()
            .map(|&isa| select(&request, isa, self.target, self.convolutions))
            .collect::<Result<_, _>>()?;
        let weights = kernels.iter().map(|choice| self.weights(&request, choice)).collect();
        let reads = self.reads(&request, operands)?;
        let output = map_of(&request, Operand::Output);
        let bands = match request.rows {
            Rows::Whole => Bands::whole(self.buffers[write.0].height),
            Rows::Window { .. } => Bands::whole(output.map_or(1, |map| map.height)),
            Rows::Accumulate => Bands::whole(map_of(&request, Operand::Input(0)).map_or(1, |map| map.height)),
        };
        let write_base = output.map_or(0, |map| map.image * map.height);
        let prefetch = vec![0..0; kernels.len()];
        Ok(Step { layer, request, kernels, weights, prefetch, reads, write, write_base, part, bands })
    }

    fn weights(&mut self, request: &Request, choice: &Choice) -> Vec<Range<usize>> {
        let packed: Vec<&Packed> = request
            .fields
            .iter()
            .filter_map(|(_, arg)| match arg {
                Arg::Weights(packed) => Some(packed),
                _ => None,
            })
            .collect();
        let bytes = |packed: &Packed| match self.assume {
            Some(_) => assume::narrowed(packed, choice.kernel.layout),
            None => pack(packed, choice.kernel.layout),
        };
        let packed: Vec<Vec<u8>> = packed.into_iter().map(bytes).collect();
        packed.into_iter().map(|bytes| self.blob.intern(bytes)).collect()
    }

    fn reads(&mut self, request: &Request, operands: &[NodeId]) -> Result<Vec<Read>, Fault> {
        let mut reads = Vec::new();
        for (_, arg) in &request.fields {
            let (position, map) = match arg {
                Arg::Map(Operand::Input(i), map) => (*i, Some(*map)),
                Arg::Epilogue(_, Some((i, map))) => (*i, Some(*map)),
                Arg::Place(Operand::Input(i), _) => (*i, None),
                _ => continue,
            };
            let operand = operands.get(position).ok_or_else(|| {
                Fault::bug(format!("the kernel reads operand {position}, which is not there"))
            })?;
            let buffer = self.buffer_of(*operand);
            let access = access(request, position, map, &self.buffers[buffer.0]);
            reads.push(Read { buffer, access });
        }
        Ok(reads)
    }
}

/// Rows and bytes of a row: a map has `N·H` rows, everything else is one row.
fn rows_of(ty: &TensorType) -> (usize, usize) {
    match ty.shape[..] {
        [n, height, width, channels] => (n * height, width * channels * ty.dtype.bytes()),
        _ => (1, ty.bytes()),
    }
}

fn map_of(request: &Request, operand: Operand) -> Option<MapShape> {
    request.fields.iter().find_map(|(_, arg)| match arg {
        Arg::Map(of, map) if *of == operand => Some(*map),
        _ => None,
    })
}

fn access(request: &Request, position: usize, map: Option<MapShape>, buffer: &Buffer) -> Access {
    let Some(map) = map else { return Access::Whole };
    let row_bytes = map.width * map.channels * buffer.ty.dtype.bytes();
    if row_bytes != buffer.row_bytes || map.height == 0 || !buffer.height.is_multiple_of(map.height) {
        return Access::Whole;
    }
    let base = map.image * map.height;
    let same = Access::Window { kernel: 1, stride: 1, dilation: 1, pad: 0, base, height: map.height };
    let streamed = map_of(request, Operand::Output).is_some_and(|output| output.height == map.height);
    match request.rows {
        Rows::Whole => Access::Whole,
        Rows::Window { kernel, stride, dilation, pad } if position == 0 => {
            Access::Window { kernel, stride, dilation, pad, base, height: map.height }
        }
        Rows::Window { .. } if streamed => same,
        Rows::Window { .. } => Access::Whole,
        Rows::Accumulate => same,
    }
}

/// Where every buffer is written and last used, by layer.
fn usage(buffers: usize, steps: &[Vec<Step>], outputs: &[Port]) -> Usage {
    let mut usage = Usage { last: vec![0; buffers], writer: vec![usize::MAX; buffers] };
    for (layer, steps) in steps.iter().enumerate() {
        for step in steps {
            usage.writer[step.write.0] = layer;
            for id in step.reads.iter().map(|read| read.buffer).chain([step.write]) {
                usage.last[id.0] = layer;
            }
        }
    }
    for port in outputs {
        usage.last[port.buffer.0] = usize::MAX;
    }
    usage
}

/// The chosen regions.
fn regions(graph: &Graph, layers: &[NodeId], steps: Vec<Vec<Step>>, cuts: &[Cut]) -> Vec<Region> {
    let mut steps = steps.into_iter();
    cuts.iter()
        .map(|cut| {
            let mut of_region: Vec<Step> = steps.by_ref().take(cut.layers.len()).flatten().collect();
            for (step, bands) in of_region.iter_mut().zip(&cut.streamed.bands) {
                step.bands = *bands;
            }
            let name = layers.get(cut.layers.end - 1).map_or("", |&id| graph.name(id)).to_owned();
            Region { name, bands: cut.streamed.count, steps: of_region }
        })
        .collect()
}
