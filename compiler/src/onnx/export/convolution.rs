//! Layers with weights, and what stands in their epilogues.

use super::Export;
use super::messages::attribute;
use super::permuted;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::proto::AttributeProto;
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise::Depthwise;
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::tensor::Tensor;

/// Attributes of a window.
pub(super) fn window(window: &Window) -> Vec<AttributeProto> {
    vec![
        attribute::ints("kernel_shape", &window.kernel),
        attribute::ints("strides", &window.stride),
        attribute::ints("dilations", &window.dilation),
        attribute::ints("pads", &window.pad),
    ]
}

impl Export<'_> {
    pub(super) fn conv2d(&mut self, node: NodeId, op: &Conv2d) -> Result<(), Fault> {
        let weight = self.weight(node)?;
        let tensor = permuted(&weight.tensor, &[0, 3, 1, 2]).ok_or_else(|| Fault::bug("a weight is OHWI"))?;
        let weight = self.arranged(weight, &tensor, 0);
        let mut attributes = window(&op.window);
        attributes.push(attribute::int("group", op.groups));
        self.convolution(node, weight, attributes, &op.epilogue)
    }

    pub(super) fn depthwise(&mut self, node: NodeId, op: &Depthwise) -> Result<(), Fault> {
        let weight = self.weight(node)?;
        let wrong = || Fault::bug("a weight is [kh,kw,O]");
        let [kh, kw, outputs] = weight.tensor.ty.shape[..] else { return Err(wrong()) };
        let tensor = permuted(&weight.tensor, &[2, 0, 1]).and_then(|w| w.reshaped([outputs, 1, kh, kw]));
        let weight = self.arranged(weight, &tensor.ok_or_else(wrong)?, 0);
        let mut attributes = window(&op.window);
        attributes.push(attribute::int("group", outputs / op.multiplier));
        self.convolution(node, weight, attributes, &op.epilogue)
    }

    fn convolution(
        &mut self,
        node: NodeId,
        weight: String,
        attributes: Vec<AttributeProto>,
        epilogue: &Epilogue,
    ) -> Result<(), Fault> {
        let operands = self.graph.operands(node);
        let mut inputs = vec![self.first(operands[0]), weight];
        if let Some(&bias) = operands.get(2) {
            inputs.push(self.plain(bias));
        }
        let y = self.add(self.graph.name(node), "Conv", &inputs, attributes);
        let residual = operands.get(3).copied();
        let y = self.epilogue(node, y, epilogue, residual, true);
        self.set_first(node, y);
        Ok(())
    }

    /// Fully connected: `Gemm` for a matrix, `Conv` for a map, `MatMul` and `Add` for anything else.
    pub(super) fn dense(&mut self, node: NodeId, epilogue: &Epilogue) -> Result<(), Fault> {
        let operands = self.graph.operands(node);
        let weight = self.weight(node)?;
        let wrong = || Fault::bug("a weight is [K,N]");
        let [depth, outputs] = weight.tensor.ty.shape[..] else { return Err(wrong()) };
        let transposed = permuted(&weight.tensor, &[1, 0]).ok_or_else(wrong)?;
        let shape = &self.graph.ty(node).shape;
        if matches!(shape[..], [_, 1, 1, _]) {
            let tensor = transposed.reshaped([outputs, depth, 1, 1]).ok_or_else(wrong)?;
            let weight = self.arranged(weight, &tensor, 0);
            return self.convolution(node, weight, window(&Window::POINT), epilogue);
        }
        let (is_matrix, name) = (shape.len() == 2, self.graph.name(node).to_owned());
        let x = self.plain(operands[0]);
        let bias = operands.get(2).map(|&bias| self.plain(bias));
        let y = if is_matrix {
            let mut inputs = vec![x, self.arranged(weight, &transposed, 0)];
            inputs.extend(bias);
            self.add(&name, "Gemm", &inputs, vec![attribute::int("transB", 1)])
        } else {
            let tensor = weight.tensor.clone();
            let weight = self.arranged(weight, &tensor, 1);
            let y = self.add(&name, "MatMul", &[x, weight], Vec::new());
            match bias {
                Some(bias) => self.add(&format!("{name}.biased"), "Add", &[y, bias], Vec::new()),
                None => y,
            }
        };
        let residual = operands.get(3).copied();
        let y = self.epilogue(node, y, epilogue, residual, false);
        self.set_plain(node, y);
        Ok(())
    }

    /// Activation, residual, activation.
    fn epilogue(
        &mut self,
        node: NodeId,
        y: String,
        epilogue: &Epilogue,
        residual: Option<NodeId>,
        first: bool,
    ) -> String {
        let name = self.graph.name(node).to_owned();
        let y = self.activation(&format!("{name}.act"), y, epilogue.activation);
        let Some(residual) = residual.filter(|_| epilogue.residual) else { return y };
        let residual = if first { self.first(residual) } else { self.plain(residual) };
        let y = self.add(&format!("{name}.add"), "Add", &[y, residual], Vec::new());
        self.activation(&format!("{name}.after"), y, epilogue.after)
    }

    /// A batch-norm for a map; a product and a sum for anything else.
    pub(super) fn affine(&mut self, node: NodeId, activation: Activation) -> Result<(), Fault> {
        let [x, scale, shift] = self.graph.operands(node)[..] else {
            return Err(Fault::bug("an affine map has three operands"));
        };
        let name = self.graph.name(node).to_owned();
        if self.graph.ty(node).rank() != 4 {
            let inputs = [self.plain(x), self.plain(scale)];
            let product = self.add(&format!("{name}.product"), "Mul", &inputs, Vec::new());
            let shift = self.plain(shift);
            let sum = self.add(&name, "Add", &[product, shift], Vec::new());
            let y = self.activation(&format!("{name}.act"), sum, activation);
            self.set_plain(node, y);
            return Ok(());
        }
        let mut inputs = vec![self.first(x)];
        let mut epsilon = 0.0;
        if let Some(norm) = self.norms.get(&node) {
            epsilon = norm.epsilon;
            let words = ["weight", "bias", "running_mean", "running_var"];
            for (word, numbers) in words.into_iter().zip(norm.numbers) {
                inputs.push(self.tensor(&format!("{name}.{word}"), numbers));
            }
        } else {
            let channels = self.graph.ty(scale).elements();
            inputs.extend([self.plain(scale), self.plain(shift)]);
            for (word, value) in [("running_mean", 0.0), ("running_var", 1.0)] {
                let numbers = Tensor::from_f32([channels], &vec![value; channels]);
                inputs.push(self.tensor(&format!("{name}.{word}"), &numbers));
            }
        }
        let attributes = vec![attribute::float("epsilon", epsilon)];
        let y = self.add(&name, "BatchNormalization", &inputs, attributes);
        let y = self.activation(&format!("{name}.act"), y, activation);
        self.set_first(node, y);
        Ok(())
    }
}
