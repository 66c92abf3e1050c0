//! No step, however wrong, panics, hangs or leaves the memory: kernels run on steps of arbitrary numbers,
//! most of them small, in a build with overflow checks.

use super::testing::Rig;
use super::*;
use crate::kernels::vector::{Lanes, Portable};
use crate::memory::Memory;
use crate::steps::*;
use core::cell::Cell;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
extern crate std;
use std::vec::Vec;

/// Numbers for the fields of a step.
struct Draw(std::vec::IntoIter<u64>);

impl Draw {
    fn number(&mut self) -> u64 {
        self.0.next().unwrap_or(1)
    }

    fn size(&mut self) -> usize {
        let x = self.number();
        let rest = (x >> 4) as usize;
        match x % 16 {
            0..=11 => 1 + rest % 4,
            12 => 0,
            13 => rest % 70_000,
            14 => usize::MAX - rest % 3,
            _ => rest,
        }
    }

    fn stride(&mut self) -> isize {
        let size = self.size().cast_signed();
        if self.number().is_multiple_of(2) { size } else { size.wrapping_neg() }
    }

    fn place(&mut self) -> Place {
        let x = self.number();
        let at = if x.is_multiple_of(8) { self.size() } else { (x >> 8) as usize % 8_750 * 8 };
        match x >> 3 & 7 {
            0 => Place::Weights(at),
            1 => Place::Input(0, at),
            2 => Place::Input(self.size(), at),
            _ => Place::Arena(at),
        }
    }

    fn map(&mut self) -> Map {
        let side = |draw: &mut Self| {
            if draw.number().is_multiple_of(16) { draw.size() } else { draw.pick([1, 2, 4]) }
        };
        let (height, width, channels) = (side(self), side(self), side(self));
        let rows = if self.number().is_multiple_of(8) { self.size() } else { height };
        Map { place: self.place(), height, width, channels, rows }
    }

    /// Most maps are of one shape, so that steps fit.
    fn map_like(&mut self, map: Map) -> Map {
        if self.number().is_multiple_of(8) { self.map() } else { Map { place: self.place(), ..map } }
    }

    fn codes(&mut self) -> Codes {
        let zero_point = self.pick([0, 0, 0, 3, 3, 127, 127, 0, 0, -128, 300, i32::MIN]);
        Codes { signed: self.pick([false, true]), zero_point }
    }

    fn requantize(&mut self) -> Requantize {
        Requantize {
            rounding: self.pick([Rounding::Onnx, Rounding::Tflite]),
            codes: self.codes(),
            range: self.pick([
                [0, 127],
                [0, 100],
                [1, 2],
                [0, 3],
                [0, 127],
                [-128, 127],
                [5, 3],
                [i32::MIN, i32::MAX],
            ]),
        }
    }

    fn offset(&mut self) -> usize {
        if self.number().is_multiple_of(8) { self.size() } else { 24 + self.size() % 4 * 8 }
    }

    fn sizes<const N: usize>(&mut self) -> [usize; N] {
        core::array::from_fn(|_| self.size())
    }

    fn strides(&mut self) -> [isize; 6] {
        core::array::from_fn(|_| self.stride())
    }

    fn pick<T: core::marker::Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.number() as usize % N]
    }

    fn element(&mut self) -> Element {
        use Element::*;
        self.pick([F32, I8, U8, I32, I64, Bool])
    }
}

/// Runs a kernel on steps that `step` draws, of which some must fit the memory.
fn check<S: core::fmt::Debug>(step: fn(&mut Draw) -> S, run: fn(&mut Memory<'_>, &S) -> Option<()>) {
    let numbers = proptest::collection::vec(any::<u64>(), 60);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) };
    let mut rig = Rig::new();
    rig.constants(&[3_i32; 64]);
    rig.input(&[1.0_f32; 64]);
    let executed = Cell::new(0);
    // The same steps each time, so that the number of those that fit is no matter of luck.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let result = TestRunner::new_with_rng(config, rng).run(&numbers, |numbers: Vec<u64>| {
        let step = step(&mut Draw(numbers.into_iter()));
        executed.update(|count| count + u32::from(rig.executes(|memory| run(memory, &step))));
        Ok(())
    });
    result.unwrap();
    assert!(executed.get() >= 20, "only {} of the steps fit", executed.get());
}

