//! Attention of codes: both of its products are integer layers, between them softmax in real numbers by ONNX's rule
//! and of codes by the other. All targets give the same bytes, and ONNX Runtime the same codes within one.

use mobilec::driver::{self, Compiled, Options};
use mobilec::graph::Graph;
use mobilec::onnx::ImportOptions;
use mobilec::ops::quantization::Rounding;
use mobilec::tensor::Tensor;
use mobilec_tests::emitted::target;
use mobilec_tests::onnx::{F32, Model, U8, node, noise};
use mobilec_tests::oracle::Oracle;
use mobilec_tests::{batch, skip};
use std::path::Path;

/// Heads, positions, and numbers of each.
const HEADS: usize = 3;
const POSITIONS: usize = 21;
const DEPTH: usize = 10;
/// Numbers of a position.
const WIDTH: usize = HEADS * DEPTH;

/// A model that grows by quantised values.
struct Attention(Model);

impl Attention {
    /// Puts a pair of operators behind a value; its codes are `NAME_q`, and the real numbers `NAME_dq`.
    fn quantized(self, name: &str, scale: f32, zero_point: u8) -> Self {
        let given = format!("{name} {name}_scale {name}_zero");
        let codes = format!("{name}_q {name}_scale {name}_zero");
        Self(
            self.0
                .initializer(&format!("{name}_scale"), [], &[scale])
                .initializer(&format!("{name}_zero"), [], &[zero_point])
                .node(node("QuantizeLinear", &given, &format!("{name}_q")))
                .node(node("DequantizeLinear", &codes, &format!("{name}_dq"))),
        )
    }

    fn node(self, operator: &str, inputs: &str, output: &str) -> Self {
        Self(self.0.node(node(operator, inputs, output)))
    }

    /// A layer of `x`, then `[1, HEADS, POSITIONS, DEPTH]` or the dimensions in another order.
    fn heads(self, name: &str, seed: u32, order: [i64; 4]) -> Self {
        let codes: Vec<i8> = noise(seed, WIDTH * WIDTH).iter().map(|v| (v * 127.0) as i8).collect();
        let weight = format!("{name}_weight");
        let model = self
            .0
            .initializer(&weight, [WIDTH, WIDTH], &codes)
            .initializer(&format!("{weight}_scale"), [], &[0.008_f32])
            .initializer(&format!("{weight}_zero"), [], &[0_i8])
            .node(node(
                "DequantizeLinear",
                &format!("{weight} {weight}_scale {weight}_zero"),
                &format!("{weight}_dq"),
            ))
            .node(node("MatMul", &format!("x_dq {weight}_dq"), name));
        let (rows, real) = (format!("{name}_rows"), format!("{name}_dq"));
        let mut model =
            Self(model).quantized(name, 0.04, 120).node("Reshape", &format!("{real} split"), &rows);
        model.0 = model.0.node(node("Transpose", &rows, &format!("{name}_heads")).ints("perm", &order));
        model
    }

    /// `softmax(q · kᵀ / √d) · v`; outputs are the codes of the scores, the shares and the result.
    fn network() -> Model {
        let model = Model::new()
            .input("x", F32, [1, POSITIONS, WIDTH])
            .initializer("split", [4], &[1, POSITIONS as i64, HEADS as i64, DEPTH as i64])
            .initializer("joined", [3], &[1, POSITIONS as i64, WIDTH as i64])
            .initializer("root", [], &[(DEPTH as f32).sqrt()]);
        let model = Self(model)
            .quantized("x", 1.0 / 127.0, 128)
            .heads("query", 1, [0, 2, 1, 3])
            .heads("key", 2, [0, 2, 3, 1])
            .heads("value", 3, [0, 2, 1, 3])
            .node("MatMul", "query_heads key_heads", "product")
            .node("Div", "product root", "scores")
            .quantized("scores", 0.07, 131)
            .node("Softmax", "scores_dq", "shares")
            .quantized("shares", 1.0 / 256.0, 0)
            .node("MatMul", "shares_dq value_heads", "mixed")
            .quantized("mixed", 0.03, 117);
        let model = model.0.node(node("Transpose", "mixed_dq", "positions").ints("perm", &[0, 2, 1, 3]));
        Self(model)
            .node("Reshape", "positions joined", "y")
            .quantized("y", 0.03, 117)
            .0
            .typed_output("scores_q", U8, [1, HEADS, POSITIONS, POSITIONS])
            .typed_output("shares_q", U8, [1, HEADS, POSITIONS, POSITIONS])
            .typed_output("y_q", U8, [1, POSITIONS, WIDTH])
    }
}

