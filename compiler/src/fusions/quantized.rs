//! From quantised models to integer operators: `Q(f(DQ(x), ..)) → f'(x, ..)`.
//!
//! A model says with pairs of `QuantizeLinear` and `DequantizeLinear` where its values are 8-bit codes. For
//! every value that is quantised, `Codes` asks what computes its codes from the codes of what it depends
//! on: a layer, a sum, a pool and so on, with the quantisation as the end of the operator
//! ([`Requantize`]); what only moves elements moves codes; a function of one value is a table. Where
//! something stands in between that is none of these, it stays real numbers between `DQ` and `Q`.
//!
//! A fusion here is a file that states its pattern, and a method of `Codes`.

mod binary;
mod island;
mod layer;
mod matmul;
mod moves;
mod pool;
mod softmax;

use super::Note;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::quantization::{Quantization, Requantize, Rounding};
use crate::reference::Array;
use crate::tensor::Tensor;

/// Fuses a canonical graph; weights of layers that stay real numbers are dequantised. Says whether the graph
/// was changed.
///
/// # Errors
///
/// Only bugs: a fusion that breaks an invariant.
pub fn fuse(graph: &mut Graph, rounding: Rounding) -> Result<(bool, Vec<Note>), Fault> {
    let mut notes = Vec::new();
    for id in graph.order() {
        let Some(to) = graph.contains(id).then(|| quantized(graph, id)).flatten() else { continue };
        let Some(value) = graph.operand(id, 0) else { continue };
        let end = Requantize { rounding, to, range: to.codes() };
        match (Codes { graph, rounding }).of(value, end) {
            Ok(codes) => {
                notes.push(Note::fired("int8", graph, &[value, id]));
                graph.substitute(id, codes);
            }
            Err(Stop::NoPattern) => {}
            Err(Stop::Refused(note)) => notes.push(note),
            Err(Stop::Fault(fault)) => return Err(fault),
        }
        // What an attempt built in vain.
        graph.sweep();
    }
    let released = release(graph);
    Ok((released || !notes.is_empty(), notes))
}

/// Why there are no codes.
enum Stop {
    /// Nothing here looks like a quantised operator.
    NoPattern,
    /// Something does, but it cannot be one.
    Refused(Note),
    /// A bug.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The search for codes of a value.
struct Codes<'g> {
    graph: &'g mut Graph,
    rounding: Rounding,
}

