//! Winograd's method: weights at points, and how far what the kernels compute may be off.

use crate::convolution::panels;
use crate::reference::{EPSILON, Window};

/// A point of the line: what an input, a tap or an output counts there.
struct Point {
    /// Coefficients of the product of `x − p` over all other points.
    inputs: Vec<f64>,
    taps: [f64; 3],
    outputs: Vec<f64>,
}

/// The finite points for tiles of so many outputs a side.
fn finite(side: usize) -> &'static [f64] {
    match side {
        2 => &[0.0, 1.0, -1.0],
        _ => &[0.0, 0.6875, -0.6875, 1.5, -1.5],
    }
}

/// All points, infinity behind the finite ones.
fn points(side: usize) -> Vec<Point> {
    let finite = finite(side);
    let product = |without: Option<f64>| {
        let mut product = vec![1.0];
        for &p in finite.iter().filter(|&&p| Some(p) != without) {
            product.push(0.0);
            for i in (0..product.len()).rev() {
                product[i] = if i > 0 { product[i - 1] } else { 0.0 } - p * product[i];
            }
        }
        product
    };
    let mut points = Vec::new();
    for &p in finite {
        let mut inputs = product(Some(p));
        let value: f64 = inputs.iter().enumerate().map(|(i, c)| c * p.powi(i as i32)).sum();
        inputs.push(0.0);
        points.push(Point {
            inputs,
            taps: [0, 1, 2].map(|i| p.powi(i) / value),
            outputs: (0..side).map(|i| p.powi(i as i32)).collect(),
        });
    }
    let last = |i| f64::from(u8::from(i + 1 == side));
    let outputs = (0..side).map(last).collect();
    points.push(Point { inputs: product(None), taps: [0.0, 0.0, 1.0], outputs });
    points
}

/// Weights `[9·depth, n]` at the points, `[points², depth, n]`.
fn at_points(side: usize, weights: &[f32], depth: usize, n: usize) -> Vec<f64> {
    let points = points(side);
    let mut all = Vec::new();
    for (a, b) in points.iter().flat_map(|a| points.iter().map(move |b| (a, b))) {
        for i in 0..depth * n {
            let weight = |ky: usize, kx: usize| f64::from(weights[(ky * 3 + kx) * depth * n + i]);
            let row = |ky: usize| (0..3).map(|kx| b.taps[kx] * weight(ky, kx)).sum::<f64>();
            all.push((0..3).map(|ky| a.taps[ky] * row(ky)).sum());
        }
    }
    all
}

/// As the kernels read them.
pub fn packed(side: usize, weights: &[f32], depth: usize, n: usize) -> Vec<f32> {
    let rounded: Vec<f32> = at_points(side, weights, depth, n).iter().map(|&weight| weight as f32).collect();
    panels(&rounded, n, 16)
}

/// How far outputs may be off.
pub struct Tolerance<'a> {
    pub side: usize,
    pub window: Window,
    pub band: usize,
    pub depth: usize,
    /// Output channels, of a group and of all.
    pub n: [usize; 2],
    pub weights: &'a [f32],
    pub bias: &'a [f32],
}

impl Tolerance<'_> {
    /// For every output: half a unit in the last place of the sum of what is summed, all signs left out, for each
    /// rounding on the way. Those are up to 4 in each transform of one dimension (2 products and 2 sums where they are
    /// not rounded together, a difference, a product and 2 sums), of which there are two of inputs and two of outputs;
    /// one of the weight; one of each product and one of each sum but the first; and one of the bias.
    pub fn all(&self, values: &[f32]) -> Vec<f64> {
        let Self { side, window, band, depth, n: [group, n], .. } = *self;
        let ([oh, ow], [_, _, channels]) = (window.output, window.input);
        let points = points(side);
        let weights = at_points(side, self.weights, depth, n);
        let roundings = 4 * 4 + 1 + (depth + 1) + 1;
        let mut all = vec![0.0; oh * ow * n];
        for top in (0..oh).step_by(band) {
            let end = oh.min(top + band);
            let tiles = (top..end).step_by(side).flat_map(|y| (0..ow).step_by(side).map(move |x| (y, x)));
            for (ty, tx) in tiles {
                let inputs = |c: usize| {
                    let input = |i: usize, j: usize| {
                        let y = (ty + i).checked_sub(window.pad[0]).filter(|&y| y < window.input[0]);
                        let x = (tx + j).checked_sub(window.pad[1]).filter(|&x| x < window.input[1]);
                        let needed = ty + i < end + 2;
                        let at = y
                            .zip(x)
                            .filter(|_| needed)
                            .map(|(y, x)| (y * window.input[1] + x) * channels + c);
                        at.map_or(0.0, |at| f64::from(values[at]).abs())
                    };
                    let mut sums = Vec::new();
                    for (a, b) in points.iter().flat_map(|a| points.iter().map(move |b| (a, b))) {
                        let mut sum = 0.0;
                        for (i, j) in (0..side + 2).flat_map(|i| (0..side + 2).map(move |j| (i, j))) {
                            sum += (a.inputs[i] * b.inputs[j]).abs() * input(i, j);
                        }
                        sums.push(sum);
                    }
                    sums
                };
                let inputs: Vec<Vec<f64>> = (0..channels).map(inputs).collect();
                for o in 0..n {
                    let products: Vec<f64> = (0..points.len() * points.len())
                        .map(|p| {
                            let product = |c: usize| {
                                inputs[o / group * depth + c][p] * weights[(p * depth + c) * n + o].abs()
                            };
                            (0..depth).map(product).sum()
                        })
                        .collect();
                    for (y, x) in
                        (ty..end.min(ty + side)).flat_map(|y| (tx..ow.min(tx + side)).map(move |x| (y, x)))
                    {
                        let mut sum = f64::from(self.bias[o]).abs();
                        for (p, product) in products.iter().enumerate() {
                            let (a, b) = (&points[p / points.len()], &points[p % points.len()]);
                            sum += (a.outputs[y - ty] * b.outputs[x - tx]).abs() * product;
                        }
                        all[(y * ow + x) * n + o] = roundings as f64 * EPSILON / 2.0 * sum;
                    }
                }
            }
        }
        all
    }
}
