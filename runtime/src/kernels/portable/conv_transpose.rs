//! Transposed convolution: every input position adds its window to the output.

use super::access;
use super::in_rows::InRows as _;
use super::strided::elements;
use crate::kernels::generic::elementwise;
use crate::kernels::told;
use crate::kernels::vector::{Lanes, Portable};
use crate::memory::Memory;
use crate::steps::{Activate, ConvTranspose2d, Map};
use core::slice::ChunksExact;

/// `output[y·s + ky·d − pad, o] = activation(Σ input[y, ci] · weights[ky, ci, o] + bias[o])`, along rows and
/// columns alike, over all positions and taps that meet there. Both maps are held whole.
pub fn conv_transpose2d_f32(memory: &mut Memory<'_>, step: &ConvTranspose2d) {
    told(run(memory, step));
}

pub(super) fn run(memory: &mut Memory<'_>, step: &ConvTranspose2d) -> Option<()> {
    sums(memory, step)?;
    let &ConvTranspose2d { output, activation, .. } = step;
    let activate = Activate { input: output, output, activation };
    elementwise::activate::<Lanes<4>>(Portable, memory, &activate, 0..output.height)
}

/// Everything but the activation.
fn sums(memory: &mut Memory<'_>, step: &ConvTranspose2d) -> Option<()> {
    let (input, output) = (whole(&step.input)?, whole(&step.output)?);
    let groups = Groups::new(step)?;
    let [channels, n] = [step.input.channels, step.output.channels];
    let (operands, result) = access::result::<f32>(memory, step.output.place, output)?;
    let input = operands.slice::<f32>(step.input.place, input)?;
    let tap = elements(&[groups.depth, n])?;
    let weights =
        operands.constants::<f32>(step.weights, elements(&[step.kernel[0], step.kernel[1], tap])?)?;
    let bias = operands.constants::<f32>(step.bias, n)?;
    if result.is_empty() || input.is_empty() || weights.is_empty() {
        return None;
    }
    result.rows_mut(n).for_each(|pixel| pixel.iter_mut().zip(bias).for_each(|(y, b)| *y = *b));
    let width = step.output.width * n;
    for (y, input) in input.rows(step.input.width * channels).enumerate() {
        for (ky, weights) in weights.rows(step.kernel[1] * tap).enumerate() {
            let Some(y) = step.target(0, y, ky, step.output.height) else { continue };
            let row = result.get_mut(y * width..)?.get_mut(..width)?;
            add_row(row, input, weights.rows(tap), step, groups);
        }
    }
    Some(())
}

/// Elements of a map that is held whole.
fn whole(map: &Map) -> Option<usize> {
    if map.rows == map.height { elements(&[map.height, map.width, map.channels]) } else { None }
}

impl ConvTranspose2d {
    /// The output row or column to which a tap of the input's `at` adds, if it is not cut off.
    #[inline]
    fn target(&self, axis: usize, at: usize, tap: usize, len: usize) -> Option<usize> {
        let far = at.checked_mul(self.stride[axis])?.checked_add(tap.checked_mul(self.dilation[axis])?)?;
        far.checked_sub(self.pad[axis]).filter(|&target| target < len)
    }
}

/// Channels of one group.
#[derive(Clone, Copy)]
struct Groups {
    depth: usize,
    columns: usize,
}

impl Groups {
    fn new(step: &ConvTranspose2d) -> Option<Self> {
        let [channels, n] = [step.input.channels, step.output.channels];
        let groups = Self { depth: channels.checked_div(step.groups)?, columns: n.checked_div(step.groups)? };
        (groups.depth * step.groups == channels && groups.columns * step.groups == n).then_some(groups)
    }
}

/// Adds what a row of the input gives to a row of the output; `taps` are those along columns.
fn add_row(
    row: &mut [f32],
    input: &[f32],
    taps: ChunksExact<'_, f32>,
    step: &ConvTranspose2d,
    groups: Groups,
) {
    let n = step.output.channels;
    for (kx, weights) in taps.enumerate() {
        for (x, pixel) in input.rows(step.input.channels).enumerate() {
            let target = step.target(1, x, kx, step.output.width);
            if let Some(sums) = target.and_then(|x| row.get_mut(x * n..)?.get_mut(..n)) {
                add_tap(sums, pixel, weights, groups);
            }
        }
    }
}

/// Adds `pixel` · `weights` group by group.
fn add_tap(sums: &mut [f32], pixel: &[f32], weights: &[f32], Groups { depth, columns }: Groups) {
    if let (1, 1) = (depth, columns) {
        let products = pixel.iter().zip(weights);
        sums.iter_mut().zip(products).for_each(|(sum, (x, w))| *sum += x * w);
        return;
    }
    let n = sums.len();
    for ((group, sums), pixel) in sums.rows_mut(columns).enumerate().zip(pixel.rows(depth)) {
        add_product(sums, pixel, weights, n, group * columns);
    }
}

