//! One spelling for a factor and a summand per channel of the last axis: [`Affine`].
//!
//! Sums and products with a constant along the last axis become one, so that a batch-norm in pieces, a
//! layer scale and a bias behind a convolution are the same thing. A scalar constant becomes one
//! where a convolution or another affine is next to it. Division by a constant becomes multiplication
//! by its reciprocal, which may differ in the last place.

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::affine::Affine;
use crate::ops::binary::BinaryOp;
use crate::ops::window::Window;
use crate::tensor::{DType, Tensor};

/// Factors and summands, one a channel.
pub(crate) struct Channels {
    /// Factors.
    pub scale: Vec<f64>,
    /// Summands.
    pub shift: Vec<f64>,
}

impl Channels {
    /// The constants of an affine node.
    pub(crate) fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        match (graph.op(id), &graph.operands(id)[..]) {
            (Op::Affine(_), &[_, scale, shift]) => {
                Some(Self { scale: graph.floats(scale)?, shift: graph.floats(shift)? })
            }
            _ => None,
        }
    }

    /// `outer.scale · (scale · x + shift) + outer.shift`
    fn then(&self, outer: &Self) -> Self {
        let scale = self.scale.iter().zip(&outer.scale).map(|(a, b)| a * b).collect();
        let shifts = self.shift.iter().zip(&outer.scale).zip(&outer.shift);
        Self { scale, shift: shifts.map(|((t, s), u)| t * s + u).collect() }
    }

    /// Whether every number can be stored.
    fn is_finite(&self) -> bool {
        self.scale.iter().chain(&self.shift).all(|&v| (v as f32).is_finite())
    }
}

/// Forms and merges affines.
pub fn unify(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| Ok(of_binary(graph, id)? || of_depthwise(graph, id)? || merge(graph, id)?))
}

fn add(graph: &mut Graph, id: NodeId, x: NodeId, channels: &Channels, op: Affine) -> Result<bool, Fault> {
    let constant = |graph: &mut Graph, values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        graph.add_constant_like(id, Tensor::from_f32([values.len()], &values))
    };
    let scale = constant(graph, &channels.scale);
    let shift = constant(graph, &channels.shift);
    let new = graph.add_like(id, op, &[x, scale, shift])?;
    graph.substitute(id, new);
    Ok(true)
}

const PLAIN: Affine = Affine { activation: Activation::Identity };

/// `x ∘ constant → affine(x)`
fn of_binary(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some((x, channels)) = binary_channels(graph, id) else { return Ok(false) };
    let scalar = graph.operands(id).iter().any(|&n| graph.scalar(n).is_some());
    if !channels.is_finite() || (scalar && !has_linear_neighbour(graph, id, x)) {
        return Ok(false);
    }
    add(graph, id, x, &channels, PLAIN)
}

fn binary_channels(graph: &Graph, id: NodeId) -> Option<(NodeId, Channels)> {
    let Op::Binary(op) = graph.op(id) else { return None };
    let operands = graph.operands(id);
    let slot = operands.iter().position(|&n| graph.tensor(n).is_some())?;
    let (x, constant) = (*operands.get(1 - slot)?, *operands.get(slot)?);
    let count = *graph.ty(id).shape.last()?;
    let ty = graph.ty(constant);
    let along_last = ty.elements() == 1 || (ty.elements() == count && ty.shape.last() == Some(&count));
    if !along_last || graph.ty(x) != graph.ty(id) || op.activation != Activation::Identity {
        return None;
    }
    let values = graph.floats(constant)?;
    let all = (0..count).filter_map(|i| values.get(i).or(values.first()).copied());
    let pairs: Option<Vec<(f64, f64)>> = all.map(|v| factor_and_summand(op.op, v, slot == 0)).collect();
    let (scale, shift) = pairs?.into_iter().unzip();
    Some((x, Channels { scale, shift }))
}

/// `x ∘ v` (or `v ∘ x`) as `scale · x + shift`.
fn factor_and_summand(op: BinaryOp, v: f64, reversed: bool) -> Option<(f64, f64)> {
    match op {
        BinaryOp::Add => Some((1.0, v)),
        BinaryOp::Sub if reversed => Some((-1.0, v)),
        BinaryOp::Sub => Some((1.0, -v)),
        BinaryOp::Mul => Some((v, 0.0)),
        BinaryOp::Div if !reversed && v != 0.0 => Some((v.recip(), 0.0)),
        BinaryOp::Div | BinaryOp::Pow | BinaryOp::Mod => None,
        BinaryOp::Min | BinaryOp::Max | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => None,
    }
}