#[test]
fn element_by_element() {
    use {BinaryOp::*, CompareOp::*, UnaryOp::*};
    let unary = |draw: &mut Draw| Unary {
        input: draw.place(),
        output: draw.place(),
        len: draw.size(),
        op: draw.pick([Abs, Sqrt, Exp, Sin, Not]),
    };
    check(unary, unary::run_f32);
    check(unary, unary::run_i64);
    let binary = |draw: &mut Draw| Binary {
        a: draw.place(),
        b: draw.place(),
        output: draw.place(),
        shape: draw.sizes(),
        a_strides: draw.strides(),
        b_strides: draw.strides(),
        op: draw.pick([Add, Div, Pow, Mod, And]),
    };
    check(binary, binary::run_f32);
    check(binary, binary::run_i32);
    let compare = |draw: &mut Draw| Compare {
        a: draw.place(),
        b: draw.place(),
        output: draw.place(),
        shape: draw.sizes(),
        a_strides: draw.strides(),
        b_strides: draw.strides(),
        op: draw.pick([Equal, Less]),
    };
    check(compare, compare::run::<f32>);
    let select = |draw: &mut Draw| Select {
        condition: draw.place(),
        a: draw.place(),
        b: draw.place(),
        output: draw.place(),
        shape: draw.sizes(),
        condition_strides: draw.strides(),
        a_strides: draw.strides(),
        b_strides: draw.strides(),
    };
    check(select, select::run::<i32>);
}

#[test]
fn conversions() {
    let cast = |draw: &mut Draw| {
        let input = draw.map();
        let output =
            if draw.number().is_multiple_of(8) { draw.map() } else { Map { place: draw.place(), ..input } };
        Cast { input, output, from: draw.element(), to: draw.element() }
    };
    check(cast, |memory, step| cast::run(memory, step, 0..step.output.height.min(4)));
    let quantize = |draw: &mut Draw| Quantize {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        channels: draw.size(),
        inner: draw.size(),
        scale: draw.offset(),
        zero_point: draw.offset(),
        to: draw.element(),
    };
    check(quantize, quantize::run);
    let dequantize = |draw: &mut Draw| Dequantize {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        channels: draw.size(),
        inner: draw.size(),
        scale: draw.offset(),
        zero_point: draw.offset(),
        from: draw.element(),
    };
    check(dequantize, dequantize::run);
}

#[test]
fn along_an_axis() {
    use ReduceOp::*;
    let reduce = |draw: &mut Draw| Reduce {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        len: draw.size(),
        inner: draw.size(),
        op: draw.pick([Sum, Mean, Max, Product]),
    };
    check(reduce, reduce::run_f32);
    check(reduce, reduce::run_i8);
    let arg_reduce = |draw: &mut Draw| ArgReduce {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        len: draw.size(),
        inner: draw.size(),
        min: draw.pick([false, true]),
        last: draw.pick([false, true]),
    };
    check(arg_reduce, arg_reduce::run::<u8>);
    let softmax = |draw: &mut Draw| Softmax {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        len: draw.size(),
        inner: draw.size(),
        log: draw.pick([false, true]),
    };
    check(softmax, |memory, step| softmax::run(memory, step, softmax::row));
    let layer_norm = |draw: &mut Draw| LayerNorm {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        len: draw.size(),
        epsilon: 0.0,
        scale: draw.offset(),
        shift: draw.offset(),
    };
    check(layer_norm, layer_norm::run);
}

#[test]
fn moves() {
    let copy = |draw: &mut Draw| Copy {
        input: draw.place(),
        output: draw.place(),
        shape: draw.sizes(),
        input_strides: draw.strides(),
        output_strides: draw.strides(),
    };
    check(copy, copy::run::<i32>);
    let fill = |draw: &mut Draw| Fill { output: draw.place(), len: draw.size(), value: draw.offset() };
    check(fill, fill::run::<i32>);
    let gather = |draw: &mut Draw| Gather {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        len: draw.size(),
        count: draw.size(),
        inner: draw.size(),
        indices: draw.offset(),
    };
    check(gather, gather::run::<u8>);
    let interpolate = |draw: &mut Draw| Interpolate {
        input: draw.place(),
        output: draw.place(),
        outer: draw.size(),
        len: draw.size(),
        count: draw.size(),
        inner: draw.size(),
        table: draw.offset(),
    };
    check(interpolate, interpolate::run);
}

#[test]
fn products() {
    let matmul = |draw: &mut Draw| MatMul {
        a: draw.place(),
        b: draw.place(),
        output: draw.place(),
        batch: draw.sizes(),
        a_strides: draw.sizes(),
        b_strides: draw.sizes(),
        m: draw.size(),
        n: draw.size(),
        k: draw.size(),
    };
    check(matmul, |memory, step| matmul::run::<Lanes<4>>(Portable, memory, step));
    let conv = |draw: &mut Draw| ConvTranspose2d {
        input: draw.map(),
        output: draw.map(),
        kernel: [draw.pick([1, 1, 2, usize::MAX]), draw.pick([1, 2])],
        stride: [draw.pick([1, 2, usize::MAX]), draw.size()],
        dilation: [draw.pick([1, 2, usize::MAX]), draw.size()],
        pad: [draw.pick([0, 1, usize::MAX]), draw.size()],
        groups: draw.pick([1, 1, 2, 0]),
        weights: draw.offset(),
        bias: draw.offset(),
        activation: Activation::Identity,
    };
    check(conv, conv_transpose::run);
}

