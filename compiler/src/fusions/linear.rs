//! What the fusions have in common: layers with weights, a bias and an epilogue, seen alike.

use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::epilogue::Epilogue;
use crate::tensor::Tensor;

/// A layer with constant weights.
pub struct Linear {
    /// The node.
    pub id: NodeId,
    /// What it reads.
    pub input: NodeId,
    weight: NodeId,
    bias: Option<NodeId>,
    residual: Option<NodeId>,
}

impl Linear {
    /// A node seen as a layer, if it is one.
    pub fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        let residual = match graph.op(id) {
            Op::Conv2d(_) | Op::Depthwise(_) | Op::Dense(_) => epilogue(graph.op(id))?.residual,
            Op::ConvTranspose2d(_) => false,
            _ => return None,
        };
        let mut operands = graph.operands(id);
        let residual = if residual { operands.pop() } else { None };
        match operands[..] {
            [input, weight] => Some(Self { id, input, weight, bias: None, residual }),
            [input, weight, bias] => Some(Self { id, input, weight, bias: Some(bias), residual }),
            _ => None,
        }
    }

    /// Weights in double precision and their shape, if they are constant.
    pub fn weights(&self, graph: &Graph) -> Option<(Vec<f64>, Vec<usize>)> {
        Some((graph.floats(self.weight)?, graph.ty(self.weight).shape.clone()))
    }

    /// Number of output channels.
    pub fn outputs(&self, graph: &Graph) -> usize {
        graph.ty(self.id).shape.last().copied().unwrap_or(0)
    }

    /// Biases in double precision, 0 where there is none; `None` if they are not constant.
    pub fn biases(&self, graph: &Graph) -> Option<Vec<f64>> {
        match self.bias {
            Some(bias) => graph.floats(bias),
            None => Some(vec![0.0; self.outputs(graph)]),
        }
    }

    /// The same layer with other constants, input and operator.
    ///
    /// # Errors
    ///
    /// Operands that do not fit, which would be a bug.
    pub fn rebuilt(&self, graph: &mut Graph, op: Op, parts: Parts) -> Result<NodeId, Fault> {
        let weight = match parts.weights {
            Some(values) => constant(graph, self.weight, &values),
            None => self.weight,
        };
        let biases = match (parts.biases, self.bias) {
            (Some(values), _) => Some(constant(graph, self.id, &values)),
            (None, Some(bias)) => Some(bias),
            // A residual comes with a bias.
            (None, None) if parts.residual.is_some() => {
                let zeros = vec![0.0; self.outputs(graph)];
                Some(constant(graph, self.id, &zeros))
            }
            (None, None) => None,
        };
        let mut operands = vec![parts.input.unwrap_or(self.input), weight];
        operands.extend(biases);
        operands.extend(parts.residual.or(self.residual));
        graph.add_like(self.id, op, &operands)
    }
}

/// What changes when a layer is rebuilt.
#[derive(Default)]
pub struct Parts {
    /// Another input.
    pub input: Option<NodeId>,
    /// Other weights, in the order they have.
    pub weights: Option<Vec<f64>>,
    /// Other biases.
    pub biases: Option<Vec<f64>>,
    /// A value that the epilogue adds.
    pub residual: Option<NodeId>,
}

/// Values of the shape of `like`'s constant, or one a channel.
fn constant(graph: &mut Graph, like: NodeId, values: &[f64]) -> NodeId {
    let shape = match graph.tensor(like) {
        Some(tensor) => tensor.ty.shape.clone(),
        None => vec![values.len()],
    };
    let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    graph.add_constant_like(like, Tensor::from_f32(shape, &values))
}

/// Whether all values can be stored in single precision.
pub fn storable(values: &[f64]) -> bool {
    values.iter().all(|&v| (v as f32).is_finite())
}

/// The epilogue of an operator that has one.
pub fn epilogue(op: &Op) -> Option<Epilogue> {
    match op {
        Op::Conv2d(op) => Some(op.epilogue),
        Op::Depthwise(op) => Some(op.epilogue),
        Op::Dense(op) => Some(op.epilogue),
        _ => None,
    }
}

/// The operator with another epilogue; unchanged if it has none.
pub fn with_epilogue(op: &Op, epilogue: Epilogue) -> Op {
    let mut op = op.clone();
    match &mut op {
        Op::Conv2d(op) => op.epilogue = epilogue,
        Op::Depthwise(op) => op.epilogue = epilogue,
        Op::Dense(op) => op.epilogue = epilogue,
        _ => {}
    }
    op
}

/// Whether nothing is done behind the sum yet.
pub fn is_plain(op: &Op) -> bool {
    match op {
        Op::ConvTranspose2d(op) => op.activation == Activation::Identity,
        op => epilogue(op).is_some_and(|epilogue| epilogue.is_empty()),
    }
}