fn compiled(model: &Model, on: &str, rounding: Rounding, number: usize) -> Compiled {
    let model = driver::Model::onnx("attention.onnx", model.bytes().into(), ImportOptions::default());
    let options = Options { rounding, ..Options::new(target(on), format!("net{number}")) };
    driver::compile(&model, &options).unwrap_or_else(|error| panic!("{error}"))
}

fn input() -> Tensor {
    Tensor::from_f32([1, POSITIONS, WIDTH], &noise(7, POSITIONS * WIDTH))
}

/// The bytes of all outputs, for both rules.
fn outputs(name: &str, on: &str) -> Vec<Vec<u8>> {
    let model = Attention::network();
    let cases = [Rounding::Onnx, Rounding::Tflite].iter().enumerate();
    let cases: Vec<(Compiled, Vec<u8>)> =
        cases.map(|(at, &rounding)| (compiled(&model, on, rounding, at), input().bytes().to_vec())).collect();
    let all = format!("attention-{name}");
    if on == "x86-64-avx512" { batch::run_on_avx512(&all, &cases) } else { batch::run(&all, &cases) }
}

/// Operators of a graph, without their operands.
fn operators(graph: &Graph) -> Vec<String> {
    graph.order().into_iter().map(|id| graph.op(id).describe()).collect()
}

#[test]
fn what_stands_between_the_products_moves_codes() {
    let graph = Attention::network().import().graph;
    let (fused, _) = driver::optimize(&graph).unwrap_or_else(|error| panic!("{error}"));
    let operators = operators(&fused);
    let is = |what: &str| operators.iter().filter(|operator| operator.starts_with(what)).count();
    assert_eq!((is("int8 matmul"), is("int8 conv2d"), is("matmul")), (2, 3, 0), "{operators:#?}");
    // Of the input and of softmax.
    assert_eq!((is("quantize"), is("dequantize")), (2, 1), "{operators:#?}");
}

#[test]
fn all_targets_give_the_same_bytes() {
    let portable = outputs("portable", "portable");
    if std::env::consts::ARCH == "x86_64" {
        assert!(outputs("avx2", "x86-64-avx2") == portable);
        assert!(outputs("avx512", "x86-64-avx512") == portable);
    }
}

#[test]
fn onnx_runtime_gives_the_same_codes_within_one() {
    let name = "attention";
    let Some(mut oracle) = Oracle::start(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)) else {
        return skip(name, "MOBILEC_PYTHON names no Python with ONNX Runtime");
    };
    let expected =
        oracle.literal(&Attention::network().bytes(), &input()).unwrap_or_else(|why| panic!("{why}"));
    let expected: Vec<u8> = expected.iter().flat_map(|tensor| tensor.bytes().to_vec()).collect();
    let found = outputs("oracle", "portable").remove(0);
    assert_eq!(found.len(), expected.len());
    let apart: Vec<u8> = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).collect();
    assert!(apart.iter().all(|&codes| codes <= 1));
    // Real numbers and sums of integers are rounded apart where they lie halfway between two codes.
    let different = apart.iter().filter(|&&codes| codes > 0).count();
    assert!(different * 100 <= apart.len(), "{different} of {}", apart.len());
}
