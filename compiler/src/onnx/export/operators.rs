//! Operators without weights, and the list of those that are not exported.

use super::convolution::window;
use super::messages::{attribute, value};
use super::{Export, TO_NCHW, TO_NHWC};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::binary::BinaryOp;
use crate::ops::interpolate::Interpolate;
use crate::ops::pool::{Pool2d, Pooling};
use crate::ops::transpose::Transpose;
use crate::tensor::{DType, Tensor};

impl Export<'_> {
    /// Exports one node.
    pub(super) fn node(&mut self, node: NodeId) -> Result<(), Fault> {
        match self.graph.op(node) {
            Op::Input(_) => {
                let name = self.fresh(self.graph.name(node));
                self.message.input.push(value(&name, self.graph.ty(node)));
                self.set_plain(node, name);
                Ok(())
            }
            // Constants become tensors where they are read.
            Op::Constant(_) => Ok(()),
            Op::Conv2d(op) => self.conv2d(node, op),
            Op::Depthwise(op) => self.depthwise(node, op),
            Op::Dense(op) => self.dense(node, &op.epilogue),
            Op::Affine(op) => self.affine(node, op.activation),
            Op::Activate(op) => self.activate(node, op.activation),
            Op::Binary(op) => self.binary(node, op.op, op.activation),
            Op::ChannelScale(op) => self.binary(node, BinaryOp::Mul, op.activation),
            Op::GlobalPool(op) => {
                self.map(node, if op.max { "GlobalMaxPool" } else { "GlobalAveragePool" }, Vec::new())
            }
            Op::Pool2d(op) => self.pool(node, op),
            Op::MatMul(_) => self.unary_or_more(node, "MatMul", Vec::new()),
            Op::Softmax(op) => {
                let operator = if op.log { "LogSoftmax" } else { "Softmax" };
                self.unary_or_more(node, operator, vec![attribute::int("axis", op.axis)])
            }
            Op::Reshape(op) => self.reshape(node, &op.shape),
            Op::Transpose(op) => self.permute(node, op),
            Op::Interpolate(op) => self.interpolate(node, op),
            Op::Quantize(_) => self.step(node, "QuantizeLinear"),
            Op::Dequantize(_) => self.step(node, "DequantizeLinear"),
            Op::Unary(op) => self.unary(node, op.op),
            Op::Cast(_) => self.cast(node),
            Op::Concat(op) => self.concat(node, op.axis),
            Op::Slice(op) => self.slice(node, op),
            Op::Expand(op) => self.expand(node, &op.shape),
            Op::Pad(op) => self.pad(node, op),
            Op::Gather(op) => self.gather(node, op),
            Op::Reduce(op) => self.reduce(node, op),
            Op::ArgReduce(op) => self.arg_reduce(node, op),
            Op::Compare(op) => self.compare(node, op.op),
            Op::Select(_) => self.unary_or_more(node, "Where", Vec::new()),
            Op::LayerNorm(op) => self.layer_norm(node, op.epsilon),
            Op::PlanarConv2d(_)
            | Op::ConvTranspose2d(_)
            | Op::QuantizedLayer(_)
            | Op::QuantizedMatMul(_)
            | Op::QuantizedBinary(_)
            | Op::QuantizedPool(_)
            | Op::QuantizedSoftmax(_)
            | Op::Lookup(_) => {
                let what = self.graph.op(node).describe();
                Err(Fault::unsupported(format!("`{what}` cannot be exported")))
            }
        }
    }

    /// An operator on plain tensors.
    pub(super) fn unary_or_more(
        &mut self,
        node: NodeId,
        operator: &str,
        attributes: Vec<crate::onnx::proto::AttributeProto>,
    ) -> Result<(), Fault> {
        let operands = self.graph.operands(node);
        let inputs: Vec<String> = operands.into_iter().map(|operand| self.plain(operand)).collect();
        let y = self.add(self.graph.name(node), operator, &inputs, attributes);
        self.set_plain(node, y);
        Ok(())
    }

    /// An operator on a map with its channels first.
    fn map(
        &mut self,
        node: NodeId,
        operator: &str,
        attributes: Vec<crate::onnx::proto::AttributeProto>,
    ) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("a map without an operand"))?;
        let x = self.first(x);
        let y = self.add(self.graph.name(node), operator, &[x], attributes);
        self.set_first(node, y);
        Ok(())
    }

    fn pool(&mut self, node: NodeId, op: &Pool2d) -> Result<(), Fault> {
        let mut attributes = window(&op.window);
        if op.pooling == Pooling::Max {
            return self.map(node, "MaxPool", attributes);
        }
        if op.window.dilation != [1, 1] {
            return Err(Fault::unsupported(
                "an average over a dilated window cannot be exported at opset 17",
            ));
        }
        attributes.retain(|attribute| attribute.name != "dilations");
        attributes
            .push(attribute::int("count_include_pad", usize::from(op.pooling == Pooling::AveragePadded)));
        self.map(node, "AveragePool", attributes)
    }

    fn activate(&mut self, node: NodeId, activation: Activation) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("an activation of nothing"))?;
        let name = self.graph.name(node).to_owned();
        if self.is_first(x) {
            let x = self.first(x);
            let y = self.activation(&name, x, activation);
            self.set_first(node, y);
        } else {
            let x = self.plain(x);
            let y = self.activation(&name, x, activation);
            self.set_plain(node, y);
        }
        Ok(())
    }

    /// With channels first where an operand is and the other can be; plain otherwise.
    fn binary(&mut self, node: NodeId, op: BinaryOp, activation: Activation) -> Result<(), Fault> {
        let operator = match op {
            BinaryOp::Add => "Add",
            BinaryOp::Sub => "Sub",
            BinaryOp::Mul => "Mul",
            BinaryOp::Div => "Div",
            BinaryOp::Min => "Min",
            BinaryOp::Max => "Max",
            BinaryOp::Pow => "Pow",
            BinaryOp::Mod | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {
                return Err(Fault::unsupported(format!("`{}` cannot be exported", op.name())));
            }
        };
        let operands = self.graph.operands(node);
        let can = |id: NodeId| self.graph.ty(id).rank() == 4 || self.graph.tensor(id).is_some();
        let first = self.graph.ty(node).rank() == 4
            && operands.iter().all(|&operand| can(operand))
            && operands.iter().any(|&operand| self.is_first(operand));
        let inputs: Vec<String> = operands
            .iter()
            .map(|&operand| if first { self.first(operand) } else { self.plain(operand) })
            .collect();
        let name = self.graph.name(node).to_owned();
        let y = self.add(&name, operator, &inputs, Vec::new());
        let y = self.activation(&format!("{name}.act"), y, activation);
        if first {
            self.set_first(node, y)
        } else {
            self.set_plain(node, y)
        }
        Ok(())
    }

    /// `[N,1,1,C]` with its channels first has the same elements in the same order.
    fn reshape(&mut self, node: NodeId, shape: &[usize]) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("a reshape of nothing"))?;
        let pixel = matches!(self.graph.ty(x).shape[..], [_, 1, 1, _]);
        let input = if pixel && self.is_first(x) { self.first(x) } else { self.plain(x) };
        let name = self.graph.name(node).to_owned();
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let dims = self.tensor(&format!("{name}.shape"), &Tensor::from_i64(&dims));
        let y = self.add(&name, "Reshape", &[input, dims], Vec::new());
        self.set_plain(node, y);
        Ok(())
    }

    /// The transposes between the two layouts make nothing.
    fn permute(&mut self, node: NodeId, op: &Transpose) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("a transpose of nothing"))?;
        let made = self.made.get(&x).cloned().unwrap_or_default();
        if op.permutation == TO_NHWC
            && let Some(plain) = made.plain
        {
            self.set_first(node, plain);
            return Ok(());
        }
        if op.permutation == TO_NCHW
            && let Some(first) = made.first
        {
            self.set_plain(node, first);
            return Ok(());
        }
        self.unary_or_more(node, "Transpose", vec![attribute::ints("perm", &op.permutation)])
    }

    /// Two gathers, each weighted.
    fn interpolate(&mut self, node: NodeId, op: &Interpolate) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("an interpolation of nothing"))?;
        let (x, name, axis) = (self.plain(x), self.graph.name(node).to_owned(), op.axis);
        let mut shape = vec![1; self.graph.ty(node).rank()];
        shape[axis] = op.taps.len();
        let mut parts = Vec::new();
        for (word, second) in [("low", false), ("high", true)] {
            let at = |&(low, high, _): &(usize, usize, f32)| (if second { high } else { low }) as i64;
            let weight = |&(_, _, weight): &(usize, usize, f32)| if second { weight } else { 1.0 - weight };
            let positions = Tensor::from_i64(&op.taps.iter().map(at).collect::<Vec<_>>());
            let weights = Tensor::from_f32(shape.clone(), &op.taps.iter().map(weight).collect::<Vec<_>>());
            debug_assert_eq!(positions.ty.dtype, DType::I64);
            let positions = self.tensor(&format!("{name}.{word}.positions"), &positions);
            let weights = self.tensor(&format!("{name}.{word}.weights"), &weights);
            let inputs = [x.clone(), positions];
            let attributes = vec![attribute::int("axis", axis)];
            let gathered = self.add(&format!("{name}.{word}"), "Gather", &inputs, attributes);
            parts.push(self.add(&format!("{name}.{word}.part"), "Mul", &[gathered, weights], Vec::new()));
        }
        let y = self.add(&name, "Add", &parts, Vec::new());
        self.set_plain(node, y);
        Ok(())
    }
}
