//! Pointwise, dense, grouped and depthwise convolution.

use crate::reference::{EPSILON, Sum, Window, activated, activations, squares, threes, windows};
use crate::scene::{Layout, Operand, Scene, Weights, compare, numbers, same};
use crate::winograd::{Tolerance, packed};
use crate::{Kernel, kernels};
use mobilec_runtime::steps::{
    Activation, Conv2d, Depthwise, Epilogue, Map, PlanarConv2d, Pointwise, Prefetch,
};
use proptest::prelude::*;

/// Where the residual comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Residual {
    None,
    Own,
    Output,
}

/// What all convolutions have, beside their shape.
#[derive(Clone, Copy, Debug)]
struct Setting {
    activation: Activation,
    residual: Residual,
    after: Activation,
    band: usize,
    /// Rows that the rings hold beyond what a band needs.
    spare: [usize; 2],
    seed: u64,
}

fn settings() -> impl Strategy<Value = Setting> {
    let residual =
        prop::sample::select(vec![Residual::None, Residual::None, Residual::Own, Residual::Output]);
    (activations(), residual, activations(), 1..=12usize, [0..=3usize, 0..=3], any::<u64>()).prop_map(
        |(activation, residual, after, band, spare, seed)| Setting {
            activation,
            residual,
            after,
            band,
            spare,
            seed,
        },
    )
}

/// Weights `[k, n]` in panels of `width` columns.
pub fn panels(weights: &[f32], n: usize, width: usize) -> Vec<f32> {
    let mut packed = Vec::new();
    for first in (0..n).step_by(width) {
        for row in weights.chunks(n) {
            packed.extend((first..first + width).map(|column| if column < n { row[column] } else { 0.0 }));
        }
    }
    packed
}

/// As [`panels`] of 16 columns, of which the last 8 are left in pairs of rows.
fn paired_panels(weights: &[f32], n: usize) -> Vec<f32> {
    let (k, whole) = (weights.len() / n, n / 16 * 16);
    let mut packed = panels(weights, n, 16)[..whole * k].to_vec();
    for pair in weights.chunks(2 * n) {
        packed.extend((whole..n).flat_map(|column| [pair[column], *pair.get(n + column).unwrap_or(&0.0)]));
    }
    packed
}

/// Any convolution: which weight and input channel take part in an output channel is the family's.
struct Case<'a> {
    window: Window,
    n: usize,
    setting: Setting,
    /// Values of weights and bias as the reference reads them.
    weights: &'a [f32],
    bias: &'a [f32],
    /// Pairs of input channel and weight of a tap and output channel.
    reads: &'a dyn Fn(usize, usize) -> Vec<(usize, usize)>,
    /// Whether the kernels read planes, all of which are there.
    planes: bool,
    /// How far sums may be off that are not plain ones.
    tolerance: Option<Tolerance<'a>>,
}

