//! Padding absorbed by the window behind it: `Conv(Pad(x)) → Conv` with a padding of its own.
//!
//! A convolution pads with zeros, so only zeros are absorbed. The maximum ignores its padding, so
//! anything that no value of the map is below may be absorbed there; the mean counts it.

use super::each;
use crate::error::Fault;
use crate::fusions::Note;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::pad::Pad;
use crate::ops::pool::{Pool2d, Pooling};
use crate::ops::window::Window;

/// Absorbs what can be absorbed.
pub fn absorb(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| {
        let Some(Ok(op)) = absorbed(graph, id) else { return Ok(false) };
        let mut operands = graph.operands(id);
        let x = operands.first().and_then(|&pad| graph.operand(pad, 0));
        if let (Some(slot), Some(x)) = (operands.first_mut(), x) {
            *slot = x;
        }
        let new = graph.add_like(id, op, &operands)?;
        graph.substitute(id, new);
        Ok(true)
    })
}

/// Paddings that stay in front of a window, and why.
pub fn refusals(graph: &Graph) -> Vec<Note> {
    let refused = |&id: &NodeId| match absorbed(graph, id)? {
        Ok(_) => None,
        Err(reason) => Some(Note::refused("pad", graph, &[graph.operand(id, 0)?, id], reason)),
    };
    graph.order().iter().filter_map(refused).collect()
}

/// The operator with the padding in front of it, or why it may not have it. `None` without a padding.
pub(crate) fn absorbed(graph: &Graph, id: NodeId) -> Option<Result<Op, String>> {
    let pad_node = graph.operand(id, 0)?;
    let Op::Pad(pad) = graph.op(pad_node) else { return None };
    match graph.op(id) {
        Op::Conv2d(op) => Some(of_convolution(pad, &op.window).map(|window| {
            let mut op = op.clone();
            op.window = window;
            op.into()
        })),
        Op::Depthwise(op) => Some(of_convolution(pad, &op.window).map(|window| {
            let mut op = op.clone();
            op.window = window;
            op.into()
        })),
        Op::Pool2d(op) => Some(of_pool(graph, pad_node, pad, op)),
        _ => None,
    }
}

fn of_convolution(pad: &Pad, window: &Window) -> Result<Window, String> {
    if pad.value != 0.0 {
        return Err(format!("it pads with {}, a convolution with 0", pad.value));
    }
    widened(pad, window)
}

fn of_pool(graph: &Graph, pad_node: NodeId, pad: &Pad, op: &Pool2d) -> Result<Op, String> {
    let window = widened(pad, &op.window)?;
    let pooling = match op.pooling {
        Pooling::Max => {
            if pad.value > lower_bound(graph, graph.operand(pad_node, 0)) {
                return Err(format!("it pads with {}, which may be the maximum", pad.value));
            }
            if (0..2).any(|axis| window.pad[axis].max(window.pad[axis + 2]) >= window.extent(axis)) {
                return Err("a window would lie in the padding as a whole".into());
            }
            Pooling::Max
        }
        _ if pad.value != 0.0 => return Err(format!("it pads with {}, which the mean counts", pad.value)),
        Pooling::Average if op.window.pad != [0; 4] => {
            return Err("the mean counts this padding but not its own".into());
        }
        Pooling::Average | Pooling::AveragePadded => Pooling::AveragePadded,
    };
    Ok(Pool2d { window, pooling }.into())
}

/// What no value of a node is below.
fn lower_bound(graph: &Graph, id: Option<NodeId>) -> f64 {
    let activation = match id.map(|id| graph.op(id)) {
        Some(Op::Activate(op)) => op.activation,
        _ => return f64::NEG_INFINITY,
    };
    match activation {
        Activation::Clamp { lo, .. } => lo.into(),
        Activation::Sigmoid | Activation::HardSigmoid { .. } | Activation::Softplus => 0.0,
        Activation::Tanh => -1.0,
        Activation::Identity
        | Activation::HardSwish
        | Activation::Silu
        | Activation::Gelu
        | Activation::GeluTanh
        | Activation::LeakyRelu { .. }
        | Activation::Elu { .. } => f64::NEG_INFINITY,
    }
}