#[test]
fn codes() {
    let conv = |draw: &mut Draw| QuantizedConv2d {
        input: draw.map(),
        output: draw.map(),
        kernel: [draw.pick([1, 1, 1, 2, 2, 2, usize::MAX]), draw.pick([1, 2])],
        stride: [draw.pick([1, 1, 1, 2, 2, usize::MAX]), draw.pick([1, 2])],
        dilation: [draw.pick([1, 1, 1, 2, 2, usize::MAX]), 1],
        pad: [draw.pick([0, 0, 1, 1, usize::MAX]), draw.pick([0, 1])],
        groups: draw.pick([1, 1, 1, 1, 2, 0]),
        wide: draw.pick([false, true]),
        weights: draw.offset(),
        bias: draw.offset(),
        multipliers: draw.offset(),
        shifts: draw.offset(),
        codes: draw.codes(),
        requantize: draw.requantize(),
    };
    check(conv, |memory, step| quantized::conv2d::run::<i8>(memory, step, 0..step.output.height.min(4)));
    let depthwise = |draw: &mut Draw| {
        let input = draw.map();
        QuantizedDepthwise {
            input,
            output: draw.map_like(input),
            kernel: [draw.pick([1, 1, 1, 2, 2, 2, usize::MAX]), draw.pick([1, 2])],
            stride: [draw.pick([1, 1, 1, 2, 2, usize::MAX]), draw.pick([1, 2])],
            dilation: [draw.pick([1, 1, 1, 2, 2, usize::MAX]), 1],
            pad: [draw.pick([0, 0, 1, 1, usize::MAX]), draw.pick([0, 1])],
            multiplier: draw.pick([1, 1, 1, 2, 0]),
            wide: draw.pick([false, true]),
            weights: draw.offset(),
            bias: draw.offset(),
            multipliers: draw.offset(),
            shifts: draw.offset(),
            codes: draw.codes(),
            requantize: draw.requantize(),
        }
    };
    check(depthwise, |memory, step| {
        quantized::depthwise::run::<i16>(memory, step, 0..step.output.height.min(4))
    });
    let combine = |draw: &mut Draw| {
        let a = draw.map();
        QuantizedCombine {
            a,
            b: draw.map_like(a),
            output: draw.map_like(a),
            product: draw.pick([false, true]),
            multipliers: draw.offset(),
            shifts: draw.offset(),
            a_codes: draw.codes(),
            b_codes: draw.codes(),
            requantize: draw.requantize(),
        }
    };
    check(combine, |memory, step| quantized::combine::run(memory, step, 0..step.output.height.min(4)));
    let pool = |draw: &mut Draw| {
        let input = draw.map();
        QuantizedPool2d {
            input,
            output: draw.map_like(input),
            kernel: [draw.pick([1, 1, 1, 2, 2, 2, usize::MAX]), draw.pick([1, 2])],
            stride: [draw.pick([1, 1, 1, 2, 2, usize::MAX]), draw.pick([1, 2])],
            dilation: [draw.pick([1, 1, 1, 2, 2, usize::MAX]), 1],
            pad: [draw.pick([0, 0, 1, 1, usize::MAX]), draw.pick([0, 1]), draw.size(), draw.size()],
            pooling: draw.pick([Pooling::Max, Pooling::Average, Pooling::AveragePadded]),
            ratio: draw.pick([1.0, 0.0, f32::NAN, f32::INFINITY]),
            codes: draw.codes(),
            requantize: draw.requantize(),
        }
    };
    check(pool, |memory, step| quantized::pool::run::<8>(memory, step, 0..step.output.height.min(4)));
    let lookup = |draw: &mut Draw| {
        let input = draw.map();
        Lookup { input, output: draw.map_like(input), table: draw.pick([0, 8, 16, 600]) }
    };
    check(lookup, |memory, step| quantized::lookup::run(memory, step, 0..step.output.height.min(4)));
    let softmax = |draw: &mut Draw| QuantizedSoftmax {
        input: draw.place(),
        output: draw.place(),
        rows: draw.size(),
        len: draw.size(),
        factor: draw.pick([1 << 30, 0, i32::MAX, i32::MIN]),
        shift: draw.pick([0, 5, 31, u32::MAX]),
        least: draw.pick([-100, 0, i32::MIN]),
        signed: draw.pick([false, true]),
    };
    check(softmax, quantized::softmax::run);
    let matmul = |draw: &mut Draw| QuantizedMatMul {
        a: draw.place(),
        b: draw.place(),
        output: draw.place(),
        batch: draw.sizes(),
        a_strides: draw.sizes(),
        b_strides: draw.sizes(),
        m: draw.size(),
        n: draw.size(),
        k: draw.size(),
        multipliers: draw.offset(),
        shifts: draw.offset(),
        a_codes: draw.codes(),
        b_codes: draw.codes(),
        requantize: draw.requantize(),
    };
    check(matmul, quantized::matmul::run);
}
