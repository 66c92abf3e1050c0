//! From a float graph and the ranges of its values to a graph with `Quantize` and `Dequantize` around
//! whatever integers can compute.
//!
//! A value is stored in 8 bits if an integer operator makes or reads it. What only moves elements has the
//! parameters of what it moves. Weights and biases become integers behind a `Dequantize`; a clamp behind
//! which a value is stored goes, for the stored range is within it.

use super::parameters::{Activations, WeightRange, Weights, integers, quantization, tensors};
use super::range::Range;
use super::split::{activation, is_range, without_activation};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::binary::BinaryOp;
use crate::ops::dequantize::Dequantize;
use crate::ops::pool::Pooling;
use crate::ops::quantization::Quantization;
use crate::ops::quantize::Quantize;
use crate::quantize::bias;
use crate::quantize::layers::{Form, Layer};
use crate::reference::Array;
use crate::tensor::{DType, Tensor};
use std::collections::BTreeMap;

/// What is known and wanted of a graph's values.
pub struct Known<'a> {
    /// The range of a value's distribution.
    pub range: &'a dyn Fn(NodeId) -> Option<Range>,
    /// What each tap of a layer reads on average, where biases are to be corrected.
    pub means: &'a dyn Fn(NodeId) -> Option<Vec<f64>>,
    /// How activations are stored.
    pub stored: Activations,
    /// How weights are.
    pub weights: WeightRange,
}

/// A graph of integers.
pub struct Inserted {
    /// The graph.
    pub graph: Graph,
    /// For each value that is stored, by its node in the float graph: the node in the new graph that has the
    /// stored value as a float again.
    pub stored: BTreeMap<NodeId, NodeId>,
    /// Outside of which range nothing that reads a stored value tells it from the nearer end.
    pub told: BTreeMap<NodeId, Range>,
    /// For each layer: its weights as floats, and what is left of them.
    pub weights: BTreeMap<NodeId, (Vec<f64>, Vec<f64>)>,
}

/// What an operator does with stored values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Integers compute it.
    Computes,
    /// It moves elements, whatever they are.
    Moves,
    /// It stays in floats.
    Stays,
}

fn role(graph: &Graph, id: NodeId) -> Role {
    if !graph.ty(id).dtype.is_float() {
        return Role::Stays;
    }
    match graph.op(id) {
        Op::Conv2d(_) | Op::Depthwise(_) | Op::Dense(_) => {
            if Layer::of(graph, id).is_some() {
                Role::Computes
            } else {
                Role::Stays
            }
        }
        Op::Binary(op) => match op.op {
            BinaryOp::Add | BinaryOp::Mul => Role::Computes,
            BinaryOp::Sub
            | BinaryOp::Div
            | BinaryOp::Pow
            | BinaryOp::Min
            | BinaryOp::Max
            | BinaryOp::Mod
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor => Role::Stays,
        },
        Op::MatMul(_) | Op::ChannelScale(_) | Op::Activate(_) | Op::Concat(_) => Role::Computes,
        Op::GlobalPool(op) => {
            if op.max {
                Role::Moves
            } else {
                Role::Computes
            }
        }
        Op::Pool2d(op) => match op.pooling {
            Pooling::Max => Role::Moves,
            Pooling::Average | Pooling::AveragePadded => Role::Computes,
        },
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => Role::Moves,
        Op::Input(_)
        | Op::Constant(_)
        | Op::PlanarConv2d(_)
        | Op::ConvTranspose2d(_)
        | Op::QuantizedLayer(_)
        | Op::QuantizedMatMul(_)
        | Op::QuantizedBinary(_)
        | Op::QuantizedPool(_)
        | Op::QuantizedSoftmax(_)
        | Op::Lookup(_)
        | Op::Unary(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Cast(_)
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::Affine(_)
        | Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Softmax(_)
        | Op::LayerNorm(_)
        | Op::Gather(_)
        | Op::Expand(_)
        | Op::Pad(_)
        | Op::Interpolate(_) => Role::Stays,
    }
}

/// Whether a value's elements are another one's.
pub fn is_moved(graph: &Graph, id: NodeId) -> bool {
    role(graph, id) == Role::Moves
}

/// Whether a value goes into the network or comes out of it, as it is or with its elements moved.
pub fn is_interface(graph: &Graph, id: NodeId) -> bool {
    let comes_out = |user: NodeId| is_moved(graph, user) && is_interface(graph, user);
    graph.is_output(id) || graph.inputs().contains(&id) || graph.users(id).into_iter().any(comes_out)
}

/// Builds the graph of integers.
///
/// # Errors
///
/// Only bugs.
pub fn insert(graph: &Graph, known: &Known<'_>) -> Result<Inserted, Fault> {
    let stored = Plan { graph, known }.parameters();
    let mut insertion = Insertion {
        known,
        inserted: Inserted {
            graph: graph.clone(),
            stored: BTreeMap::new(),
            told: stored.keys().filter_map(|&id| Some((id, told(graph, id)?))).collect(),
            weights: BTreeMap::new(),
        },
        parameters: stored,
    };
    for id in graph.order() {
        insertion.node(graph, id)?;
    }
    Ok(insertion.inserted)
}

/// Which values are stored, and how.
struct Plan<'a> {
    graph: &'a Graph,
    known: &'a Known<'a>,
}

