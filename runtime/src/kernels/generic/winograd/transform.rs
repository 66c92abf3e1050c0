//! The transforms of one dimension, of `P` values: inputs to points, and sums at points to outputs.
//!
//! Convolution by 3 taps is a product of polynomials, which is known from its values at `P` points: of `P` inputs `d`
//! and 3 taps `g`, `P − 2` outputs are `Aᵀ ((G g) ⊙ (Bᵀ d))`. `P` is 6 with the points 0, ±11/16, ±3/2 and ∞, or 4 with
//! 0, ±1 and ∞. The rows of `Bᵀ` are the coefficients of the products of `x − p` over all other points, those of `G`
//! the powers of a point divided by the value of its product there, those of `A` the powers of a point.
//!
//! All coefficients are exact, so nothing is lost but by rounding sums. What that costs depends on the points: with
//! ±11/16 and ±3/2 the root of the mean square of errors is twice that of a sum without transforms, with ±1 and ±2 it
//! is four times that (measured, over 64 channels of numbers from 0 to 1 and weights from −1 to 1).

use crate::kernels::vector::Vector;

/// The smaller point, its square and its cube.
const A: [f32; 3] = [11.0 / 16.0, 121.0 / 256.0, 1331.0 / 4096.0];
/// The larger one.
const B: [f32; 3] = [1.5, 2.25, 3.375];

/// `Bᵀ d`: 12 instructions for 6 values.
#[inline(always)]
pub fn forward<V: Vector, const P: usize>(isa: V::Isa, d: [V; P]) -> [V; P] {
    let mut points = d;
    if P == 4 {
        points[0] = d[2].sub(d[0]);
        points[1] = d[1].add(d[2]);
        points[2] = d[2].sub(d[1]);
        points[3] = d[3].sub(d[1]);
        return points;
    }
    let times = |factor: f32| V::splat(isa, factor);
    // Even and odd powers of the products without ±A, and without ±B.
    let (even_a, odd_a) = (d[2].mul_add(times(-B[1]), d[4]), d[1].mul_add(times(-B[1]), d[3]));
    let (even_b, odd_b) = (d[2].mul_add(times(-A[1]), d[4]), d[1].mul_add(times(-A[1]), d[3]));
    let (product, sum) = (times(A[1] * B[1]), times(-A[1] - B[1]));
    points[0] = d[0].mul_add(product, d[2].mul_add(sum, d[4]));
    points[1] = odd_a.mul_add(times(A[0]), even_a);
    points[2] = odd_a.mul_add(times(-A[0]), even_a);
    points[3] = odd_b.mul_add(times(B[0]), even_b);
    points[4] = odd_b.mul_add(times(-B[0]), even_b);
    points[5] = d[1].mul_add(product, d[3].mul_add(sum, d[5]));
    points
}

/// `Aᵀ m`, in the first `P − 2` places: 12 instructions for 6 values.
#[inline(always)]
pub fn inverse<V: Vector, const P: usize>(isa: V::Isa, m: [V; P]) -> [V; P] {
    let mut outputs = m;
    let (even_a, odd_a) = (m[1].add(m[2]), m[1].sub(m[2]));
    if P == 4 {
        outputs[0] = m[0].add(even_a);
        outputs[1] = odd_a.add(m[3]);
        return outputs;
    }
    let times = |factor: f32| V::splat(isa, factor);
    let (even_b, odd_b) = (m[3].add(m[4]), m[3].sub(m[4]));
    outputs[0] = m[0].add(even_a).add(even_b);
    outputs[1] = odd_b.mul_add(times(B[0]), odd_a.mul(times(A[0])));
    outputs[2] = even_b.mul_add(times(B[1]), even_a.mul(times(A[1])));
    outputs[3] = odd_b.mul_add(times(B[2]), odd_a.mul_add(times(A[2]), m[5]));
    outputs
}
