//! Pooling over windows and over whole maps.

use crate::kernels;
use crate::reference::{Window, pool, windows};
use crate::scene::{Layout, Operand, Scene, Weights, compare, numbers, same};
use mobilec_runtime::steps::{GlobalPool, Pool2d, Pooling};
use proptest::prelude::*;

fn check_window(window: Window, pooling: Pooling, band: usize, spare: [usize; 2], seed: u64) {
    let Window { input: [height, _, c], output: [oh, ow], kernel, stride, dilation, pad } = window;
    let band = band.min(oh);
    let needed = (0..oh).step_by(band).map(|y| window.rows(y..oh.min(y + band)).len()).max();
    let mut layout = Layout::default();
    let input = layout.map(window.input, (needed.unwrap_or(0) + spare[0]).clamp(1, height));
    let output = layout.map([oh, ow, c], (band + spare[1]).min(oh));
    let values = numbers(seed, window.input.iter().product());
    let mut expected = Vec::new();
    for y in 0..oh {
        for x in 0..ow {
            let taps = window.taps(y, x);
            let positions = match pooling {
                Pooling::Max | Pooling::Average => taps.len(),
                Pooling::AveragePadded => window.padded_taps(y, x),
            };
            for channel in 0..c {
                let window: Vec<_> =
                    taps.iter().map(|&(_, position)| values[position * c + channel]).collect();
                expected.push(pool(pooling, &window, positions));
            }
        }
    }
    let needs = |rows| window.rows(rows);
    let operand = Operand { map: input, values: &values, needs: &needs };
    let mut scene = Scene::new(Weights::default(), vec![operand], output);
    for entry in &kernels!(pool2d_f32, pool2d_f32) {
        let step = Pool2d { input, output, kernel, stride, dilation, pad, pooling };
        compare(entry.0, &scene.stream(entry, &step, band), &expected);
    }
}

fn check_global(shape: [usize; 3], max: bool, band: usize, spare: usize, seed: u64) {
    let [height, width, c] = shape;
    let mut layout = Layout::default();
    let input = layout.map(shape, (band + spare).min(height));
    let output = layout.map([1, 1, c], 1);
    let values = numbers(seed, shape.iter().product());
    let pooling = if max { Pooling::Max } else { Pooling::Average };
    let channel = |channel: usize| values.iter().copied().skip(channel).step_by(c).collect::<Vec<_>>();
    let expected: Vec<_> = (0..c).map(|c| pool(pooling, &channel(c), height * width)).collect();
    let operand = Operand { map: input, values: &values, needs: &same };
    let mut scene = Scene::new(Weights::default(), vec![operand], output);
    for kernel in &kernels!(global_pool_f32, global_pool_f32) {
        let step = GlobalPool { input, output, max };
        compare(kernel.0, &scene.accumulate(kernel, &step, height, band.min(height)), &expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_of_any_shape(
        window in windows(1..=20usize),
        pooling in prop::sample::select(vec![Pooling::Max, Pooling::Average, Pooling::AveragePadded]),
        band in 1..=12usize,
        spare in [0..=3usize, 0..=3],
        seed: u64,
    ) {
        check_window(window, pooling, band, spare, seed);
    }

    #[test]
    fn whole_maps(
        shape in [1..=9usize, 1..=9, 1..=70],
        max: bool,
        band in 1..=9usize,
        spare in 0..=3usize,
        seed: u64,
    ) {
        check_global(shape, max, band, spare, seed);
    }
}
