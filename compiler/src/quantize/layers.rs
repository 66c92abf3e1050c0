//! Layers with weights, by their channels, and what adds their values.

use crate::error::Fault;
use crate::fusions::linear::{Linear, Parts};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::binary::BinaryOp;
use crate::ops::window::Window;

/// A layer whose weights and biases are constants, in double precision.
pub struct Layer {
    linear: Linear,
    /// How its weights lie.
    pub form: Form,
    /// The weights.
    pub weights: Vec<f64>,
    /// Their shape.
    pub shape: Vec<usize>,
    /// One an output channel, 0 where the layer has none.
    pub biases: Vec<f64>,
}

/// How weights lie, and what a layer reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// `[O,kh,kw,C/groups]`
    Conv2d(Window, usize),
    /// `[kh,kw,C·multiplier]`
    Depthwise(Window, usize),
    /// `[K,N]`
    Dense,
}

impl Layer {
    /// A node seen as a layer, if it is one.
    pub fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        let form = match graph.op(id) {
            Op::Conv2d(op) => Form::Conv2d(op.window, op.groups),
            Op::Depthwise(op) => Form::Depthwise(op.window, op.multiplier),
            Op::Dense(_) => Form::Dense,
            _ => return None,
        };
        let linear = Linear::of(graph, id)?;
        let (weights, shape) = linear.weights(graph)?;
        let biases = linear.biases(graph)?;
        Some(Self { linear, form, weights, shape, biases })
    }

    /// The node.
    pub fn id(&self) -> NodeId {
        self.linear.id
    }

    /// What it reads.
    pub fn input(&self) -> NodeId {
        self.linear.input
    }

    /// The axis of the weights' shape along which output channels lie.
    pub fn axis(&self) -> usize {
        match self.form {
            Form::Conv2d(..) => 0,
            Form::Depthwise(..) => 2,
            Form::Dense => 1,
        }
    }

    /// The output channel that a weight belongs to.
    pub fn output_of(&self) -> impl Fn(usize) -> usize + use<> {
        let outputs = self.biases.len();
        let per_output = self.weights.len() / outputs.max(1);
        let outermost = self.axis() == 0;
        move |weight| if outermost { weight / per_output.max(1) } else { weight % outputs }
    }

    /// The input channel that a weight is multiplied with.
    pub fn input_of(&self) -> impl Fn(usize) -> usize + use<> {
        let (outputs, form) = (self.biases.len(), self.form);
        let depth = self.shape.last().copied().unwrap_or(1);
        let per_output = self.weights.len() / outputs.max(1);
        move |weight| match form {
            Form::Conv2d(_, groups) => {
                let group = weight / per_output.max(1) / (outputs / groups.max(1)).max(1);
                group * depth + weight % depth
            }
            Form::Depthwise(_, multiplier) => weight % outputs / multiplier,
            Form::Dense => weight / outputs,
        }
    }

    /// The tap of the window that a weight belongs to.
    pub fn tap_of(&self) -> impl Fn(usize) -> usize + use<> {
        let (outputs, form) = (self.biases.len(), self.form);
        let depth = self.shape.last().copied().unwrap_or(1);
        move |weight| match form {
            Form::Conv2d(window, _) => weight / depth % window.taps(),
            Form::Depthwise(..) => weight / outputs,
            Form::Dense => 0,
        }
    }

    /// Puts weights and biases back into the graph; the node stays the same one.
    ///
    /// # Errors
    ///
    /// Numbers that do not fit, which would be a bug.
    pub fn store(self, graph: &mut Graph) -> Result<(), Fault> {
        let (id, op) = (self.linear.id, graph.op(self.linear.id).clone());
        let had_bias = graph.operands(id).len() > 2;
        let biases = (had_bias || self.biases.iter().any(|&bias| bias != 0.0)).then_some(self.biases);
        let parts = Parts { weights: Some(self.weights), biases, ..Parts::default() };
        let new = self.linear.rebuilt(graph, op.clone(), parts)?;
        let operands = graph.operands(new);
        graph.rewrite(id, op, &operands)?;
        graph.prune(new);
        Ok(())
    }
}

/// Whether a node adds two values of its own shape.
pub fn is_sum(graph: &Graph, id: NodeId) -> bool {
    let ty = graph.ty(id);
    matches!(graph.op(id), Op::Binary(op) if op.op == BinaryOp::Add)
        && ty.dtype.is_float()
        && graph.operands(id).into_iter().all(|operand| graph.ty(operand) == ty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::Net;
    use crate::ops::conv2d::Conv2d;
    use crate::ops::epilogue::Epilogue;

    /// Output channel, input channel and tap of every weight.
    fn places(graph: &Graph, id: NodeId) -> Vec<(usize, usize, usize)> {
        let layer = Layer::of(graph, id).unwrap();
        let (output, input, tap) = (layer.output_of(), layer.input_of(), layer.tap_of());
        (0..layer.weights.len()).map(|i| (output(i), input(i), tap(i))).collect()
    }

    #[test]
    fn every_weight_has_its_channels_and_its_tap() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 4]);
        let weight = net.weights(&[6, 1, 3, 2]);
        let window = Window { kernel: [1, 3], pad: [0, 1, 0, 1], ..Window::POINT };
        let grouped = net.op("g", Conv2d { window, groups: 2, epilogue: Epilogue::default() }, &[x, weight]);
        let depthwise = net.depthwise(x, 1);
        let dense = net.dense(depthwise, 3);
        let found = places(&net.graph, grouped);
        assert_eq!(found[..4], [(0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]);
        assert_eq!(found[6 * 3 + 5], (3, 3, 2), "the second group reads the second half");
        assert_eq!(places(&net.graph, depthwise)[4 * 5 + 3], (3, 3, 5));
        assert_eq!(places(&net.graph, dense)[3 * 2 + 1], (1, 2, 0));
    }
}