fn widened(pad: &Pad, window: &Window) -> Result<Window, String> {
    let ([0, top, left, 0], [0, bottom, right, 0]) = (&pad.before[..], &pad.after[..]) else {
        return Err("it pads more than rows and columns".into());
    };
    let mut wider = *window;
    for (own, added) in wider.pad.iter_mut().zip([top, left, bottom, right]) {
        *own = own.checked_add(*added).ok_or("the padding overflows")?;
    }
    Ok(wider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, canonical};

    /// Bottom and right, as TensorFlow pads for stride 2.
    fn pad(net: &mut Net, x: NodeId, value: f64) -> NodeId {
        net.op("pad", Pad { before: vec![0; 4], after: vec![0, 1, 1, 0], value }, &[x])
    }

    fn pool(net: &mut Net, x: NodeId, pooling: Pooling, pad: usize) -> NodeId {
        let window = Window { kernel: [3; 2], stride: [2; 2], pad: [pad; 4], ..Window::POINT };
        net.op("pool", Pool2d { window, pooling }, &[x])
    }

    /// The operators that are left, and what was refused.
    #[track_caller]
    fn left_of(build: impl FnOnce(&mut Net, NodeId) -> NodeId) -> String {
        let mut net = Net::new();
        let x = net.input(&[1, 6, 6, 2]);
        let y = build(&mut net, x);
        let graph = canonical(&net.returns(y));
        let nodes = graph.order().into_iter().filter(|&id| graph.tensor(id).is_none());
        let mut lines: Vec<String> = nodes.skip(1).map(|id| graph.op(id).describe()).collect();
        lines.extend(refusals(&graph).iter().map(ToString::to_string));
        lines.join("\n")
    }

    #[test]
    fn zeros_go_into_convolutions() {
        let conv = left_of(|net, x| {
            let padded = pad(net, x, 0.0);
            net.conv(padded, 3, 3, 0)
        });
        insta::assert_snapshot!(conv, @"conv2d 3x3 p0,0,1,1");
        let depthwise = left_of(|net, x| {
            let padded = pad(net, x, 0.0);
            net.depthwise(padded, 1)
        });
        insta::assert_snapshot!(depthwise, @"depthwise 3x3 p1,1,2,2");
    }

    #[test]
    fn other_values_do_not() {
        let conv = left_of(|net, x| {
            let padded = pad(net, x, 0.5);
            net.conv(padded, 3, 3, 0)
        });
        insta::assert_snapshot!(conv, @r"
        pad before=0,0,0,0 after=0,1,1,0 value=0.5
        conv2d 3x3
        pad refused: pad, conv2: it pads with 0.5, a convolution with 0
        ");
    }

    #[test]
    fn minus_infinity_goes_into_a_maximum() {
        let pooled = left_of(|net, x| {
            let padded = pad(net, x, f64::NEG_INFINITY);
            pool(net, padded, Pooling::Max, 0)
        });
        insta::assert_snapshot!(pooled, @"max_pool 3x3 s2 p0,0,1,1");
    }

    #[test]
    fn zeros_go_into_a_maximum_behind_relu() {
        let pooled = left_of(|net, x| {
            let positive = net.activate(Activation::RELU, x);
            let padded = pad(net, positive, 0.0);
            pool(net, padded, Pooling::Max, 0)
        });
        insta::assert_snapshot!(pooled, @r"
        relu
        max_pool 3x3 s2 p0,0,1,1
        ");
    }

    #[test]
    fn zeros_may_be_the_maximum_elsewhere() {
        let pooled = left_of(|net, x| {
            let padded = pad(net, x, 0.0);
            pool(net, padded, Pooling::Max, 0)
        });
        insta::assert_snapshot!(pooled, @r"
        pad before=0,0,0,0 after=0,1,1,0
        max_pool 3x3 s2
        pad refused: pad, pool: it pads with 0, which may be the maximum
        ");
    }

    #[test]
    fn the_mean_then_counts_zeros() {
        let pooled = left_of(|net, x| {
            let padded = pad(net, x, 0.0);
            pool(net, padded, Pooling::Average, 0)
        });
        insta::assert_snapshot!(pooled, @"average_pool 3x3 s2 p0,0,1,1 with padding");
    }

    #[test]
    fn a_mean_with_another_padding_keeps_both() {
        let pooled = left_of(|net, x| {
            let padded = pad(net, x, 0.0);
            pool(net, padded, Pooling::Average, 1)
        });
        insta::assert_snapshot!(pooled, @r"
        pad before=0,0,0,0 after=0,1,1,0
        average_pool 3x3 s2 p1
        pad refused: pad, pool: the mean counts this padding but not its own
        ");
    }

    #[test]
    fn padded_channels_stay() {
        let conv = left_of(|net, x| {
            let op = Pad { before: vec![0; 4], after: vec![0, 0, 0, 1], value: 0.0 };
            let padded = net.op("pad", op, &[x]);
            net.conv(padded, 3, 3, 0)
        });
        insta::assert_snapshot!(conv, @r"
        pad before=0,0,0,0 after=0,0,0,1
        conv2d 3x3
        pad refused: pad, conv2: it pads more than rows and columns
        ");
    }
}