impl Case<'_> {
    /// Runs the kernels on steps that `step` makes from input, output and epilogue.
    fn check<S>(&self, kernels: &[Kernel<S>], blob: Weights, step: impl Fn(Map, Map, Epilogue) -> S) {
        let Self { window, n, setting, .. } = *self;
        let [oh, ow] = window.output;
        let band = setting.band.min(oh);
        let needed = (0..oh).step_by(band).map(|y| window.rows(y..oh.min(y + band)).len()).max();
        let mut layout = Layout::default();
        let held = (needed.unwrap_or(0) + setting.spare[0]).clamp(1, window.input[0]);
        let [height, width, channels] = window.input;
        let input = match self.planes {
            true => layout.map([channels * height, width, 1], channels * height),
            false => layout.map(window.input, held),
        };
        let output = layout.map([oh, ow, n], (band + setting.spare[1]).min(oh));
        let residual = match setting.residual {
            Residual::None => None,
            Residual::Own => Some(layout.map([oh, ow, n], band)),
            Residual::Output => Some(output),
        };
        let values = numbers(setting.seed, window.input.iter().product());
        let other = numbers(setting.seed + 1, oh * ow * n);
        let planes: Vec<f32> =
            (0..channels).flat_map(|c| values.iter().skip(c).step_by(channels).copied()).collect();
        let needs = |rows| if self.planes { 0..channels * height } else { window.rows(rows) };
        let given = if self.planes { &planes } else { &values };
        let mut operands = vec![Operand { map: input, values: given, needs: &needs }];
        operands.extend(residual.map(|map| Operand { map, values: &other, needs: &same }));
        let mut scene = Scene::new(blob, operands, output);

        let expected = self.expected(&values, &other);
        let epilogue = Epilogue { activation: setting.activation, residual, after: setting.after };
        let step = step(input, output, epilogue);
        for kernel in kernels {
            compare(kernel.0, &scene.stream(kernel, &step, band), &expected);
        }
    }

    fn expected(&self, values: &[f32], residual: &[f32]) -> Vec<(f64, f64)> {
        let [oh, ow] = self.window.output;
        let mut expected = Vec::new();
        let tolerance = self.tolerance.as_ref().map(|tolerance| tolerance.all(values));
        for y in 0..oh {
            for x in 0..ow {
                let taps = self.window.taps(y, x);
                for o in 0..self.n {
                    let mut sum = Sum::new(self.bias[o]);
                    for &(tap, position) in &taps {
                        for (channel, weight) in (self.reads)(tap, o) {
                            sum.add(values[position * self.window.input[2] + channel], self.weights[weight]);
                        }
                    }
                    let (sum, of_sum) = sum.finish();
                    let tolerance = tolerance.as_ref().map_or(of_sum, |tolerance| tolerance[expected.len()]);
                    let value = activated(self.setting.activation, (sum, tolerance));
                    expected.push(match self.setting.residual {
                        Residual::None => value,
                        Residual::Own | Residual::Output => {
                            let residual = f64::from(residual[expected.len()]);
                            let sum = value.0 + residual;
                            activated(self.setting.after, (sum, value.1 + EPSILON * sum.abs()))
                        }
                    });
                }
            }
        }
        expected
    }
}

fn check_pointwise(map: [usize; 3], n: usize, setting: Setting) {
    let [height, width, k] = map;
    let window = Window {
        input: map,
        output: [height, width],
        kernel: [1; 2],
        stride: [1; 2],
        dilation: [1; 2],
        pad: [0; 4],
    };
    let (weights, bias) = (numbers(setting.seed + 2, k * n), numbers(setting.seed + 3, n));
    let reads = |_, o| (0..k).map(|c| (c, c * n + o)).collect();
    let case = Case {
        window,
        n,
        setting,
        weights: &weights,
        bias: &bias,
        reads: &reads,
        planes: false,
        tolerance: None,
    };
    let mut blob = Weights::default();
    let (at, bias) = (blob.push(&panels(&weights, n, 16)), blob.push(&panels(&bias, n, 16)));
    // Asking for weights changes nothing.
    let prefetch =
        Prefetch::new(at, if setting.seed.is_multiple_of(2) { 0 } else { k * n * size_of::<f32>() });
    case.check(&kernels!(gemm_f32_4x8, gemm_f32_6x16, gemm_f32_14x32), blob, |input, output, epilogue| {
        Pointwise { input, output, weights: at, bias, epilogue, prefetch }
    });
    if n % 16 == 8 {
        let mut blob = Weights::default();
        let (weights, bias) = (blob.push(&paired_panels(&weights, n)), blob.push(case.bias));
        let all = kernels!(gemm_f32_4x8, gemm_f32_6x16, gemm_f32_14x32_pairs);
        let paired: Vec<_> = all.into_iter().filter(|kernel| kernel.0.ends_with("_pairs")).collect();
        case.check(&paired, blob, |input, output, epilogue| Pointwise {
            input,
            output,
            weights,
            bias,
            epilogue,
            prefetch: Prefetch::NONE,
        });
    }
}