/// Adds `pixel` times the columns `first..` of a matrix of `n` columns, four rows at a time, so that sums
/// are loaded and stored a fourth as often.
#[inline]
fn add_product(sums: &mut [f32], pixel: &[f32], weights: &[f32], n: usize, first: usize) {
    let row = |i: usize| weights.get(i * n + first..).unwrap_or_default();
    let (quads, rest) = pixel.as_chunks::<4>();
    for (i, &[p, q, r, s]) in (0..).step_by(4).zip(quads) {
        let rows = row(i).iter().zip(row(i + 1)).zip(row(i + 2).iter().zip(row(i + 3)));
        for (sum, ((a, b), (c, d))) in sums.iter_mut().zip(rows) {
            *sum += (p * a + q * b) + (r * c + s * d);
        }
    }
    for (i, x) in (quads.len() * 4..).zip(rest) {
        sums.iter_mut().zip(row(i)).for_each(|(sum, w)| *sum += x * w);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rig, close, numbers};
    use super::*;
    use crate::steps::{Activation, Place};
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn map(place: Place, [height, width, channels]: [usize; 3]) -> Map {
        Map { place, height, width, channels, rows: height }
    }

    /// Every output element asks every input element whether it adds to it.
    fn exact(step: &ConvTranspose2d, input: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f64> {
        let ([_, w, c], [oh, ow, n]) = (shape(&step.input), shape(&step.output));
        let (depth, columns) = (c / step.groups, n / step.groups);
        let mut sums: Vec<f64> = (0..oh * ow * n).map(|i| bias[i % n].into()).collect();
        for (i, &x) in input.iter().enumerate() {
            let (y, x_at, channel) = (i / (w * c), i / c % w, i % c);
            for (j, &weight) in weights.iter().enumerate() {
                let (o, ci, kx) = (j % n, j / n % depth, j / n / depth % step.kernel[1]);
                let ky = j / n / depth / step.kernel[1];
                let oy = (y * step.stride[0] + ky * step.dilation[0]).wrapping_sub(step.pad[0]);
                let ox = (x_at * step.stride[1] + kx * step.dilation[1]).wrapping_sub(step.pad[1]);
                if oy < oh && ox < ow && channel == o / columns * depth + ci {
                    sums[(oy * ow + ox) * n + o] += f64::from(x) * f64::from(weight);
                }
            }
        }
        sums
    }

    fn shape(map: &Map) -> [usize; 3] {
        [map.height, map.width, map.channels]
    }

    proptest! {
        #[test]
        fn any_window(
            (h, w, oh, ow) in (1_usize..5, 1_usize..5, 1_usize..9, 1_usize..9),
            (depth, columns, groups) in (1_usize..6, 1_usize..4, 1_usize..4),
            kernel in proptest::array::uniform2(1_usize..4),
            stride in proptest::array::uniform2(1_usize..4),
            dilation in proptest::array::uniform2(1_usize..3),
            pad in proptest::array::uniform2(0_usize..3),
        ) {
            let (c, n) = (depth * groups, columns * groups);
            let taps = kernel[0] * kernel[1];
            let [x, k, b] =
                [h * w * c, taps * depth * n, n].map(|len| numbers(len as u32, len));
            let mut rig = Rig::new();
            let (input, output) = (rig.put(&x), rig.room::<f32>(oh * ow * n));
            let (weights, bias) = (rig.constants(&k), rig.constants(&b));
            let (input, output) = (map(input, [h, w, c]), map(output, [oh, ow, n]));
            let activation = Activation::Clamp { lo: -1.0, hi: 6.0 };
            let step = ConvTranspose2d {
                input, output, kernel, stride, dilation, pad, groups, weights, bias, activation,
            };
            let actual: Vec<f32> = rig.run(output.place, oh * ow * n, |memory| run(memory, &step));
            let expect: Vec<f64> = exact(&step, &x, &k, &b).iter().map(|sum| sum.clamp(-1.0, 6.0)).collect();
            // Products of up to 4 and their sums, each rounded once.
            let products = (taps * depth + 1) as f64;
            close(&actual, &expect, |_| products * products * 4.0 * f64::from(f32::EPSILON));
        }
    }

    #[test]
    fn groups_that_do_not_divide_are_refused() {
        let mut rig = Rig::new();
        let (input, output) = (rig.put(&[1.0_f32; 6]), rig.room::<f32>(6));
        let (weights, bias) = (rig.constants(&[1.0_f32; 36]), rig.constants(&[0.0_f32; 6]));
        let step = |groups| ConvTranspose2d {
            input: map(input, [1, 1, 6]),
            output: map(output, [1, 1, 6]),
            kernel: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            pad: [0; 2],
            groups,
            weights,
            bias,
            activation: Activation::Identity,
        };
        rig.refuses(|memory| run(memory, &step(0)));
        rig.refuses(|memory| run(memory, &step(4)));
        assert_eq!(rig.run::<f32>(output, 6, |memory| run(memory, &step(1))), [6.0; 6]);
        assert_eq!(rig.run::<f32>(output, 6, |memory| run(memory, &step(6))), [1.0; 6]);
    }
}
