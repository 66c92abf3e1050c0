//! `QuantizeLinear`, `DequantizeLinear`, and weights, which may stand behind one.

use super::messages::attribute;
use super::{Export, channels_first};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::Op;
use crate::tensor::Tensor;

/// The weight of a layer: floats, or integers with what makes floats of them.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    /// The constant's name.
    name: String,
    /// In the order that the graph has.
    pub(super) tensor: Tensor,
    /// Scales and zero points, one an output channel.
    scales: Option<[(String, Tensor); 2]>,
}

impl Export<'_> {
    /// The weight of a layer.
    pub(super) fn weight(&self, node: NodeId) -> Result<Weight, Fault> {
        let constant = |id: NodeId| Some((self.graph.name(id).to_owned(), self.graph.tensor(id)?.clone()));
        let operand = self.graph.operand(node, 1);
        let found = operand.and_then(|id| {
            if let Some((name, tensor)) = constant(id) {
                return Some(Weight { name, tensor, scales: None });
            }
            let [stored, scale, zero] = self.graph.operands(id)[..] else { return None };
            let is_dequantize = matches!(self.graph.op(id), Op::Dequantize(_));
            let (name, tensor) = constant(stored).filter(|_| is_dequantize)?;
            Some(Weight { name, tensor, scales: Some([constant(scale)?, constant(zero)?]) })
        });
        found.ok_or_else(|| Fault::unsupported("a weight that is computed cannot be exported"))
    }

    /// Adds a weight whose dimensions were brought into ONNX's order, output channels along `axis`.
    pub(super) fn arranged(&mut self, weight: Weight, tensor: &Tensor, axis: usize) -> String {
        let name = self.tensor(&weight.name, tensor);
        let Some([scale, zero]) = weight.scales else { return name };
        let inputs = [name.clone(), self.tensor(&scale.0, &scale.1), self.tensor(&zero.0, &zero.1)];
        let attributes = vec![attribute::int("axis", axis)];
        self.add(&format!("{name}.float"), "DequantizeLinear", &inputs, attributes)
    }

    /// Whether a node makes floats of constant integers: they are added where they are read.
    pub(super) fn is_constant(&self, node: NodeId) -> bool {
        matches!(self.graph.op(node), Op::Dequantize(_))
            && self.graph.operands(node).iter().all(|&operand| self.graph.tensor(operand).is_some())
    }

    /// Adds floats made of constant integers, with their channels first or as the graph has them.
    pub(super) fn dequantized(&mut self, node: NodeId, first: bool) -> String {
        let operands = self.graph.operands(node);
        let mut stored = self.graph.tensor(operands[0]).cloned().unwrap_or_else(|| Tensor::from_f32([], &[]));
        let each = self.graph.ty(operands[1]).elements() > 1;
        if first && let Some(tensor) = channels_first(&stored).filter(|_| !each) {
            stored = tensor;
        }
        let names: Vec<String> = operands.iter().map(|&id| self.graph.name(id).to_owned()).collect();
        let mut inputs = vec![self.tensor(&names[0], &stored)];
        for (name, &operand) in names.iter().zip(&operands).skip(1) {
            if let Some(tensor) = self.graph.tensor(operand).cloned() {
                inputs.push(self.tensor(name, &tensor));
            }
        }
        let axis = match self.graph.op(node) {
            Op::Dequantize(op) if each => vec![attribute::int("axis", op.axis)],
            _ => Vec::new(),
        };
        self.add(self.graph.name(node), "DequantizeLinear", &inputs, axis)
    }

    /// One of the two on a value of one scale. What maps read is stored with its channels first, so that
    /// nothing stands between `DequantizeLinear` and its reader.
    pub(super) fn step(&mut self, node: NodeId, operator: &str) -> Result<(), Fault> {
        if self.is_constant(node) {
            return Ok(());
        }
        let [x, scale, zero] = self.graph.operands(node)[..] else {
            return Err(Fault::bug("quantisation has three operands"));
        };
        if self.graph.ty(scale).elements() != 1 {
            return Err(Fault::unsupported("activations with a scale for each channel cannot be exported"));
        }
        let first = self.is_first(x) || self.is_read_as_map(node);
        let x = if first { self.first(x) } else { self.plain(x) };
        let inputs = [x, self.plain(scale), self.plain(zero)];
        let y = self.add(self.graph.name(node), operator, &inputs, Vec::new());
        if first {
            self.set_first(node, y)
        } else {
            self.set_plain(node, y)
        }
        Ok(())
    }

    /// Whether an operator of maps reads the value that is dequantised behind a node.
    fn is_read_as_map(&self, node: NodeId) -> bool {
        let readers = self.graph.users(node);
        let readers = readers.into_iter().flat_map(|user| match self.graph.op(user) {
            Op::Dequantize(_) => self.graph.users(user),
            _ => vec![user],
        });
        self.graph.ty(node).rank() == 4
            && readers.into_iter().any(|reader| {
                matches!(
                    self.graph.op(reader),
                    Op::Conv2d(_) | Op::Depthwise(_) | Op::Pool2d(_) | Op::GlobalPool(_)
                )
            })
    }
}