impl Plan<'_> {
    fn parameters(&self) -> BTreeMap<NodeId, Quantization> {
        let mut parameters = BTreeMap::new();
        for id in self.graph.order() {
            if !self.is_stored(id) {
                continue;
            }
            let moved = (role(self.graph, id) == Role::Moves)
                .then(|| self.graph.operand(id, 0).and_then(|of| parameters.get(&of).copied()))
                .flatten();
            let own = || Some(quantization(self.range(id)?, self.known.stored));
            if let Some(found) = moved.or_else(own) {
                parameters.insert(id, found);
            }
        }
        parameters
    }

    /// Whether integers make or read a value. Elements that are only moved belong to those who read them
    /// in the end, or made them at first.
    fn is_stored(&self, id: NodeId) -> bool {
        let graph = self.graph;
        if !graph.ty(id).dtype.is_float() || matches!(graph.op(id), Op::Constant(_)) {
            return false;
        }
        self.is_made(id) || self.is_read(id)
    }

    fn is_made(&self, id: NodeId) -> bool {
        match role(self.graph, id) {
            Role::Computes => true,
            Role::Moves => self.graph.operand(id, 0).is_some_and(|of| self.is_stored(of)),
            Role::Stays => false,
        }
    }

    fn is_read(&self, id: NodeId) -> bool {
        self.graph.users(id).into_iter().any(|user| match role(self.graph, user) {
            Role::Computes => true,
            Role::Moves => self.is_read(user),
            Role::Stays => false,
        })
    }

    /// The range of a value, within what its maker's clamp allows and its readers tell apart.
    fn range(&self, id: NodeId) -> Option<Range> {
        if let Some(range) = pixels(self.graph, id) {
            return Some(range);
        }
        let mut range = (self.known.range)(id)?;
        if let Activation::Clamp { lo, hi } = self.activation(id) {
            range = range.within(Range::new(lo.into(), hi.into()));
        }
        Some(told(self.graph, id).map_or(range, |told| range.within(told)))
    }

    fn activation(&self, id: NodeId) -> Activation {
        match self.graph.op(id) {
            Op::Activate(op) => op.activation,
            op => activation(op),
        }
    }
}

/// The range of bytes that became floats: their steps are kept as they are.
fn pixels(graph: &Graph, id: NodeId) -> Option<Range> {
    let from = graph.operand(id, 0).filter(|_| matches!(graph.op(id), Op::Cast(_)))?;
    match graph.ty(from).dtype {
        DType::U8 => Some(Range::new(0.0, 255.0)),
        DType::I8 => Some(Range::new(-128.0, 127.0)),
        DType::F32 | DType::I32 | DType::I64 | DType::Bool => None,
    }
}

/// Outside of which range nothing that reads a value tells it from the nearer end, if there is one.
fn told(graph: &Graph, id: NodeId) -> Option<Range> {
    let users = graph.users(id);
    if users.is_empty() || graph.is_output(id) {
        return None;
    }
    let ranges = users.into_iter().map(|user| told_apart(graph.op(user)));
    ranges.reduce(|a, b| {
        let (a, b) = (a?, b?);
        Some(Range::new(a.low.min(b.low), a.high.max(b.high)))
    })?
}

/// Outside of which range a function is constant, if it is.
fn told_apart(op: &Op) -> Option<Range> {
    let Op::Activate(op) = op else { return None };
    match op.activation {
        Activation::HardSwish => Some(Range::new(-3.0, f64::INFINITY)),
        Activation::HardSigmoid { alpha, beta } if alpha > 0.0 => {
            let at = |y: f32| f64::from((y - beta) / alpha);
            Some(Range::new(at(0.0), at(1.0)))
        }
        Activation::Clamp { lo, hi } => Some(Range::new(lo.into(), hi.into())),
        _ => None,
    }
}

struct Insertion<'a> {
    known: &'a Known<'a>,
    inserted: Inserted,
    parameters: BTreeMap<NodeId, Quantization>,
}