impl Codes<'_> {
    /// The codes of a value of real numbers, quantised by `to`.
    fn of(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        if let Some(table) = self.island(value, to)? {
            return Ok(table);
        }
        match self.graph.op(value).clone() {
            Op::Dequantize(_) => self.requantized(value, to),
            Op::Constant(_) => self.constant(value, to),
            Op::Activate(op) => match op.activation {
                Activation::Clamp { lo, hi } => {
                    let [least, most] = to.range;
                    let bound = |real: f32| to.to.code(real.into()).clamp(least, most);
                    self.only(value)?;
                    self.of(self.operand(value, 0)?, Requantize { range: [bound(lo), bound(hi)], ..to })
                }
                _ => Err(Stop::NoPattern),
            },
            Op::Conv2d(_) | Op::Depthwise(_) | Op::Dense(_) => self.layer(value, to),
            Op::MatMul(_) => self.matmul(value, 1.0, to),
            Op::Binary(op) => match self.scaled_product(value, &op) {
                Some((product, factor)) => {
                    self.only(value)?;
                    self.matmul(product, factor, to)
                }
                None => self.binary(value, &op, to),
            },
            Op::Pool2d(_) | Op::GlobalPool(_) => self.pool(value, to),
            Op::Softmax(op) => self.softmax(value, &op, to),
            Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Gather(_) | Op::Expand(_) => {
                self.moved(value, to)
            }
            Op::Concat(_) => self.moved(value, to),
            Op::Pad(_) => self.padded(value, to),
            _ => Err(Stop::NoPattern),
        }
    }

    /// An operand of an operator: its codes, and what they stand for.
    fn given(&mut self, value: NodeId) -> Result<(NodeId, Quantization), Stop> {
        let quantization = self.quantization(value).ok_or(Stop::NoPattern)?;
        let end = Requantize { rounding: self.rounding, to: quantization, range: quantization.codes() };
        Ok((self.of(value, end)?, quantization))
    }

    /// What the codes stand for that a value of real numbers is made from by moving elements.
    fn quantization(&self, value: NodeId) -> Option<Quantization> {
        match self.graph.op(value) {
            Op::Dequantize(_) => dequantized(self.graph, value).map(|(_, quantization)| quantization),
            _ => self.moved_quantization(value),
        }
    }

    fn constant(&mut self, value: NodeId, to: Requantize) -> Result<NodeId, Stop> {
        let reals = self.graph.floats(value).ok_or(Stop::NoPattern)?;
        let [lo, hi] = to.range;
        let codes = reals.iter().map(|&real| i64::from(to.to.code(real).clamp(lo, hi))).collect();
        let array = Array::int(to.to.dtype, self.graph.ty(value).shape.clone(), codes);
        Ok(self.graph.add_constant_like(value, Tensor::from(&array)))
    }

    fn operand(&self, value: NodeId, slot: usize) -> Result<NodeId, Stop> {
        self.graph.operand(value, slot).ok_or(Stop::NoPattern)
    }

    /// Refuses a value that something else needs in real numbers.
    fn only(&self, value: NodeId) -> Result<(), Stop> {
        match self.graph.only_user(value) {
            Some(_) => Ok(()),
            None => Err(self.refused(value, "its real numbers are used elsewhere")),
        }
    }

    fn refused(&self, value: NodeId, reason: impl Into<String>) -> Stop {
        Stop::Refused(Note::refused("int8", self.graph, &[value], reason))
    }
}

/// What a node quantises to, with one scale for all.
fn quantized(graph: &Graph, id: NodeId) -> Option<Quantization> {
    matches!(graph.op(id), Op::Quantize(_)).then(|| single(graph, id)).flatten()
}

/// The codes that a node dequantises, and what they stand for, with one scale for all.
fn dequantized(graph: &Graph, id: NodeId) -> Option<(NodeId, Quantization)> {
    let is_codes = |q: &Quantization| q.dtype.bytes() == 1;
    let quantization = matches!(graph.op(id), Op::Dequantize(_)).then(|| single(graph, id)).flatten();
    Some((graph.operand(id, 0)?, quantization.filter(is_codes)?))
}

fn single(graph: &Graph, id: NodeId) -> Option<Quantization> {
    let scale = graph.scalar(graph.operand(id, 1)?)? as f32;
    let zero_point = graph.tensor(graph.operand(id, 2)?)?;
    let [value] = zero_point.to_i64()[..] else { return None };
    let quantization = Quantization { dtype: zero_point.ty.dtype, scale, zero_point: value as i32 };
    (scale.is_finite() && scale > 0.0).then_some(quantization)
}

