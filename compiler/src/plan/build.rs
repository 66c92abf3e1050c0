//! From a fused graph to a plan: buffers, kernels, weights, offsets.
//!
//! One region a layer; every value is held whole.

use super::arena::{self, Item, Overlay};
use super::cuts::{self, Cut, Objective};
use super::pack::{Blob, pack};
use super::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use super::select::{Choice, select};
use super::stream::{Layers, Usage};
use super::{Access, Bands, Buffer, BufferId, Layer, Plan, Port, Read, Region, Space, Step};
use crate::error::{Error, Fault, Problem, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::slice::Slice;
use crate::tensor::{Tensor, TensorType};
use mobilec_targets::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What a plan is made for.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// The CPU.
    pub target: &'static Target,
    /// What regions and bands are chosen for.
    pub objective: Objective,
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
        blob: Blob::new(options.target.align),
        buffers: Vec::new(),
        of: BTreeMap::new(),
    };
    for &input in graph.inputs() {
        builder.declare(input, Space::Input(builder.of.len()));
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
    let outputs = builder.ports(graph.outputs());
    let inputs: Vec<(String, NodeId)> =
        graph.inputs().iter().map(|&id| (graph.name(id).to_owned(), id)).collect();
    let inputs = builder.ports(&inputs);
    let mut buffers = builder.buffers;
    let weights = builder.blob.into_bytes();
    let usage = usage(buffers.len(), &steps, &outputs);
    let candidates = Layers { steps: &steps, buffers: &buffers, usage };
    let Some(cuts) = cuts::choose(&candidates, options.target, options.objective) else {
        return Err(too_large(&graph, &candidates, options));
    };
    let overlays = overlays(&candidates, &cuts);
    let regions = regions(&graph, &layers, steps, &cuts, &mut buffers);
    let (arena_bytes, arena_lower_bound_bytes) =
        offsets(&mut buffers, &regions, &outputs, &overlays, options);
    Ok(Plan {
        target: options.target,
        layers: layers.iter().map(|&id| layer(&graph, id)).collect(),
        buffers,
        regions,
        inputs,
        outputs,
        weights,
        arena_bytes,
        arena_lower_bound_bytes,
    })
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
    blob: Blob,
    buffers: Vec<Buffer>,
    of: BTreeMap<NodeId, BufferId>,
}

impl Builder<'_> {
    fn declare(&mut self, node: NodeId, space: Space) -> BufferId {
        let ty = self.graph.ty(node).clone();
        let (height, row_bytes) = rows_of(&ty);
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
            .map(|&isa| select(&request, isa, self.target))
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
        Ok(Step { layer, request, kernels, weights, reads, write, write_base, part, bands })
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
        packed.into_iter().map(|packed| self.blob.intern(pack(packed, choice.kernel.layout))).collect()
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

/// A result, the operand that it may follow through the same bytes, and the distance.
type Following = (BufferId, BufferId, usize);

fn overlays(layers: &Layers<'_>, cuts: &[Cut]) -> Vec<Following> {
    let mut following = Vec::new();
    for cut in cuts {
        let steps = layers.steps[cut.layers.clone()].iter().flatten();
        let ids: BTreeSet<BufferId> =
            steps.flat_map(|step| step.reads.iter().map(|read| read.buffer).chain([step.write])).collect();
        let ids: Vec<BufferId> = ids.into_iter().collect();
        let pairs = cuts::overlays(layers, cut.layers.clone(), &cut.streamed, &ids);
        following.extend(pairs.iter().map(|o| (ids[o.below], ids[o.above], o.distance)));
    }
    following
}

/// The chosen regions, and the rings among the buffers.
fn regions(
    graph: &Graph,
    layers: &[NodeId],
    steps: Vec<Vec<Step>>,
    cuts: &[Cut],
    buffers: &mut [Buffer],
) -> Vec<Region> {
    let mut steps = steps.into_iter();
    cuts.iter()
        .map(|cut| {
            let mut of_region: Vec<Step> = steps.by_ref().take(cut.layers.len()).flatten().collect();
            for (step, bands) in of_region.iter_mut().zip(&cut.streamed.bands) {
                step.bands = *bands;
            }
            for (id, rows) in &cut.streamed.rings {
                buffers[id.0].rows = *rows;
            }
            let name = layers.get(cut.layers.end - 1).map_or("", |&id| graph.name(id)).to_owned();
            Region { name, bands: cut.streamed.count, steps: of_region }
        })
        .collect()
}

fn too_large(graph: &Graph, layers: &Layers<'_>, options: &PlanOptions) -> Error {
    let least = cuts::choose(layers, options.target, Objective::Memory);
    let message = match (options.objective, least) {
        (Objective::Speed { cap }, Some(cuts)) => {
            let largest = cuts
                .iter()
                .map(|cut| (cuts::bytes(layers, cut.layers.clone(), &cut.streamed, options.target), cut))
                .max_by_key(|(bytes, _)| *bytes);
            let (bytes, name) = largest.map_or((0, ""), |(bytes, cut)| {
                (bytes, layers.buffers[layers.steps[cut.layers.start][0].write.0].name.as_str())
            });
            format!(
                "it needs at least {bytes} bytes of arena, {cap} are allowed; most are needed from {name} on"
            )
        }
        _ => "there is no plan".to_owned(),
    };
    Error::whole(
        format!("{} cannot be compiled for {}", graph.name, options.target.name),
        Fault::target(message).help("allow more memory, or take a network of smaller width or resolution"),
    )
}

/// Lifetimes, sharing of bytes, and offsets. Returns the arena's size and its lower bound.
fn offsets(
    buffers: &mut [Buffer],
    regions: &[Region],
    outputs: &[Port],
    following: &[Following],
    options: &PlanOptions,
) -> (usize, usize) {
    lifetimes(buffers, regions, outputs);
    let owner = shared(buffers, regions);
    let owners: Vec<usize> = (0..buffers.len())
        .filter(|&i| owner[i] == i && matches!(buffers[i].space, Space::Arena(_)))
        .collect();
    let items: Vec<Item> = owners
        .iter()
        .map(|&o| {
            let live = (0..buffers.len()).filter(|&i| owner[i] == o).map(|i| buffers[i].live);
            let live = live.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0));
            Item { bytes: buffers[o].bytes(), live }
        })
        .collect();
    // A buffer that shares its bytes with others follows nothing: the others' lives are longer than its own.
    let alone = |id: BufferId| {
        let at = owners.iter().position(|&o| o == id.0)?;
        let sharers = owner.iter().filter(|&&o| o == id.0).count();
        (sharers == 1).then_some(at)
    };
    let overlays: Vec<Overlay> = following
        .iter()
        .filter_map(|&(result, operand, distance)| {
            Some(Overlay { below: alone(result)?, above: alone(operand)?, distance })
        })
        .collect();
    let placement = arena::place(&items, &overlays, options.target.align);
    for (o, offset) in owners.iter().zip(&placement.offsets) {
        for i in (0..buffers.len()).filter(|&i| owner[i] == *o) {
            buffers[i].space = Space::Arena(*offset);
        }
    }
    (placement.bytes, placement.lower_bound)
}

