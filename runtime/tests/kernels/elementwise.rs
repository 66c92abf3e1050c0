//! Activations by themselves, sums of maps, factors of channels.

use crate::kernels;
use crate::reference::{EPSILON, activated, activations};
use crate::scene::{Layout, Operand, Scene, Weights, compare, numbers, same};
use mobilec_runtime::steps::{Activate, Activation, BinaryOp, ChannelAffine, ChannelScale, Combine};
use proptest::prelude::*;

/// Shape, band, rows that each ring holds beyond a band, seed.
type Frame = ([usize; 3], usize, [usize; 3], u64);

fn frames() -> impl Strategy<Value = Frame> {
    ([1..=9usize, 1..=9, 1..=20], 1..=9usize, [0..=3usize, 0..=3, 0..=3], any::<u64>())
        .prop_map(|(shape, band, spare, seed)| (shape, band.min(shape[0]), spare, seed))
}

/// Numbers up to ±10, where every activation has left its linear part.
fn wide(seed: u64, len: usize) -> Vec<f32> {
    numbers(seed, len).iter().map(|value| value * 10.0).collect()
}

fn check_activate((shape, band, spare, seed): Frame, in_place: bool, activation: Activation) {
    let mut layout = Layout::default();
    let input = layout.map(shape, (band + spare[0]).min(shape[0]));
    let output = if in_place { input } else { layout.map(shape, (band + spare[1]).min(shape[0])) };
    let values = wide(seed, shape.iter().product());
    let expected: Vec<_> = values.iter().map(|&x| activated(activation, (x.into(), 0.0))).collect();
    let operand = Operand { map: input, values: &values, needs: &same };
    let mut scene = Scene::new(Weights::default(), vec![operand], output);
    for kernel in &kernels!(activate_f32, activate_f32) {
        let step = Activate { input, output, activation };
        compare(kernel.0, &scene.stream(kernel, &step, band), &expected);
    }
}

/// Value and tolerance; the power is two units off at most, all others are rounded once.
fn combined(op: BinaryOp, a: f32, b: f32) -> (f64, f64) {
    let (a, b) = (f64::from(a), f64::from(b));
    let value = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Mod => a - b * (a / b).floor(),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => f64::NAN,
    };
    (value, 2.0 * EPSILON * value.abs())
}

#[derive(Clone, Copy, Debug)]
enum Over {
    A,
    B,
    Neither,
}

fn check_combine((shape, band, spare, seed): Frame, over: Over, op: BinaryOp, activation: Activation) {
    let mut layout = Layout::default();
    let a = layout.map(shape, (band + spare[0]).min(shape[0]));
    let b = layout.map(shape, (band + spare[1]).min(shape[0]));
    let output = match over {
        Over::A => a,
        Over::B => b,
        Over::Neither => layout.map(shape, (band + spare[2]).min(shape[0])),
    };
    let len = shape.iter().product();
    let mut values = [numbers(seed, len), numbers(seed + 1, len)];
    if op == BinaryOp::Pow {
        values[0].iter_mut().for_each(|base| *base = base.abs());
    }
    let pairs = values[0].iter().zip(&values[1]);
    let expected: Vec<_> = pairs.map(|(&a, &b)| activated(activation, combined(op, a, b))).collect();
    let operands = vec![
        Operand { map: a, values: &values[0], needs: &same },
        Operand { map: b, values: &values[1], needs: &same },
    ];
    let mut scene = Scene::new(Weights::default(), operands, output);
    for kernel in &kernels!(combine_f32, combine_f32) {
        let step = Combine { a, b, output, op, activation };
        compare(kernel.0, &scene.stream(kernel, &step, band), &expected);
    }
}

fn check_channels((shape, band, spare, seed): Frame, in_place: bool, activation: Activation) {
    let mut layout = Layout::default();
    let input = layout.map(shape, (band + spare[0]).min(shape[0]));
    let scale = layout.map([1, 1, shape[2]], 1);
    let output = if in_place { input } else { layout.map(shape, (band + spare[1]).min(shape[0])) };
    let values = numbers(seed, shape.iter().product());
    let (factors, summands) = (wide(seed + 1, shape[2]), wide(seed + 2, shape[2]));
    let expected = |shift: f64| -> Vec<_> {
        let element = |(i, &x): (usize, &f32)| {
            let channel = i % shape[2];
            let product = f64::from(x) * f64::from(factors[channel]);
            let value = product + shift * f64::from(summands[channel]);
            activated(activation, (value, EPSILON * (product.abs() + value.abs())))
        };
        values.iter().enumerate().map(element).collect()
    };
    let mut weights = Weights::default();
    let at = [weights.push(&factors), weights.push(&summands)];
    let first = |_| 0..1;
    let operands = vec![
        Operand { map: input, values: &values, needs: &same },
        Operand { map: scale, values: &factors, needs: &first },
    ];
    let mut scene = Scene::new(weights, operands, output);
    for kernel in &kernels!(channel_scale_f32, channel_scale_f32) {
        let step = ChannelScale { input, scale, output, activation };
        compare(kernel.0, &scene.stream(kernel, &step, band), &expected(0.0));
    }
    for kernel in &kernels!(channel_affine_f32, channel_affine_f32) {
        let step = ChannelAffine { input, output, scale: at[0], shift: at[1], activation };
        compare(kernel.0, &scene.stream(kernel, &step, band), &expected(1.0));
    }
}

fn operations() -> impl Strategy<Value = BinaryOp> {
    prop::sample::select(vec![
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Min,
        BinaryOp::Max,
        BinaryOp::Pow,
        BinaryOp::Mod,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn activate(frame in frames(), in_place: bool, activation in activations()) {
        check_activate(frame, in_place, activation);
    }

    #[test]
    fn combine(
        frame in frames(),
        over in prop::sample::select(vec![Over::A, Over::B, Over::Neither]),
        op in operations(),
        activation in activations(),
    ) {
        check_combine(frame, over, op, activation);
    }

    #[test]
    fn channels(frame in frames(), in_place: bool, activation in activations()) {
        check_channels(frame, in_place, activation);
    }
}