fn check_conv2d(window: Window, groups: usize, group: usize, setting: Setting) {
    let Window { input, kernel, stride, dilation, pad, .. } = window;
    let (depth, n) = (input[2] / groups, group * groups);
    let k = kernel[0] * kernel[1] * depth;
    let (weights, bias) = (numbers(setting.seed + 2, k * n), numbers(setting.seed + 3, n));
    let reads = |tap, o| {
        let read = |c| (o / group * depth + c, (tap * depth + c) * n + o);
        (0..depth).map(read).collect()
    };
    let mut case = Case {
        window,
        n,
        setting,
        weights: &weights,
        bias: &bias,
        reads: &reads,
        planes: false,
        tolerance: None,
    };
    let pad = [pad[0], pad[1]];
    let mut grouped = Weights::default();
    let at = [grouped.push(&weights), grouped.push(&bias)];
    case.check(&kernels!(conv2d_f32_grouped, conv2d_f32_grouped), grouped, |input, output, epilogue| {
        let [weights, bias] = at;
        Conv2d { input, output, kernel, stride, dilation, pad, groups, weights, bias, epilogue }
    });
    if groups == 1 || group.is_multiple_of(16) {
        let mut dense = Weights::default();
        let at = [dense.push(&panels(&weights, n, 16)), dense.push(&panels(&bias, n, 16))];
        let conv = |input, output, epilogue| {
            let [weights, bias] = at;
            Conv2d { input, output, kernel, stride, dilation, pad, groups, weights, bias, epilogue }
        };
        case.check(&kernels!(conv2d_f32_4x8, conv2d_f32_6x16, conv2d_f32_12x32), dense.clone(), conv);
        if k <= 256 {
            case.check(&kernels!(conv2d_f32_stem, conv2d_f32_stem), dense.clone(), conv);
        }
        if k <= 256 && groups == 1 {
            case.planes = true;
            let size = [input[2], input[0], input[1]];
            case.check(&kernels!(conv2d_f32_planar, conv2d_f32_planar), dense, |input, output, epilogue| {
                let ([weights, bias], input) = (at, input.place);
                PlanarConv2d { input, size, output, kernel, stride, dilation, pad, weights, bias, epilogue }
            });
        }
    }
}

fn check_winograd(window: Window, groups: usize, group: usize, setting: Setting) {
    let Window { input, output, kernel, stride, dilation, pad, .. } = window;
    let (depth, n) = (input[2] / groups, group * groups);
    let (weights, bias) = (numbers(setting.seed + 2, 9 * depth * n), numbers(setting.seed + 3, n));
    let reads = |tap, o| (0..depth).map(|c| (o / group * depth + c, (tap * depth + c) * n + o)).collect();
    let band = setting.band.min(output[0]);
    for side in [2, 4] {
        let tolerance =
            Tolerance { side, window, band, depth, n: [group, n], weights: &weights, bias: &bias };
        let tolerance = Some(tolerance);
        let case = Case {
            window,
            n,
            setting,
            weights: &weights,
            bias: &bias,
            reads: &reads,
            planes: false,
            tolerance,
        };
        let mut blob = Weights::default();
        let at = [blob.push(&packed(side, &weights, depth, n)), blob.push(&panels(&bias, n, 16))];
        let kernels = match side {
            2 => kernels!(conv2d_f32_winograd2, conv2d_f32_winograd2),
            _ => kernels!(conv2d_f32_winograd4, conv2d_f32_winograd4),
        };
        case.check(&kernels, blob, |input, output, epilogue| {
            let ([weights, bias], pad) = (at, [pad[0], pad[1]]);
            Conv2d { input, output, kernel, stride, dilation, pad, groups, weights, bias, epilogue }
        });
    }
}

fn check_depthwise(
    kernels: &[(usize, Kernel<Depthwise>)],
    window: Window,
    multiplier: usize,
    setting: Setting,
) {
    let Window { input, kernel, stride, dilation, pad, .. } = window;
    let n = input[2] * multiplier;
    let k = kernel[0] * kernel[1];
    let (weights, bias) = (numbers(setting.seed + 2, k * n), numbers(setting.seed + 3, n));
    let reads = |tap, o| vec![(o / multiplier, tap * n + o)];
    let case = Case {
        window,
        n,
        setting,
        weights: &weights,
        bias: &bias,
        reads: &reads,
        planes: false,
        tolerance: None,
    };
    let pad = [pad[0], pad[1]];
    for &(width, kernel_of_width) in kernels {
        let mut blob = Weights::default();
        let (weights, bias) = (blob.push(&panels(&weights, n, width)), blob.push(&panels(&bias, n, width)));
        case.check(&[kernel_of_width], blob, |input, output, epilogue| Depthwise {
            input,
            output,
            kernel,
            stride,
            dilation,
            pad,
            multiplier,
            weights,
            bias,
            epilogue,
        });
    }
}

