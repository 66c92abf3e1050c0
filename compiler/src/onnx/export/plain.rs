//! Operators that take tensors in any layout, or as the graph has them.

use super::messages::{attribute, number};
use super::{Export, TO_NCHW};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::arg_reduce::ArgReduce;
use crate::ops::compare::CompareOp;
use crate::ops::gather::Gather;
use crate::ops::pad::Pad;
use crate::ops::reduce::{Reduce, ReduceOp};
use crate::ops::slice::Slice;
use crate::ops::unary::UnaryOp;
use crate::reference::Array;
use crate::tensor::Tensor;

impl Export<'_> {
    /// An operator that goes element by element, in the layout of its only operand.
    pub(super) fn elementwise(
        &mut self,
        node: NodeId,
        operator: &str,
        attributes: Vec<crate::onnx::proto::AttributeProto>,
    ) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("an operator without an operand"))?;
        let first = self.is_first(x);
        let x = if first { self.first(x) } else { self.plain(x) };
        let y = self.add(self.graph.name(node), operator, &[x], attributes);
        if first {
            self.set_first(node, y)
        } else {
            self.set_plain(node, y)
        }
        Ok(())
    }

    pub(super) fn cast(&mut self, node: NodeId) -> Result<(), Fault> {
        let to = number(self.graph.ty(node).dtype) as usize;
        self.elementwise(node, "Cast", vec![attribute::int("to", to)])
    }

    pub(super) fn unary(&mut self, node: NodeId, op: UnaryOp) -> Result<(), Fault> {
        let operator = match op {
            UnaryOp::Abs => "Abs",
            UnaryOp::Neg => "Neg",
            UnaryOp::Sqrt => "Sqrt",
            UnaryOp::Exp => "Exp",
            UnaryOp::Log => "Log",
            UnaryOp::Erf => "Erf",
            UnaryOp::Reciprocal => "Reciprocal",
            UnaryOp::Floor => "Floor",
            UnaryOp::Ceil => "Ceil",
            UnaryOp::Round => "Round",
            UnaryOp::Sign => "Sign",
            UnaryOp::Sin => "Sin",
            UnaryOp::Cos => "Cos",
            UnaryOp::Not => "Not",
        };
        self.elementwise(node, operator, Vec::new())
    }

    /// With channels first where a map is: the axis goes along.
    pub(super) fn concat(&mut self, node: NodeId, axis: usize) -> Result<(), Fault> {
        let operands = self.graph.operands(node);
        let first = self.graph.ty(node).rank() == 4 && operands.iter().any(|&operand| self.is_first(operand));
        let inputs: Vec<String> = operands
            .iter()
            .map(|&operand| if first { self.first(operand) } else { self.plain(operand) })
            .collect();
        let moved = TO_NCHW.iter().position(|&from| from == axis).filter(|_| first).unwrap_or(axis);
        let y = self.add(self.graph.name(node), "Concat", &inputs, vec![attribute::int("axis", moved)]);
        if first {
            self.set_first(node, y)
        } else {
            self.set_plain(node, y)
        }
        Ok(())
    }

    /// An operator of which everything but the operands is constant.
    fn with_integers(&mut self, node: NodeId, operator: &str, lists: &[(&str, Vec<i64>)]) -> String {
        let name = self.graph.name(node).to_owned();
        let operands = self.graph.operands(node);
        let mut inputs: Vec<String> = operands.into_iter().map(|operand| self.plain(operand)).collect();
        for (word, values) in lists {
            inputs.push(self.tensor(&format!("{name}.{word}"), &Tensor::from_i64(values)));
        }
        self.add(&name, operator, &inputs, Vec::new())
    }

    pub(super) fn slice(&mut self, node: NodeId, op: &Slice) -> Result<(), Fault> {
        let input = self.graph.operand_types(node);
        let input = &input.first().ok_or_else(|| Fault::bug("a slice of nothing"))?.shape;
        let end = |axis: usize| {
            let end = op.starts[axis] as i64 + op.steps[axis] as i64 * op.shape[axis] as i64;
            // Downwards to the very first element ends before any that could be named.
            if end < 0 { -(input[axis] as i64) - 1 } else { end }
        };
        let axes: Vec<usize> =
            (0..input.len()).filter(|&axis| op.shape[axis] != input[axis] || op.steps[axis] != 1).collect();
        let lists = [
            ("starts", axes.iter().map(|&axis| op.starts[axis] as i64).collect()),
            ("ends", axes.iter().map(|&axis| end(axis)).collect()),
            ("axes", axes.iter().map(|&axis| axis as i64).collect()),
            ("steps", axes.iter().map(|&axis| op.steps[axis] as i64).collect()),
        ];
        let y = self.with_integers(node, "Slice", &lists);
        self.set_plain(node, y);
        Ok(())
    }

    pub(super) fn expand(&mut self, node: NodeId, shape: &[usize]) -> Result<(), Fault> {
        let shape = shape.iter().map(|&d| d as i64).collect();
        let y = self.with_integers(node, "Expand", &[("shape", shape)]);
        self.set_plain(node, y);
        Ok(())
    }

    pub(super) fn pad(&mut self, node: NodeId, op: &Pad) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("a padding of nothing"))?;
        let (x, name) = (self.plain(x), self.graph.name(node).to_owned());
        let pads: Vec<i64> = op.before.iter().chain(&op.after).map(|&n| n as i64).collect();
        let dtype = self.graph.ty(node).dtype;
        let value = match dtype.is_float() {
            true => Array::float([], vec![op.value]),
            false => Array::int(dtype, [], vec![op.value as i64]),
        };
        let pads = self.tensor(&format!("{name}.pads"), &Tensor::from_i64(&pads));
        let value = self.tensor(&format!("{name}.value"), &Tensor::from(&value));
        let y = self.add(&name, "Pad", &[x, pads, value], Vec::new());
        self.set_plain(node, y);
        Ok(())
    }

    pub(super) fn gather(&mut self, node: NodeId, op: &Gather) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("a gather of nothing"))?;
        let (x, name) = (self.plain(x), self.graph.name(node).to_owned());
        let indices = Tensor::from_i64(&op.indices.iter().map(|&i| i as i64).collect::<Vec<_>>());
        let indices = indices.reshaped(op.index_shape.clone());
        let indices = indices.ok_or_else(|| Fault::bug("as many indices as their shape says"))?;
        let indices = self.tensor(&format!("{name}.indices"), &indices);
        let y = self.add(&name, "Gather", &[x, indices], vec![attribute::int("axis", op.axis)]);
        self.set_plain(node, y);
        Ok(())
    }

    /// Of a sum the axes are an operand at opset 17, of the others an attribute.
    pub(super) fn reduce(&mut self, node: NodeId, op: &Reduce) -> Result<(), Fault> {
        let x = self.graph.operand(node, 0).ok_or_else(|| Fault::bug("a reduction of nothing"))?;
        let (x, name) = (self.plain(x), self.graph.name(node).to_owned());
        let mut attributes = vec![attribute::int("keepdims", op.keep.into())];
        let mut inputs = vec![x];
        let operator = match op.op {
            ReduceOp::Sum => {
                let axes: Vec<i64> = op.axes.iter().map(|&axis| axis as i64).collect();
                inputs.push(self.tensor(&format!("{name}.axes"), &Tensor::from_i64(&axes)));
                "ReduceSum"
            }
            ReduceOp::Mean => "ReduceMean",
            ReduceOp::Max => "ReduceMax",
            ReduceOp::Min => "ReduceMin",
            ReduceOp::Product => "ReduceProd",
        };
        if op.op != ReduceOp::Sum {
            attributes.push(attribute::ints("axes", &op.axes));
        }
        let y = self.add(&name, operator, &inputs, attributes);
        self.set_plain(node, y);
        Ok(())
    }

    pub(super) fn arg_reduce(&mut self, node: NodeId, op: &ArgReduce) -> Result<(), Fault> {
        let attributes = vec![
            attribute::int("axis", op.axis),
            attribute::int("keepdims", op.keep.into()),
            attribute::int("select_last_index", op.last.into()),
        ];
        self.unary_or_more(node, if op.min { "ArgMin" } else { "ArgMax" }, attributes)
    }

    pub(super) fn compare(&mut self, node: NodeId, op: CompareOp) -> Result<(), Fault> {
        let operator = match op {
            CompareOp::Equal => "Equal",
            CompareOp::Less => "Less",
            CompareOp::LessOrEqual => "LessOrEqual",
            CompareOp::Greater => "Greater",
            CompareOp::GreaterOrEqual => "GreaterOrEqual",
        };
        self.unary_or_more(node, operator, Vec::new())
    }

    pub(super) fn layer_norm(&mut self, node: NodeId, epsilon: f32) -> Result<(), Fault> {
        let axis = attribute::int("axis", self.graph.ty(node).rank().saturating_sub(1));
        self.unary_or_more(node, "LayerNormalization", vec![axis, attribute::float("epsilon", epsilon)])
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::testing::{Net, assert_same};
    use crate::graph::{Graph, NodeId};
    use crate::onnx::{self, ImportOptions};
    use crate::ops::activation::Activation;
    use crate::ops::binary::BinaryOp;
    use crate::ops::cast::Cast;
    use crate::ops::compare::{Compare, CompareOp};
    use crate::ops::concat::Concat;
    use crate::ops::dense::Dense;
    use crate::ops::epilogue::Epilogue;
    use crate::ops::expand::Expand;
    use crate::ops::gather::Gather;
    use crate::ops::layer_norm::LayerNorm;
    use crate::ops::pad::Pad;
    use crate::ops::reduce::{Reduce, ReduceOp};
    use crate::ops::select::Select;
    use crate::ops::slice::Slice;
    use crate::ops::unary::{Unary, UnaryOp};
    use crate::tensor::DType;
    use std::collections::BTreeMap;

    /// Exports a network of an `f32[2,3,4,5]` and reads the file: it computes the same.
    #[track_caller]
    fn check(build: impl FnOnce(&mut Net, NodeId) -> NodeId) -> Graph {
        let mut net = Net::new();
        let x = net.input(&[2, 3, 4, 5]);
        let y = build(&mut net, x);
        let graph = net.returns(y);
        let bytes = onnx::export(&graph, &BTreeMap::new()).unwrap();
        let read = onnx::import("exported", bytes.into(), &ImportOptions::default()).unwrap();
        assert_same(&graph, &read.graph);
        read.graph
    }

    #[test]
    fn what_moves_elements() {
        check(|net, x| {
            net.op(
                "s",
                Slice { starts: vec![0, 2, 1, 0], steps: vec![1, -1, 2, 1], shape: vec![2, 3, 2, 5] },
                &[x],
            )
        });
        check(|net, x| {
            net.op("p", Pad { before: vec![0, 1, 0, 0], after: vec![0, 0, 2, 0], value: 1.5 }, &[x])
        });
        check(|net, x| net.op("g", Gather { axis: 3, indices: vec![4, 0, 0], index_shape: vec![3] }, &[x]));
        check(|net, x| net.op("g", Gather { axis: 1, indices: vec![2], index_shape: vec![] }, &[x]));
        check(|net, x| {
            let mean = net.op("m", Reduce { op: ReduceOp::Mean, axes: vec![1], keep: true }, &[x]);
            net.op("e", Expand { shape: vec![2, 3, 4, 5] }, &[mean])
        });
    }

    #[test]
    fn a_concatenation_of_maps_is_along_their_channels() {
        check(|net, x| {
            let (a, b) = (net.conv(x, 3, 1, 0), net.conv(x, 2, 1, 0));
            net.op("c", Concat { axis: 3 }, &[a, b, x])
        });
        check(|net, x| net.op("c", Concat { axis: 1 }, &[x, x]));
    }

    #[test]
    fn reductions_and_norms() {
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min, ReduceOp::Product] {
            for keep in [false, true] {
                check(|net, x| net.op("r", Reduce { op, axes: vec![1, 2], keep }, &[x]));
            }
        }
        check(|net, x| {
            let (scale, shift) = (net.weights(&[5]), net.weights(&[5]));
            net.op("n", LayerNorm { epsilon: 1e-3 }, &[x, scale, shift])
        });
    }

    #[test]
    fn element_by_element() {
        for op in [UnaryOp::Abs, UnaryOp::Neg, UnaryOp::Exp, UnaryOp::Floor, UnaryOp::Sign, UnaryOp::Cos] {
            check(|net, x| net.op("u", Unary { op }, &[x]));
        }
        check(|net, x| {
            let y = net.activate(Activation::Tanh, x);
            let less = net.op("l", Compare { op: CompareOp::Less }, &[x, y]);
            net.op("w", Select {}, &[less, x, y])
        });
        check(|net, x| {
            let whole = net.op("i", Cast { to: DType::I32 }, &[x]);
            let back = net.op("f", Cast { to: DType::F32 }, &[whole]);
            net.binary(BinaryOp::Sub, x, back)
        });
    }

    #[test]
    fn dense_layers_of_a_pixel_are_convolutions() {
        let read = check(|net, x| {
            let mean = net.op("m", Reduce { op: ReduceOp::Mean, axes: vec![1, 2], keep: true }, &[x]);
            let (weight, bias) = (net.weights(&[5, 7]), net.weights(&[7]));
            net.op(
                "d",
                Dense { epilogue: Epilogue { activation: Activation::RELU, ..Epilogue::default() } },
                &[mean, weight, bias],
            )
        });
        assert!(read.text().contains("conv2d 1x1"), "{}", read.text());
    }
}
