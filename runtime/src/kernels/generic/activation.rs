//! Activations on vectors.
//!
//! Errors are a few units in the last place of the result's largest intermediate value: what a sum of
//! products in single precision has anyway.

use crate::kernels::vector::{Task, Vector};
use crate::steps::Activation;

/// The activation of one vector.
#[inline(always)]
pub fn apply<V: Vector>(isa: V::Isa, activation: &Activation, x: V) -> V {
    let one = V::splat(isa, 1.0);
    let zero = V::splat(isa, 0.0);
    match *activation {
        Activation::Identity => x,
        Activation::Clamp { lo, hi } => clamp(x, V::splat(isa, lo), V::splat(isa, hi)),
        Activation::HardSwish => x.mul(hard_sigmoid(isa, x, 1.0 / 6.0, 0.5)),
        Activation::HardSigmoid { alpha, beta } => hard_sigmoid(isa, x, alpha, beta),
        Activation::Sigmoid => sigmoid(isa, x),
        Activation::Silu => x.mul(sigmoid(isa, x)),
        Activation::Gelu => gelu(isa, x),
        Activation::GeluTanh => {
            let cubic = x.mul(x).mul(x).mul(V::splat(isa, 0.044_715));
            let inner = x.add(cubic).mul(V::splat(isa, 0.797_884_6)); // √(2/π)
            // x/2 · (1 + tanh u) = x / (1 + e^−2u)
            x.mul(sigmoid(isa, inner.add(inner)))
        }
        Activation::Tanh => tanh(isa, x),
        Activation::LeakyRelu { alpha } => zero.min(x).mul_add(V::splat(isa, alpha), zero.max(x)),
        Activation::Elu { alpha } => {
            let below = exp(isa, zero.min(x)).sub(one);
            below.mul_add(V::splat(isa, alpha), zero.max(x))
        }
        Activation::Softplus => softplus(isa, x),
    }
}

/// The activation of each vector.
pub struct Each<'a, V: Vector> {
    /// Proof of the instruction set.
    pub isa: V::Isa,
    /// What is applied.
    pub activation: &'a Activation,
    /// To what, and where the results go.
    pub values: &'a mut [V],
}

impl<V: Vector> Task for Each<'_, V> {
    #[inline(always)]
    fn run(self) {
        for value in self.values {
            *value = apply(self.isa, self.activation, *value);
        }
    }
}

/// min(max(x, lo), hi); what is not a number stays so.
#[inline(always)]
pub fn clamp<V: Vector>(x: V, lo: V, hi: V) -> V {
    hi.min(lo.max(x))
}

/// min(max(alpha·x + beta, 0), 1)
#[inline(always)]
pub fn hard_sigmoid<V: Vector>(isa: V::Isa, x: V, alpha: f32, beta: f32) -> V {
    let line = x.mul_add(V::splat(isa, alpha), V::splat(isa, beta));
    clamp(line, V::splat(isa, 0.0), V::splat(isa, 1.0))
}

/// Values of a polynomial, highest power first.
#[inline(always)]
fn polynomial<V: Vector, const N: usize>(isa: V::Isa, x: V, coefficients: [f32; N]) -> V {
    let mut sum = V::splat(isa, coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, V::splat(isa, *coefficient));
    }
    sum
}

/// e^x, of x kept within the range of normal numbers: e^x = 2^n · e^r with |r| ≤ ln 2 / 2.
#[inline(always)]
pub fn exp<V: Vector>(isa: V::Isa, x: V) -> V {
    let x = clamp(x, V::splat(isa, -87.3), V::splat(isa, 88.3));
    // Adding and subtracting 1.5 · 2²³ rounds to an integer.
    let rounder = V::splat(isa, 12_582_912.0);
    let n = x.mul_add(V::splat(isa, core::f32::consts::LOG2_E), rounder).sub(rounder);
    // ln 2 in two parts, of which n times the first is exact.
    let r = n.mul_add(V::splat(isa, -0.693_359_4), x);
    let r = n.mul_add(V::splat(isa, 2.121_944_4e-4), r);
    let taylor = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    polynomial(isa, r, taylor).mul(n.power_of_two())
}

/// 1 / (1 + e^−x)
#[inline(always)]
fn sigmoid<V: Vector>(isa: V::Isa, x: V) -> V {
    let one = V::splat(isa, 1.0);
    one.div(one.add(exp(isa, V::splat(isa, 0.0).sub(x))))
}

/// sign(x) · (1 − e^−2|x|) / (1 + e^−2|x|), and an odd polynomial would gain nothing but relative precision
/// near 0.
#[inline(always)]
fn tanh<V: Vector>(isa: V::Isa, x: V) -> V {
    let one = V::splat(isa, 1.0);
    let e = exp(isa, x.abs().mul(V::splat(isa, -2.0)));
    one.sub(e).div(one.add(e)).copy_sign(x)
}

/// x · Φ(x) = max(x, 0) − |x|/2 · erfc(|x|/√2)
#[inline(always)]
fn gelu<V: Vector>(isa: V::Isa, x: V) -> V {
    let half = x.abs().mul(V::splat(isa, 0.5));
    let tail = erfc(isa, x.abs().mul(V::splat(isa, core::f32::consts::FRAC_1_SQRT_2)));
    V::splat(isa, 0.0).max(x).sub(half.mul(tail))
}

/// The complementary error function of z ≥ 0: e^−z² · t · P(t) with t = 1 / (1 + 0.45 z). P is a minimax fit
/// of relative error 1.7e-7, made for these kernels.
#[inline(always)]
fn erfc<V: Vector>(isa: V::Isa, z: V) -> V {
    let one = V::splat(isa, 1.0);
    let t = one.div(z.mul_add(V::splat(isa, 0.45), one));
    let fit = [
        0.057_775_82,
        -0.199_939_9,
        0.134_301_72,
        0.114_495_71,
        0.145_790_27,
        0.242_403_21,
        0.251_075_9,
        0.254_097_45,
        0.0,
    ];
    polynomial(isa, t, fit).mul(exp(isa, V::splat(isa, 0.0).sub(z.mul(z))))
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + t) with t = e^−|x|; ln(1 + t) = 2 artanh(t / (2 + t)), whose series in
/// squares below 1/9 is cut behind the term of 1/17.
#[inline(always)]
fn softplus<V: Vector>(isa: V::Isa, x: V) -> V {
    let t = exp(isa, V::splat(isa, 0.0).sub(x.abs()));
    let u = t.div(t.add(V::splat(isa, 2.0)));
    let series = [2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0];
    polynomial(isa, u.mul(u), series).mul_add(u, V::splat(isa, 0.0).max(x))
}