/// Depthwise kernels with the width of their panels: 16 channels for AVX-512, else 8.
fn by_width(kernels: Vec<Kernel<Depthwise>>) -> Vec<(usize, Kernel<Depthwise>)> {
    let width = |name: &str| if name.starts_with("avx512") { 16 } else { 8 };
    kernels.into_iter().map(|kernel| (width(kernel.0), kernel)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pointwise(
        map in [1..=9usize, 1..=9, 1..=40],
        n in 1..=70usize,
        setting in settings(),
    ) {
        check_pointwise(map, n, setting);
    }

    #[test]
    fn pointwise_with_half_a_panel(
        map in [1..=9usize, 1..=9, 1..=40],
        panels in 0..=4usize,
        setting in settings(),
    ) {
        check_pointwise(map, panels * 16 + 8, setting);
    }

    #[test]
    fn pointwise_of_one_position(k in 1..=40usize, n in 1..=300usize, setting in settings()) {
        check_pointwise([1, 1, k], n, setting);
    }

    #[test]
    fn dense(window in windows(1..=9usize), n in 1..=40usize, setting in settings()) {
        check_conv2d(window, 1, n, setting);
    }

    #[test]
    fn dense_with_runs_longer_than_the_row_of_zeros(
        window in windows(200..=300usize),
        n in 1..=4usize,
        setting in settings(),
    ) {
        let [h, w, c] = window.input;
        prop_assume!(h * w * c * 8 <= 128 << 10);
        check_conv2d(window, 1, n, setting);
    }

    #[test]
    fn grouped(
        (groups, window) in (2..=4usize).prop_flat_map(|groups| {
            (Just(groups), windows((1..=4usize).prop_map(move |depth| depth * groups)))
        }),
        group in 1..=11usize,
        setting in settings(),
    ) {
        check_conv2d(window, groups, group, setting);
    }

    #[test]
    fn groups_that_fill_panels(
        (groups, window) in (2..=3usize).prop_flat_map(|groups| {
            (Just(groups), windows((1..=20usize).prop_map(move |depth| depth * groups)))
        }),
        panels in 1..=5usize,
        setting in settings(),
    ) {
        check_conv2d(window, groups, 16 * panels, setting);
    }

    #[test]
    fn winograd(window in threes(1..=40usize), n in 1..=40usize, setting in settings()) {
        check_winograd(window, 1, n, setting);
    }

    #[test]
    fn winograd_in_groups(
        (groups, window) in (2..=3usize).prop_flat_map(|groups| {
            (Just(groups), threes((1..=20usize).prop_map(move |depth| depth * groups)))
        }),
        panels in 1..=3usize,
        setting in settings(),
    ) {
        check_winograd(window, groups, 16 * panels, setting);
    }

    #[test]
    fn winograd_in_blocks_of_few_tiles(window in threes(200..=256usize), n in 1..=20usize, setting in settings()) {
        let [h, w, c] = window.input;
        prop_assume!(h * w * c * 8 <= 256 << 10);
        check_winograd(window, 1, n, setting);
    }

    #[test]
    fn depthwise_3x3(window in squares(3, 1..=36usize), setting in settings()) {
        let kernels = by_width(kernels!(dwconv2d_f32_9p8c, dwconv2d_f32_9p8c, dwconv2d_f32_9p16c));
        check_depthwise(&kernels, window, 1, setting);
    }

    #[test]
    fn depthwise_5x5(window in squares(5, 1..=36usize), setting in settings()) {
        let kernels = by_width(kernels!(dwconv2d_f32_25p8c, dwconv2d_f32_25p8c, dwconv2d_f32_25p16c));
        check_depthwise(&kernels, window, 1, setting);
    }

    #[test]
    fn depthwise_7x7(window in squares(7, 1..=36usize), setting in settings()) {
        let kernels = by_width(kernels!(dwconv2d_f32_49p8c, dwconv2d_f32_49p8c, dwconv2d_f32_49p16c));
        check_depthwise(&kernels, window, 1, setting);
    }

    #[test]
    fn depthwise_of_conflicting_positions(three in squares(3, 512..=512usize), five in squares(5, 512..=512usize), setting in settings()) {
        let kernels = by_width(kernels!(dwconv2d_f32_9p8c, dwconv2d_f32_9p8c, dwconv2d_f32_9p16c));
        check_depthwise(&kernels, three, 1, setting);
        let kernels = by_width(kernels!(dwconv2d_f32_25p8c, dwconv2d_f32_25p8c, dwconv2d_f32_25p16c));
        check_depthwise(&kernels, five, 1, setting);
    }

    #[test]
    fn depthwise(window in windows(1..=20usize), multiplier in 1..=3usize, setting in settings()) {
        let kernels = by_width(kernels!(dwconv2d_f32_generic, dwconv2d_f32_generic));
        check_depthwise(&kernels, window, multiplier, setting);
    }
}
