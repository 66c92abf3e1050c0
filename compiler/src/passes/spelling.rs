//! One spelling for activations: whatever arithmetic amounts to a known function becomes [`Activate`].
//!
//! A candidate `y` is written as `P₀(x) + P₁(x)·e` with `e = gate(u(x))` and polynomials `P₀`, `P₁`, `u`
//! ([`polynomial`]), so that the order of factors and operands does not matter:
//!
//! | function | gate e | P₀ | P₁ | u |
//! |---|---|---|---|---|
//! | hard-sigmoid | clamp to \[lo, hi\] | t | s, with s·lo + t = 0 and s·hi + t = 1 | a·x + b |
//! | hard-swish | the same | 0 | s·x | (x + 3)/6, scaled |
//! | SiLU | sigmoid | 0 | x | x |
//! | GELU | erf | x/2 | x/2 | x/√2 |
//! | GELU (tanh) | tanh | x/2 | x/2 | √(2/π)·(x + 0.044715·x³) |
//!
//! Exporters round these constants to six or seven digits, so they are compared within 1e-4.

mod clamp;
mod polynomial;

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::{Activate, Activation};
use crate::ops::unary::UnaryOp;
use crate::tensor::DType;
use polynomial::{Gated, Poly};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

/// How far a constant may be from the one in a formula, relative to it.
const TOLERANCE: f64 = 1e-4;

/// How many operators lie between a function's value and its argument at most.
const DEPTH: usize = 7;

/// Recognises activations and merges clamps.
pub fn unify(graph: &mut Graph) -> Result<bool, Fault> {
    let clamped = each(graph, clamp::simplify)?;
    let named = each(graph, |graph, id| match recognise(graph, id) {
        Some((x, activation)) => {
            let new = graph.add_like(id, Activate { activation }, &[x])?;
            graph.substitute(id, new);
            Ok(true)
        }
        None => Ok(false),
    })?;
    Ok(clamped || named)
}

/// The activation that a node amounts to and its argument, where the graph spells it out.
pub(crate) fn recognise(graph: &Graph, id: NodeId) -> Option<(NodeId, Activation)> {
    let spelled = match graph.op(id) {
        Op::Binary(op) => op.activation == Activation::Identity,
        Op::Activate(_) => true,
        _ => false,
    };
    if !spelled || graph.ty(id).dtype != DType::F32 {
        return None;
    }
    let candidates = candidates(graph, id);
    let named = |wanted: fn(&Formula) -> Option<Activation>| {
        candidates.iter().find_map(|(x, formula)| Some((*x, wanted(formula)?)))
    };
    named(standard).or_else(|| {
        // The argument farthest up takes most arithmetic along.
        candidates.iter().rev().find_map(|(x, formula)| Some((*x, hard_sigmoid(formula)?)))
    })
}

/// `P₀(x) + P₁(x)·gate(u(x))`
struct Formula {
    gate: Gate,
    y: Gated,
    u: Poly,
}

#[derive(Clone, Copy)]
enum Gate {
    /// slope · clamp(u, lo, hi) + offset, which goes from 0 to 1 where it is a hard-sigmoid.
    Clamp {
        lo: f64,
        hi: f64,
    },
    HardSigmoid {
        alpha: f64,
        beta: f64,
    },
    Sigmoid,
    Tanh,
    Erf,
}

fn gate(graph: &Graph, id: NodeId) -> Option<Gate> {
    let activation = match graph.op(id) {
        Op::Unary(op) => return (op.op == UnaryOp::Erf).then_some(Gate::Erf),
        Op::Activate(op) => op.activation,
        _ => return None,
    };
    match activation {
        Activation::Clamp { lo, hi } if lo.is_finite() && hi.is_finite() => {
            Some(Gate::Clamp { lo: lo.into(), hi: hi.into() })
        }
        Activation::HardSigmoid { alpha, beta } => {
            Some(Gate::HardSigmoid { alpha: alpha.into(), beta: beta.into() })
        }
        Activation::Sigmoid => Some(Gate::Sigmoid),
        Activation::Tanh => Some(Gate::Tanh),
        Activation::Identity
        | Activation::Clamp { .. }
        | Activation::HardSwish
        | Activation::Silu
        | Activation::Gelu
        | Activation::GeluTanh
        | Activation::LeakyRelu { .. }
        | Activation::Elu { .. }
        | Activation::Softplus => None,
    }
}

