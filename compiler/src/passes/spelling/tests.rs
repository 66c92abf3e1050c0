//! Each function in the spellings that exporters and authors use, and what only looks alike.

use super::*;
use crate::graph::testing::{Net, canonical};
use crate::ops::binary::BinaryOp::{Add, Div, Max, Min, Mul, Pow};
use crate::ops::unary::Unary;

type Spelling = fn(&mut Net, NodeId) -> NodeId;

/// The operators that are left of a function of `x`, as text.
#[track_caller]
fn left_of(spelling: Spelling) -> String {
    let mut net = Net::new();
    let x = net.input(&[1, 3, 3, 4]);
    let y = spelling(&mut net, x);
    let graph = canonical(&net.returns(y));
    let nodes = graph.order().into_iter().filter(|&id| graph.tensor(id).is_none());
    let texts: Vec<String> = nodes.skip(1).map(|id| graph.op(id).describe()).collect();
    texts.join(" ")
}

#[track_caller]
fn check(spellings: &[Spelling], expected: Activation) {
    for (i, spelling) in spellings.iter().enumerate() {
        assert_eq!(left_of(*spelling), expected.describe(), "spelling {i}");
    }
}

fn clip(net: &mut Net, x: NodeId) -> NodeId {
    let sum = net.with_scalar(Add, x, 3.0);
    net.activate(Activation::RELU6, sum)
}

fn hard_sigmoid(net: &mut Net, x: NodeId) -> NodeId {
    net.activate(Activation::HardSigmoid { alpha: 0.166_666_7, beta: 0.5 }, x)
}

/// x/6 + 1/2 between 0 and 1
fn ramp(net: &mut Net, x: NodeId) -> NodeId {
    let scaled = net.with_scalar(Div, x, 6.0);
    let sum = net.with_scalar(Add, scaled, 0.5);
    net.activate(Activation::Clamp { lo: 0.0, hi: 1.0 }, sum)
}

#[test]
fn hard_swish_in_every_association() {
    let spellings: [Spelling; 9] = [
        |net, x| {
            let c = clip(net, x);
            let p = net.binary(Mul, x, c);
            net.with_scalar(Div, p, 6.0)
        },
        |net, x| {
            let c = clip(net, x);
            let p = net.binary(Mul, c, x);
            net.with_scalar(Mul, p, 0.166_666_67)
        },
        |net, x| {
            let c = clip(net, x);
            let g = net.with_scalar(Div, c, 6.0);
            net.binary(Mul, x, g)
        },
        |net, x| {
            let c = clip(net, x);
            let g = net.with_scalar(Mul, c, 0.166_667);
            net.binary(Mul, g, x)
        },
        |net, x| {
            let c = clip(net, x);
            let s = net.with_scalar(Div, x, 6.0);
            net.binary(Mul, s, c)
        },
        |net, x| {
            let c = clip(net, x);
            let s = net.with_scalar(Mul, x, 0.166_666_67);
            net.binary(Mul, c, s)
        },
        |net, x| {
            let g = hard_sigmoid(net, x);
            net.binary(Mul, x, g)
        },
        |net, x| {
            let g = hard_sigmoid(net, x);
            net.binary(Mul, g, x)
        },
        |net, x| {
            let g = ramp(net, x);
            net.binary(Mul, x, g)
        },
    ];
    check(&spellings, Activation::HardSwish);
}

#[test]
fn hard_sigmoid_in_every_spelling() {
    let spellings: [Spelling; 4] = [
        |net, x| {
            let c = clip(net, x);
            net.with_scalar(Div, c, 6.0)
        },
        |net, x| {
            let c = clip(net, x);
            net.with_scalar(Mul, c, 0.166_666_67)
        },
        |net, x| {
            let s = net.scalar(0.166_666_67);
            let c = clip(net, x);
            net.binary(Mul, s, c)
        },
        ramp,
    ];
    check(&spellings, Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 });
}

#[test]
fn hard_sigmoid_of_another_slope() {
    let spelling: Spelling = |net, x| {
        let scaled = net.with_scalar(Mul, x, 0.25);
        let sum = net.with_scalar(Add, scaled, 0.5);
        net.activate(Activation::Clamp { lo: 0.0, hi: 1.0 }, sum)
    };
    check(&[spelling], Activation::HardSigmoid { alpha: 0.25, beta: 0.5 });
}

#[test]
fn silu_is_x_times_its_sigmoid() {
    let spelling: Spelling = |net, x| {
        let gate = net.activate(Activation::Sigmoid, x);
        net.binary(Mul, gate, x)
    };
    check(&[spelling], Activation::Silu);
}

/// 1 + erf(x/√2)
fn erf(net: &mut Net, x: NodeId) -> NodeId {
    let scaled = net.with_scalar(Div, x, std::f32::consts::SQRT_2);
    let erf = net.op("erf", Unary { op: UnaryOp::Erf }, &[scaled]);
    net.with_scalar(Add, erf, 1.0)
}

#[test]
fn gelu_in_every_association() {
    let spellings: [Spelling; 3] = [
        |net, x| {
            let e = erf(net, x);
            let p = net.binary(Mul, x, e);
            net.with_scalar(Mul, p, 0.5)
        },
        |net, x| {
            let e = erf(net, x);
            let h = net.with_scalar(Mul, x, 0.5);
            net.binary(Mul, h, e)
        },
        |net, x| {
            let e = erf(net, x);
            let h = net.with_scalar(Mul, e, 0.5);
            net.binary(Mul, h, x)
        },
    ];
    check(&spellings, Activation::Gelu);
}

#[test]
fn gelu_by_tanh() {
    let spelling: Spelling = |net, x| {
        let cube = net.with_scalar(Pow, x, 3.0);
        let scaled = net.with_scalar(Mul, cube, 0.044_715);
        let sum = net.binary(Add, x, scaled);
        let inner = net.with_scalar(Mul, sum, 0.797_884_6);
        let tanh = net.activate(Activation::Tanh, inner);
        let one = net.with_scalar(Add, tanh, 1.0);
        let product = net.binary(Mul, x, one);
        net.with_scalar(Mul, product, 0.5)
    };
    check(&[spelling], Activation::GeluTanh);
}

#[test]
fn a_gate_of_another_value_is_no_swish() {
    let spelling: Spelling = |net, x| {
        let tanh = net.activate(Activation::Tanh, x);
        let gate = hard_sigmoid(net, tanh);
        net.binary(Mul, x, gate)
    };
    assert_eq!(left_of(spelling), "tanh hard_sigmoid mul");
}

#[test]
fn another_constant_is_no_swish() {
    let spelling: Spelling = |net, x| {
        let c = clip(net, x);
        let product = net.binary(Mul, x, c);
        net.with_scalar(Div, product, 5.0)
    };
    assert_eq!(left_of(spelling), "add relu6 mul div");
}

#[test]
fn bounds_become_one_clamp() {
    let spelling: Spelling = |net, x| {
        let low = net.with_scalar(Max, x, -1.0);
        let high = net.with_scalar(Min, low, 2.0);
        net.activate(Activation::RELU, high)
    };
    check(&[spelling], Activation::Clamp { lo: 0.0, hi: 2.0 });
}
