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
#[cfg(test)]
mod tests;

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