/// Whether an affine here would fold into something: a linear layer before or behind, or arithmetic
/// with another constant.
fn has_linear_neighbour(graph: &Graph, id: NodeId, x: NodeId) -> bool {
    let linear = |n: NodeId| is_linear(graph.op(n)) || binary_channels(graph, n).is_some();
    linear(x) || graph.users(id).into_iter().any(linear)
}

fn is_linear(op: &Op) -> bool {
    matches!(op, Op::Conv2d(_) | Op::Depthwise(_) | Op::ConvTranspose2d(_) | Op::Dense(_) | Op::Affine(_))
}

/// A depthwise convolution of one tap.
fn of_depthwise(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Op::Depthwise(op) = graph.op(id) else { return Ok(false) };
    let plain = op.window == Window::POINT && op.multiplier == 1 && op.epilogue.is_empty();
    let (x, weight, bias) = match graph.operands(id)[..] {
        [x, weight] => (x, weight, None),
        [x, weight, bias] => (x, weight, Some(bias)),
        _ => return Ok(false),
    };
    let (Some(scale), true) = (graph.floats(weight), plain) else { return Ok(false) };
    let zeros = || Some(vec![0.0; scale.len()]);
    let Some(shift) = bias.map_or_else(zeros, |bias| graph.floats(bias)) else { return Ok(false) };
    add(graph, id, x, &Channels { scale, shift }, PLAIN)
}

/// `affine(affine(x)) → affine(x)`
fn merge(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Op::Affine(outer_op) = graph.op(id).clone() else { return Ok(false) };
    let Some(inner) = graph.operand(id, 0) else { return Ok(false) };
    let plain = matches!(graph.op(inner), Op::Affine(op) if *op == PLAIN);
    if !plain || graph.only_user(inner).is_none() || graph.ty(inner).dtype != DType::F32 {
        return Ok(false);
    }
    let (Some(first), Some(second)) = (Channels::of(graph, inner), Channels::of(graph, id)) else {
        return Ok(false);
    };
    let both = first.then(&second);
    match graph.operand(inner, 0) {
        Some(x) if both.is_finite() => add(graph, id, x, &both, outer_op),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::testing::{Net, canonical};
    use crate::ops::activation::Activation;
    use crate::ops::binary::BinaryOp::{Add, Div, Mul, Sub};

    #[test]
    fn a_batch_norm_in_pieces_is_one_affine() {
        let mut net = Net::new();
        let x = net.input(&[2, 3, 3, 4]);
        let (mean, deviation) = (net.weights(&[4]), net.weights(&[1, 1, 1, 4]));
        let (gamma, beta) = (net.weights(&[1, 4]), net.weights(&[4]));
        let y = net.binary(Sub, x, mean);
        let y = net.binary(Div, y, deviation);
        let y = net.binary(Mul, gamma, y);
        let y = net.binary(Sub, beta, y);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,3,3,4] = input()                                 x
        %1 f32[2,3,3,4] = affine(%0, f32[4] #79bf, f32[4] #24ae)  sub8
        return %1 as y
        ");
    }

    #[test]
    fn rescaling_of_an_input_is_one_affine() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.with_scalar(Div, x, 127.5);
        let y = net.with_scalar(Sub, y, 1.0);
        let y = net.activate(Activation::Tanh, y);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[1,4,4,3] = input()                                 x
        %1 f32[1,4,4,3] = affine(%0, f32[3] #623a, f32[3] #e9d3)  sub2
        %2 f32[1,4,4,3] = tanh(%1)                                act3
        return %2 as y
        ");
    }

    #[test]
    fn a_lone_scalar_and_a_constant_along_another_axis_stay() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.with_scalar(Mul, x, 2.0);
        let y = net.activate(Activation::Tanh, y);
        let rows = net.weights(&[4, 1, 1]);
        let y = net.binary(Add, y, rows);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[1,4,4,3] = input()                    x
        %1 f32[1,4,4,3] = mul(%0, f32[]{2})          mul1
        %2 f32[1,4,4,3] = tanh(%1)                   act2
        %3 f32[1,4,4,3] = add(%2, f32[4,1,1] #bd5e)  add4
        return %3 as y
        ");
    }
}
