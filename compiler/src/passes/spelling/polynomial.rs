//! Reads arithmetic of a graph as polynomials of degree 3 at most, with one gate as a second unknown.

use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::binary::BinaryOp;
use crate::ops::unary::UnaryOp;

/// Coefficients of 1, x, x², x³.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Poly(pub [f64; 4]);

impl Poly {
    const ZERO: Self = Self([0.0; 4]);

    /// slope · x + offset
    pub const fn linear(slope: f64, offset: f64) -> Self {
        Self([offset, slope, 0.0, 0.0])
    }

    /// Whether nothing is left.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The value of a polynomial without x.
    pub fn constant(&self) -> Option<f64> {
        let [value, a, b, c] = self.0;
        (a == 0.0 && b == 0.0 && c == 0.0).then_some(value)
    }

    /// Slope and offset of a polynomial of degree 1.
    pub fn as_linear(&self) -> Option<(f64, f64)> {
        let [offset, slope, b, c] = self.0;
        (b == 0.0 && c == 0.0 && slope != 0.0).then_some((slope, offset))
    }

    /// The factor of x where there is nothing else.
    pub fn divided_by_x(&self) -> Option<f64> {
        self.as_linear().filter(|&(_, offset)| offset == 0.0).map(|(slope, _)| slope)
    }

    /// Whether all coefficients agree within the tolerance of this pass.
    pub fn near(&self, wanted: &Self) -> bool {
        self.0.iter().zip(&wanted.0).all(|(&a, &b)| super::near(a, b))
    }

    fn scaled(self, factor: f64) -> Self {
        Self(self.0.map(|v| v * factor))
    }

    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    fn times(self, other: Self) -> Option<Self> {
        let mut product = [0.0; 4];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.0.iter().enumerate() {
                match product.get_mut(i + j) {
                    Some(slot) => *slot += a * b,
                    None if a * b == 0.0 => {}
                    None => return None,
                }
            }
        }
        Some(Self(product))
    }
}

/// rest(x) + factor(x) · e
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gated {
    /// What stands without the gate.
    pub rest: Poly,
    /// What the gate is multiplied by.
    pub factor: Poly,
}

impl Gated {
    /// The polynomial, where there is no gate.
    pub fn plain(self) -> Option<Poly> {
        self.factor.is_zero().then_some(self.rest)
    }

    fn scaled(self, factor: f64) -> Self {
        Self { rest: self.rest.scaled(factor), factor: self.factor.scaled(factor) }
    }

    fn plus(self, other: Self) -> Self {
        Self { rest: self.rest.plus(other.rest), factor: self.factor.plus(other.factor) }
    }

    fn times(self, other: Self) -> Option<Self> {
        if !self.factor.is_zero() && !other.factor.is_zero() {
            return None;
        }
        let crossed = self.rest.times(other.factor)?.plus(self.factor.times(other.rest)?);
        Some(Self { rest: self.rest.times(other.rest)?, factor: crossed })
    }
}

/// The value of `id` in terms of `x` and a gate's value, both of the type of `id`; constants have one
/// element. `None` where it is no such polynomial, or more than `depth` operators deep.
pub fn gated(graph: &Graph, id: NodeId, x: NodeId, gate: Option<NodeId>, depth: usize) -> Option<Gated> {
    if id == x {
        return Some(Gated { rest: Poly::linear(1.0, 0.0), ..Gated::default() });
    }
    if Some(id) == gate {
        return Some(Gated { factor: Poly::linear(0.0, 1.0), ..Gated::default() });
    }
    if let Some(value) = graph.scalar(id) {
        return Some(Gated { rest: Poly::linear(0.0, value), ..Gated::default() });
    }
    let operands = arithmetic(graph, id).filter(|_| depth > 0)?;
    let value = |slot: usize| gated(graph, *operands.get(slot)?, x, gate, depth - 1);
    let a = value(0)?;
    let Op::Binary(op) = graph.op(id) else { return Some(a.scaled(-1.0)) };
    let b = value(1)?;
    match op.op {
        BinaryOp::Add => Some(a.plus(b)),
        BinaryOp::Sub => Some(a.plus(b.scaled(-1.0))),
        BinaryOp::Mul => a.times(b),
        BinaryOp::Div => b.plain()?.constant().filter(|&d| d != 0.0).map(|d| a.scaled(d.recip())),
        BinaryOp::Pow => match b.plain()?.constant()? {
            2.0 => a.times(a),
            3.0 => a.times(a)?.times(a),
            _ => None,
        },
        BinaryOp::Min | BinaryOp::Max | BinaryOp::Mod => None,
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => None,
    }
}

/// Operands of a node of polynomial arithmetic, all of its own type or scalars.
fn arithmetic(graph: &Graph, id: NodeId) -> Option<Vec<NodeId>> {
    let is_arithmetic = match graph.op(id) {
        Op::Binary(op) => op.activation == Activation::Identity,
        Op::Unary(op) => op.op == UnaryOp::Neg,
        _ => false,
    };
    let operands = is_arithmetic.then(|| graph.operands(id))?;
    let fits = |&n: &NodeId| graph.ty(n) == graph.ty(id) || graph.scalar(n).is_some();
    operands.iter().all(fits).then_some(operands)
}

/// `id` and what it is computed from by arithmetic, nearest first, without constants; gates included.
pub fn reachable(graph: &Graph, id: NodeId, depth: usize) -> Vec<NodeId> {
    /// More than any known formula has; what is longer is no activation.
    const LIMIT: usize = 12;
    let mut found = vec![id];
    let mut level = vec![id];
    for _ in 0..depth {
        let operands: Vec<NodeId> = level.iter().filter_map(|&n| arithmetic(graph, n)).flatten().collect();
        level.clear();
        for n in operands {
            if graph.tensor(n).is_none() && !found.contains(&n) && found.len() < LIMIT {
                found.push(n);
                level.push(n);
            }
        }
    }
    found
}