/// Every way to read a node as a formula, arguments near the gate first.
fn candidates(graph: &Graph, id: NodeId) -> Vec<(NodeId, Formula)> {
    let mut found = Vec::new();
    for node in polynomial::reachable(graph, id, DEPTH) {
        let Some(gate) = gate(graph, node) else { continue };
        let Some(argument) = graph.operand(node, 0) else { continue };
        for x in polynomial::reachable(graph, argument, DEPTH) {
            let u = polynomial::gated(graph, argument, x, None, DEPTH).and_then(|u| u.plain());
            let y = polynomial::gated(graph, id, x, Some(node), DEPTH);
            if let (Some(u), Some(y)) = (u, y) {
                found.push((x, Formula { gate, y, u }));
            }
        }
    }
    found
}

fn standard(formula: &Formula) -> Option<Activation> {
    let Formula { gate, y, u } = formula;
    let half = Poly::linear(0.5, 0.0);
    match gate {
        Gate::Clamp { .. } | Gate::HardSigmoid { .. } => {
            let (alpha, beta) = ramp(formula, y.factor.divided_by_x().or(y.factor.constant())?)?;
            let usual = near(alpha, 1.0 / 6.0) && near(beta, 0.5);
            let swish = usual && y.factor.constant().is_none();
            match (usual, swish) {
                (true, true) => Some(Activation::HardSwish),
                (true, false) if !is_bare(formula) => usual_hard_sigmoid(),
                _ => None,
            }
        }
        Gate::Sigmoid => {
            let x = Poly::linear(1.0, 0.0);
            (y.rest.is_zero() && y.factor.near(&x) && u.near(&x)).then_some(Activation::Silu)
        }
        Gate::Erf => {
            let fits = u.near(&Poly::linear(FRAC_1_SQRT_2, 0.0));
            (fits && y.rest.near(&half) && y.factor.near(&half)).then_some(Activation::Gelu)
        }
        Gate::Tanh => {
            // √(2/π) = (2/√π) / √2
            let root = FRAC_2_SQRT_PI / SQRT_2;
            let fits = u.near(&Poly([0.0, root, 0.0, root * 0.044_715]));
            (fits && y.rest.near(&half) && y.factor.near(&half)).then_some(Activation::GeluTanh)
        }
    }
}

fn usual_hard_sigmoid() -> Option<Activation> {
    Some(Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 })
}

/// A hard-sigmoid of any slope, but no clamp to \[0, 1\] or hard-sigmoid that already stands alone.
fn hard_sigmoid(formula: &Formula) -> Option<Activation> {
    let (alpha, beta) = ramp(formula, formula.y.factor.constant()?)?;
    (!is_bare(formula)).then_some(Activation::HardSigmoid { alpha: alpha as f32, beta: beta as f32 })
}

/// Whether the gate is applied to the argument itself, and nothing to the gate.
fn is_bare(formula: &Formula) -> bool {
    let Formula { y, u, .. } = formula;
    y.rest.is_zero() && y.factor == Poly::linear(0.0, 1.0) && *u == Poly::linear(1.0, 0.0)
}

/// Slope and offset of the hard-sigmoid that the gate, times `scale` plus P₀, is.
fn ramp(formula: &Formula, scale: f64) -> Option<(f64, f64)> {
    let (a, b) = formula.u.as_linear()?;
    let offset = formula.y.rest.constant()?;
    let (alpha, beta) = match formula.gate {
        Gate::Clamp { lo, hi } => {
            let runs = near(scale * hi + offset, 1.0) && (scale * lo + offset).abs() < TOLERANCE;
            runs.then_some((scale * a, scale * b + offset))?
        }
        Gate::HardSigmoid { alpha, beta } => {
            (near(scale, 1.0) && offset == 0.0).then_some((alpha * a, alpha * b + beta))?
        }
        Gate::Sigmoid | Gate::Tanh | Gate::Erf => return None,
    };
    (alpha > 0.0 && offset_fits(formula, offset)).then_some((alpha, beta))
}

/// A factor `x` leaves no room for an offset.
fn offset_fits(formula: &Formula, offset: f64) -> bool {
    formula.y.factor.constant().is_some() || offset == 0.0
}

fn near(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() <= TOLERANCE * wanted.abs()
}

#[cfg(test)]
mod tests {
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
}