fn lifetimes(buffers: &mut [Buffer], regions: &[Region], outputs: &[Port]) {
    let last = regions.len().saturating_sub(1);
    let mut first_seen = vec![false; buffers.len()];
    for (at, region) in regions.iter().enumerate() {
        for step in &region.steps {
            let touched = step.reads.iter().map(|read| read.buffer).chain([step.write]);
            for BufferId(i) in touched {
                let live = &mut buffers[i].live;
                *live = (if first_seen[i] { live.0 } else { at }, at);
                first_seen[i] = true;
            }
        }
    }
    for port in outputs {
        buffers[port.buffer.0].live.1 = last;
    }
}

/// For each buffer the one whose bytes it uses: a result goes over an operand that nothing reads later,
/// where the kernel allows it.
fn shared(buffers: &[Buffer], regions: &[Region]) -> Vec<usize> {
    let mut owner: Vec<usize> = (0..buffers.len()).collect();
    for (at, region) in regions.iter().enumerate() {
        let [step] = &region.steps[..] else { continue };
        let write = step.write.0;
        let candidate = over(step).into_iter().filter_map(|position| operand_buffer(step, position)).find(
            |&BufferId(i)| {
                let buffer = &buffers[i];
                let readers = step.reads.iter().filter(|read| read.buffer.0 == i).count();
                matches!(buffer.space, Space::Arena(_))
                    && buffer.live.1 == at
                    && buffer.bytes() == buffers[write].bytes()
                    && readers == 1
            },
        );
        if let Some(BufferId(i)) = candidate {
            owner[write] = owner[i];
        }
    }
    owner
}

/// Operands over which a step's result may be written.
fn over(step: &Step) -> Vec<usize> {
    let mut positions = Vec::new();
    if step.request.in_place {
        positions.push(0);
    }
    positions.extend(step.request.fields.iter().filter_map(|(_, arg)| match arg {
        Arg::Epilogue(_, Some((position, _))) => Some(*position),
        _ => None,
    }));
    positions
}

/// The buffer of the operand at a position of the node.
fn operand_buffer(step: &Step, position: usize) -> Option<BufferId> {
    let mut reads = step.reads.iter();
    step.request.fields.iter().find_map(|(_, arg)| {
        let at = match arg {
            Arg::Map(Operand::Input(i), _) | Arg::Place(Operand::Input(i), _) => *i,
            Arg::Epilogue(_, Some((i, _))) => *i,
            _ => return None,
        };
        let read = reads.next()?;
        (at == position).then_some(read.buffer)
    })
}