/// Dequantised constants that no integer operator has taken become real numbers.
fn release(graph: &mut Graph) -> bool {
    let mut released = false;
    for id in graph.order() {
        let operands = graph.operands(id);
        let tensors: Vec<Array> = operands.iter().filter_map(|&n| graph.tensor(n).map(Array::from)).collect();
        if !matches!(graph.op(id), Op::Dequantize(_)) || tensors.len() != operands.len() {
            continue;
        }
        let value = graph.op(id).eval(&tensors.iter().collect::<Vec<_>>(), graph.ty(id));
        let constant = graph.add_constant_like(id, Tensor::from(&value));
        graph.substitute(id, constant);
        released = true;
    }
    released
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver;
    use crate::graph::testing::Net;
    use crate::ops::binary::BinaryOp::{Add, Div, Mul};
    use crate::ops::dequantize::Dequantize;
    use crate::ops::global_pool::GlobalPool;
    use crate::ops::pad::Pad;
    use crate::ops::quantize::Quantize;
    use crate::ops::reshape::Reshape;
    use crate::ops::softmax::Softmax;
    use crate::reference;
    use crate::tensor::{DType, TensorType};

    /// Codes of a scale around 100.
    fn scales(net: &mut Net, scale: f32) -> [NodeId; 2] {
        let zero = Tensor::from(&Array::int(DType::U8, [], vec![100]));
        [net.scalar(scale), net.graph.add_constant("zero", zero)]
    }

    fn input(net: &mut Net, shape: &[usize]) -> NodeId {
        net.graph.add_input("x", TensorType::new(DType::U8, shape))
    }

    fn dq(net: &mut Net, codes: NodeId, scale: f32) -> NodeId {
        let [scale, zero] = scales(net, scale);
        net.op("dq", Dequantize { axis: 0 }, &[codes, scale, zero])
    }

    fn q(net: &mut Net, value: NodeId, scale: f32) -> NodeId {
        let [scale, zero] = scales(net, scale);
        net.op("q", Quantize { axis: 0 }, &[value, scale, zero])
    }

    /// `i8` weights with a scale for each output channel.
    fn weights(net: &mut Net, shape: &[usize], axis: usize) -> NodeId {
        let count: usize = shape.iter().product();
        let codes = (0..count as i64).map(|i| i * 37 % 255 - 127).collect();
        let codes = Tensor::from(&Array::int(DType::I8, shape, codes));
        let channels = shape[axis];
        let scales: Vec<f32> = (0..channels).map(|c| 0.01 + c as f32 / 1000.0).collect();
        let codes = net.graph.add_constant("codes", codes);
        let scales = net.graph.add_constant("scales", Tensor::from_f32([channels], &scales));
        let zeros = Tensor::from(&Array::int(DType::I8, [channels], vec![0; channels]));
        let zeros = net.graph.add_constant("zeros", zeros);
        net.op("dqw", Dequantize { axis }, &[codes, scales, zeros])
    }

    fn conv(net: &mut Net, x: NodeId, outputs: usize) -> NodeId {
        use crate::ops::{conv2d::Conv2d, epilogue::Epilogue, window::Window};
        let channels = net.graph.ty(x).shape[3];
        let weight = weights(net, &[outputs, 3, 3, channels], 0);
        let window = Window { kernel: [3; 2], pad: [1; 4], ..Window::POINT };
        net.op("conv", Conv2d { window, groups: 1, epilogue: Epilogue::default() }, &[x, weight])
    }

    /// The notes and the graph; its codes are those of the real arithmetic, within one.
    #[track_caller]
    fn fused(net: Net, value: NodeId, rounding: Rounding) -> String {
        let graph = net.returns(value);
        let (after, notes) =
            driver::optimize_with(&graph, rounding).unwrap_or_else(|error| panic!("{error}"));
        let ty = graph.ty(graph.inputs()[0]).clone();
        let codes = (0..ty.elements() as i64).map(|i| i * 91 % 256).collect();
        let codes = [Array::int(ty.dtype, ty.shape, codes)];
        let result = |graph: &Graph| {
            let trace = reference::run(graph, &codes).unwrap();
            trace[&graph.outputs()[0].1].clone()
        };
        let (expected, found) = (result(&graph), result(&after));
        assert_eq!(expected.ty, found.ty);
        for (a, b) in expected.to_floats().iter().zip(found.to_floats()) {
            assert!((a - b).abs() <= 1.0, "{a} {b}\n{}", after.text());
        }
        notes.iter().map(|note| format!("{note}\n")).collect::<String>() + &after.text()
    }

    #[test]
    fn a_layer_ends_in_its_quantisation_and_its_clamp() {
        let mut net = Net::new();
        let x = input(&mut net, &[1, 4, 4, 3]);
        let real = dq(&mut net, x, 0.02);
        let padded = net.op("pad", Pad { before: vec![0, 1, 0, 0], after: vec![0; 4], value: 0.0 }, &[real]);
        let again = q(&mut net, padded, 0.02);
        let again = dq(&mut net, again, 0.02);
        let y = conv(&mut net, again, 2);
        let y = net.activate(Activation::RELU6, y);
        let y = q(&mut net, y, 0.05);
        insta::assert_snapshot!(fused(net, y, Rounding::Onnx), @r"
        int8: act1, q
        %0 u8[1,4,4,3] = input()                                                                   x
        %1 u8[1,5,4,2] = int8 conv2d 3x3 p2,1,1,1 → 0.05u8@100 in 100..=220(%0, i8[2,3,3,3] #39d9, f32[2] #4f10, i32[2]{0,0})  conv
        return %1 as y
        ");
    }

    #[test]
    fn sums_and_functions_of_one_value_stay_codes() {
        let mut net = Net::new();
        let x = input(&mut net, &[1, 2, 2, 4]);
        let real = dq(&mut net, x, 0.02);
        let pooled = net.op("pool", GlobalPool { max: false }, &[real]);
        let pooled = q(&mut net, pooled, 0.02);
        let pooled = dq(&mut net, pooled, 0.02);
        let gate = net.activate(Activation::Sigmoid, pooled);
        let gate = q(&mut net, gate, 0.004);
        let gate = dq(&mut net, gate, 0.004);
        let product = net.binary(Mul, real, gate);
        let product = q(&mut net, product, 0.01);
        let product = dq(&mut net, product, 0.01);
        let sum = net.binary(Add, product, real);
        let sum = q(&mut net, sum, 0.03);
        let flat = net.op("flat", Reshape { shape: vec![16] }, &[sum]);
        insta::assert_snapshot!(fused(net, flat, Rounding::Onnx), @r"
        int8: pool, q
        int8: act1, q
        int8: mul2, q
        int8: add3, q
        %0 u8[1,2,2,4] = input()                                                 x
        %1 u8[1,1,1,4] = int8 average_pool 2x2 → 0.02u8@100(%0)                  pool
        %2 u8[1,1,1,4] = int8 table of sigmoid → 0.004u8@100(%1, u8[256] #57cb)  act1
        %3 u8[1,2,2,4] = int8 mul → 0.01u8@100(%0, %2)                           mul2
        %4 u8[1,2,2,4] = int8 add → 0.03u8@100(%3, %0)                           add3
        %5 u8[16]      = reshape(%4)                                             flat
        return %5 as y
        ");
    }

    #[test]
    fn sums_and_products_of_functions_of_one_value_are_a_table() {
        let mut net = Net::new();
        let x = input(&mut net, &[1, 2, 2, 4]);
        let real = dq(&mut net, x, 0.02);
        let gate = net.activate(Activation::Sigmoid, real);
        let gate = q(&mut net, gate, 0.004);
        let gate = dq(&mut net, gate, 0.004);
        let product = net.binary(Mul, real, gate);
        let product = q(&mut net, product, 0.01);
        let product = dq(&mut net, product, 0.01);
        let sum = net.binary(Add, product, real);
        let sum = q(&mut net, sum, 0.03);
        insta::assert_snapshot!(fused(net, sum, Rounding::Onnx), @r"
        int8: act1, q
        int8: mul2, q
        int8: add3, q
        %0 u8[1,2,2,4] = input()                                                                   x
        %1 u8[1,2,2,4] = int8 table of add(mul(x, sigmoid → 0.004u8@100) → 0.01u8@100, x) → 0.03u8@100(%0, u8[256] #fe15)  add3
        return %1 as y
        ");
    }

    #[test]
    fn a_layer_that_is_needed_in_real_numbers_too_is_refused() {
        let mut net = Net::new();
        let x = input(&mut net, &[1, 4, 4, 3]);
        let real = dq(&mut net, x, 0.02);
        let y = conv(&mut net, real, 2);
        let codes = q(&mut net, y, 0.05);
        let codes = dq(&mut net, codes, 0.05);
        let y = net.binary(Mul, y, codes);
        let y = q(&mut net, y, 0.5);
        insta::assert_snapshot!(fused(net, y, Rounding::Onnx), @r"
        int8 refused: conv: its real numbers are used elsewhere
        %0 u8[1,4,4,3]  = input()                                        x
        %1 f32[1,4,4,3] = dequantize axis=0(%0, f32[]{0.02}, u8[]{100})  dq
        %2 f32[1,4,4,2] = conv2d 3x3 p1(%1, f32[2,3,3,3] #352e)          conv
        %3 u8[1,4,4,2]  = quantize axis=0(%2, f32[]{0.05}, u8[]{100})    q
        %4 f32[1,4,4,2] = dequantize axis=0(%3, f32[]{0.05}, u8[]{100})  dq
        %5 f32[1,4,4,2] = mul(%2, %4)                                    mul1
        %6 u8[1,4,4,2]  = quantize axis=0(%5, f32[]{0.5}, u8[]{100})     q
        return %6 as y
        ");
    }

    #[test]
    fn softmax_is_of_codes_by_the_rule_of_tensorflow_lite_only() {
        let build = || {
            let mut net = Net::new();
            let x = input(&mut net, &[2, 5]);
            let real = dq(&mut net, x, 0.1);
            let y = net.op("softmax", Softmax { axis: 1, log: false }, &[real]);
            let zero = Tensor::from(&Array::int(DType::U8, [], vec![0]));
            let (scale, zero) = (net.scalar(1.0 / 256.0), net.graph.add_constant("zero", zero));
            let y = net.op("q", Quantize { axis: 0 }, &[y, scale, zero]);
            (net, y)
        };
        let (net, y) = build();
        insta::assert_snapshot!(fused(net, y, Rounding::Onnx), @r"
        %0 u8[2,5]  = input()                                          x
        %1 f32[2,5] = dequantize axis=0(%0, f32[]{0.1}, u8[]{100})     dq
        %2 f32[2,5] = softmax axis 1(%1)                               softmax
        %3 u8[2,5]  = quantize axis=0(%2, f32[]{0.00390625}, u8[]{0})  q
        return %3 as y
        ");
        let (net, y) = build();
        insta::assert_snapshot!(fused(net, y, Rounding::Tflite), @r"
        int8: softmax, q
        %0 u8[2,5] = input()                  x
        %1 u8[2,5] = int8 softmax tflite(%0)  softmax
        return %1 as y
        ");
    }

    /// The codes of `softmax(x · xᵀ / √6) · x`.
    fn attention(net: &mut Net) -> NodeId {
        use crate::ops::{matmul::MatMul, transpose::Transpose};
        let x = input(net, &[1, 4, 6]);
        let real = dq(net, x, 0.05);
        let columns = net.op("columns", Transpose { permutation: vec![0, 2, 1] }, &[real]);
        let scores = net.op("scores", MatMul {}, &[real, columns]);
        let root = net.scalar(6.0_f32.sqrt());
        let scores = net.binary(Div, scores, root);
        let scores = q(net, scores, 0.8);
        let scores = dq(net, scores, 0.8);
        let shares = net.op("softmax", Softmax { axis: 2, log: false }, &[scores]);
        let shares = q(net, shares, 0.008);
        let shares = dq(net, shares, 0.008);
        let mixed = net.op("mixed", MatMul {}, &[shares, real]);
        q(net, mixed, 0.05)
    }

    #[test]
    fn both_products_of_attention_are_of_codes() {
        let mut net = Net::new();
        let y = attention(&mut net);
        insta::assert_snapshot!(fused(net, y, Rounding::Onnx), @r"
        int8: div1, q
        int8: mixed, q
        %0 u8[1,4,6]  = input()                                       x
        %1 u8[1,6,4]  = transpose 0,2,1(%0)                           columns
        %2 u8[1,4,4]  = int8 matmul · 0.40824828 → 0.8u8@100(%0, %1)  scores
        %3 f32[1,4,4] = dequantize axis=0(%2, f32[]{0.8}, u8[]{100})  dq
        %4 f32[1,4,4] = softmax axis 2(%3)                            softmax
        %5 u8[1,4,4]  = quantize axis=0(%4, f32[]{0.008}, u8[]{100})  q
        %6 u8[1,4,6]  = int8 matmul → 0.05u8@100(%5, %0)              mixed
        return %6 as y
        ");
        let mut net = Net::new();
        let y = attention(&mut net);
        insta::assert_snapshot!(fused(net, y, Rounding::Tflite), @r"
        int8: div1, q
        int8 refused: softmax: it is quantised as 0.008u8@100, not 0.00390625u8@0
        int8: mixed, q
        %0 u8[1,4,6]  = input()                                              x
        %1 u8[1,6,4]  = transpose 0,2,1(%0)                                  columns
        %2 u8[1,4,4]  = int8 matmul · 0.40824828 → 0.8u8@100 tflite(%0, %1)  scores
        %3 f32[1,4,4] = dequantize axis=0(%2, f32[]{0.8}, u8[]{100})         dq
        %4 f32[1,4,4] = softmax axis 2(%3)                                   softmax
        %5 u8[1,4,4]  = quantize axis=0(%4, f32[]{0.008}, u8[]{100})         q
        %6 u8[1,4,6]  = int8 matmul → 0.05u8@100 tflite(%5, %0)              mixed
        return %6 as y
        ");
    }

    #[test]
    fn a_product_of_more_codes_than_fit_32_bits_stays_real_numbers() {
        use crate::ops::matmul::MatMul;
        let mut net = Net::new();
        let x = input(&mut net, &[1, 90_000]);
        let real = dq(&mut net, x, 0.02);
        let column = net.op("column", Reshape { shape: vec![90_000, 1] }, &[real]);
        let y = net.op("product", MatMul {}, &[real, column]);
        let y = q(&mut net, y, 1000.0);
        insta::assert_snapshot!(fused(net, y, Rounding::Onnx), @r"
        int8 refused: product: its sums, up to 2162250000, could leave 32 bits
        %0 u8[1,90000]  = input()                                        x
        %1 f32[1,90000] = dequantize axis=0(%0, f32[]{0.02}, u8[]{100})  dq
        %2 f32[90000,1] = reshape(%1)                                    column
        %3 f32[1,1]     = matmul(%1, %2)                                 product
        %4 u8[1,1]      = quantize axis=0(%3, f32[]{1000}, u8[]{100})    q
        return %4 as y
        ");
    }

    #[test]
    fn sums_that_could_leave_32_bits_stay_real_numbers() {
        use crate::ops::dense::Dense;
        let mut net = Net::new();
        let x = input(&mut net, &[1, 70_000]);
        let real = dq(&mut net, x, 0.02);
        let codes = Tensor::from(&Array::int(DType::I8, [70_000, 1], vec![127; 70_000]));
        let codes = net.graph.add_constant("codes", codes);
        let scale = net.scalar(0.01);
        let zero = net.graph.add_constant("zero", Tensor::from(&Array::int(DType::I8, [], vec![-128])));
        let weight = net.op("dqw", Dequantize { axis: 0 }, &[codes, scale, zero]);
        let y = net.op("dense", Dense { epilogue: Default::default() }, &[real, weight]);
        let y = q(&mut net, y, 1000.0);
        let text = fused(net, y, Rounding::Onnx);
        let first = text.lines().next().unwrap_or_default();
        insta::assert_snapshot!(first, @"int8 refused: dense: its sums, up to 2766750000, could leave 32 bits");
    }
}