impl Insertion<'_> {
    fn node(&mut self, float: &Graph, id: NodeId) -> Result<(), Fault> {
        if role(float, id) == Role::Computes {
            match Layer::of(float, id) {
                Some(layer) => self.layer(float, layer)?,
                None => self.constants(float, id)?,
            }
        }
        let Some(parameters) = self.parameters.get(&id).copied() else { return Ok(()) };
        let graph = &mut self.inserted.graph;
        if is_range(activation(graph.op(id))) {
            let (op, operands) = (without_activation(graph.op(id)), graph.operands(id));
            graph.rewrite(id, op, &operands)?;
        }
        let name = graph.name(id).to_owned();
        let [scale, zero] = tensors(&parameters);
        let scale = graph.add_constant(format!("{name}.scale"), scale);
        let zero = graph.add_constant(format!("{name}.zero_point"), zero);
        let stored = graph.add_like(id, Quantize { axis: 0 }, &[id, scale, zero])?;
        graph.set_name(stored, format!("{name}.quantized"));
        let back = graph.add_like(id, Dequantize { axis: 0 }, &[stored, scale, zero])?;
        graph.set_name(back, format!("{name}.dequantized"));
        graph.replace_except(id, back, &[stored]);
        self.inserted.stored.insert(id, back);
        Ok(())
    }

    /// Weights and biases of a layer.
    fn layer(&mut self, float: &Graph, mut layer: Layer) -> Result<(), Fault> {
        let id = layer.id();
        let Some(input) = self.parameters.get(&layer.input()).copied() else { return Ok(()) };
        let channel = layer.output_of();
        let integers_of = match layer.form {
            Form::Depthwise(..) => WeightRange::Full,
            Form::Conv2d(..) | Form::Dense => self.known.weights,
        };
        let weights = Weights::of(&layer.weights, &channel, &layer.biases, input.scale, integers_of);
        let real = weights.real(&channel);
        if let Some(means) = (self.known.means)(id) {
            layer.biases = bias::corrected(&layer, &real, &means);
        }
        let sums = weights.sums(input.scale);
        let count = sums.len();
        let rounded = |(bias, &scale): (&f64, &f32)| (bias / f64::from(scale)).round_ties_even() as i64;
        let biases: Vec<i64> = layer.biases.iter().zip(&sums).map(rounded).collect();

        let operands = float.operands(id);
        let graph = &mut self.inserted.graph;
        let x = graph.operands(id)[0];
        let name = float.name(operands[1]).to_owned();
        let stored = integers(DType::I8, layer.shape.clone(), &weights.stored);
        let zeros = integers(DType::I8, vec![count], &vec![0; count]);
        let weight = dequantized(
            graph,
            &name,
            [stored, Tensor::from_f32([count], &weights.scales), zeros],
            layer.axis(),
        )?;
        let mut changed = vec![x, weight];
        if operands.len() > 2 || biases.iter().any(|&bias| bias != 0) {
            let name =
                operands.get(2).map_or(format!("{}.bias", float.name(id)), |&bias| float.name(bias).into());
            let stored = integers(DType::I32, vec![count], &biases);
            let zeros = integers(DType::I32, vec![count], &vec![0; count]);
            changed.push(dequantized(graph, &name, [stored, Tensor::from_f32([count], &sums), zeros], 0)?);
        }
        let op = graph.op(id).clone();
        graph.rewrite(id, op, &changed)?;
        self.inserted.weights.insert(id, (layer.weights, real));
        Ok(())
    }

    /// Constants that an operator computes with are stored like values.
    fn constants(&mut self, float: &Graph, id: NodeId) -> Result<(), Fault> {
        let graph = &mut self.inserted.graph;
        let mut operands = graph.operands(id);
        for operand in &mut operands {
            let Some(values) = float.contains(*operand).then(|| float.floats(*operand)).flatten() else {
                continue;
            };
            let (low, high) = values.iter().fold((0.0, 0.0), |(a, b): (f64, f64), &v| (a.min(v), b.max(v)));
            let parameters = quantization(Range::new(low, high), self.known.stored);
            let [scale, zero] = tensors(&parameters);
            let shape = graph.ty(*operand).shape.clone();
            let codes: Vec<i64> = values.iter().map(|&value| parameters.code(value).into()).collect();
            let stored = integers(self.known.stored.dtype(), shape, &codes);
            let name = graph.name(*operand).to_owned();
            *operand = dequantized(graph, &name, [stored, scale, zero], 0)?;
        }
        let op = graph.op(id).clone();
        graph.rewrite(id, op, &operands)
    }
}

/// A constant of integers as floats: what is stored, scales, zero points.
fn dequantized(graph: &mut Graph, name: &str, tensors: [Tensor; 3], axis: usize) -> Result<NodeId, Fault> {
    let words = ["quantized", "scale", "zero_point"];
    let pairs = words.into_iter().zip(tensors);
    let operands: Vec<NodeId> =
        pairs.map(|(word, tensor)| graph.add_constant(format!("{name}.{word}"), tensor)).collect();
    graph.add(format!("{name}.dequantized"), Dequantize { axis }, &operands)
}

/// The same graph with its integer constants as the floats that they stand for.
pub fn simulation(inserted: &Graph) -> Graph {
    let mut graph = inserted.clone();
    for id in graph.order() {
        let operands: Option<Vec<Array>> =
            graph.operands(id).iter().map(|&operand| graph.tensor(operand).map(Array::from)).collect();
        if let (Op::Dequantize(_), Some(operands)) = (graph.op(id), operands) {
            let value = graph.op(id).eval(&operands.iter().collect::<Vec<_>>(), graph.ty(id));
            let constant = graph.add_constant_like(id, Tensor::from(&value));
            graph.substitute(id, constant);
        }
    }
    graph
}
