//! For tests of passes and fusions: small networks in a few lines, and the comparison of two graphs by
//! the reference interpreter.

use super::{Graph, NodeId};
use crate::fusions;
use crate::ops::Op;
use crate::ops::activation::{Activate, Activation};
use crate::ops::affine::Affine;
use crate::ops::binary::{Binary, BinaryOp};
use crate::ops::conv2d::Conv2d;
use crate::ops::dense::Dense;
use crate::ops::depthwise::Depthwise;
use crate::ops::epilogue::Epilogue;
use crate::ops::transpose::Transpose;
use crate::ops::window::Window;
use crate::passes;
use crate::reference::{Array, Data, run};
use crate::tensor::{Tensor, TensorType};

/// Numbers between −1 and 1, the same for the same seed.
pub fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A network under construction; operators that do not fit fail the test.
pub struct Net {
    /// The graph so far.
    pub graph: Graph,
    count: u64,
}

impl Net {
    /// An empty network.
    pub fn new() -> Self {
        Self { graph: Graph::new("test"), count: 0 }
    }

    /// A graph input.
    pub fn input(&mut self, shape: &[usize]) -> NodeId {
        let name = if self.graph.inputs().is_empty() { "x".to_owned() } else { self.fresh("x") };
        self.graph.add_input(name, TensorType::f32(shape))
    }

    /// A constant of arbitrary values.
    pub fn weights(&mut self, shape: &[usize]) -> NodeId {
        self.count += 1;
        let count = shape.iter().product();
        let tensor = Tensor::from_f32(shape, &values(self.count, count));
        self.graph.add_constant(format!("w{}", self.count), tensor)
    }

    /// A scalar constant.
    pub fn scalar(&mut self, value: f32) -> NodeId {
        self.graph.add_constant("scalar", Tensor::from_f32([], &[value]))
    }

    /// Any operator.
    pub fn op(&mut self, name: &str, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        let added = self.graph.add(name, op, operands);
        added.unwrap_or_else(|fault| panic!("{name}: {fault}"))
    }

    /// A function of two values.
    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        let name = self.fresh(&format!("{op:?}").to_lowercase());
        self.op(&name, Binary { op, activation: Activation::Identity }, &[a, b])
    }

    /// A function of a value and a scalar.
    pub fn with_scalar(&mut self, op: BinaryOp, a: NodeId, value: f32) -> NodeId {
        let scalar = self.scalar(value);
        self.binary(op, a, scalar)
    }

    /// An activation.
    pub fn activate(&mut self, activation: Activation, x: NodeId) -> NodeId {
        let name = self.fresh("act");
        self.op(&name, Activate { activation }, &[x])
    }

    /// A factor and a summand a channel.
    pub fn affine(&mut self, x: NodeId) -> NodeId {
        let channels = self.graph.ty(x).shape.last().copied().unwrap_or(1);
        let (scale, shift) = (self.weights(&[channels]), self.weights(&[channels]));
        let name = self.fresh("affine");
        self.op(&name, Affine { activation: Activation::Identity }, &[x, scale, shift])
    }

    /// A transpose.
    pub fn transpose(&mut self, x: NodeId, permutation: [usize; 4]) -> NodeId {
        let name = self.fresh("transpose");
        self.op(&name, Transpose { permutation: permutation.into() }, &[x])
    }

    /// A convolution of an NHWC map, without bias.
    pub fn conv(&mut self, x: NodeId, outputs: usize, kernel: usize, pad: usize) -> NodeId {
        let channels = self.graph.ty(x).shape[3];
        let weight = self.weights(&[outputs, kernel, kernel, channels]);
        let window = Window { kernel: [kernel; 2], pad: [pad; 4], ..Window::POINT };
        let name = self.fresh("conv");
        self.op(&name, Conv2d { window, groups: 1, epilogue: Epilogue::default() }, &[x, weight])
    }

    /// A 3×3 depthwise convolution of an NHWC map, with bias.
    pub fn depthwise(&mut self, x: NodeId, pad: usize) -> NodeId {
        let channels = self.graph.ty(x).shape[3];
        let (weight, bias) = (self.weights(&[3, 3, channels]), self.weights(&[channels]));
        let window = Window { kernel: [3; 2], pad: [pad; 4], ..Window::POINT };
        let name = self.fresh("depthwise");
        let op = Depthwise { window, multiplier: 1, epilogue: Epilogue::default() };
        self.op(&name, op, &[x, weight, bias])
    }

    /// A dense layer with bias.
    pub fn dense(&mut self, x: NodeId, outputs: usize) -> NodeId {
        let depth = self.graph.ty(x).shape.last().copied().unwrap_or(1);
        let (weight, bias) = (self.weights(&[depth, outputs]), self.weights(&[outputs]));
        let name = self.fresh("dense");
        self.op(&name, Dense { epilogue: Epilogue::default() }, &[x, weight, bias])
    }

    /// The network with that result.
    pub fn returns(mut self, value: NodeId) -> Graph {
        self.graph.add_output("y", value);
        self.graph
    }

    fn fresh(&mut self, name: &str) -> String {
        self.count += 1;
        format!("{name}{}", self.count)
    }
}

/// Fails unless two graphs of equal inputs compute the same on arbitrary inputs.
///
/// Both are evaluated in double precision, so they differ by what passes round to single precision:
/// constants, each by 2⁻²⁴ of itself. A network of a few layers, each a sum of some dozen terms of the
/// order of its largest value, then differs by less than 2⁻¹⁶ of the largest value anywhere.
#[track_caller]
pub fn assert_same(before: &Graph, after: &Graph) {
    let inputs: Vec<Array> = before.inputs().iter().enumerate().map(|(i, &n)| sample(before, n, i)).collect();
    let (expected, found) = (results(before, &inputs), results(after, &inputs));
    assert_eq!(expected.len(), found.len());
    for ((name, expected, largest), (_, found, _)) in expected.iter().zip(&found) {
        assert_eq!(expected.ty, found.ty, "{name}");
        for (i, (a, b)) in expected.to_floats().iter().zip(found.to_floats()).enumerate() {
            let tolerance = largest * 2.0_f64.powi(-16);
            assert!((a - b).abs() <= tolerance, "{name}[{i}]: {a} before, {b} after\n{}", after.text());
        }
    }
}

fn sample(graph: &Graph, input: NodeId, seed: usize) -> Array {
    let ty = graph.ty(input);
    let values = values(1000 + seed as u64, ty.elements());
    if ty.dtype.is_float() {
        Array::float(ty.shape.clone(), values.iter().map(|&v| 4.0 * f64::from(v)).collect())
    } else {
        Array::int(ty.dtype, ty.shape.clone(), values.iter().map(|&v| (v * 100.0) as i64).collect())
    }
}

/// Outputs by name, and the largest finite value that was met on the way.
fn results(graph: &Graph, inputs: &[Array]) -> Vec<(String, Array, f64)> {
    let trace = run(graph, inputs).unwrap_or_else(|fault| panic!("{fault}\n{}", graph.text()));
    let floats = trace.values().filter_map(|array| match &array.data {
        Data::Float(values) => Some(values),
        Data::Int(_) => None,
    });
    let largest = floats.flatten().filter(|v| v.is_finite()).fold(1.0_f64, |m, v| m.max(v.abs()));
    graph.outputs().iter().map(|(name, n)| (name.clone(), trace[n].clone(), largest)).collect()
}

/// The canonical form of a network, which computes the same.
#[track_caller]
pub fn canonical(before: &Graph) -> Graph {
    let mut after = before.clone();
    passes::canonicalize(&mut after).unwrap_or_else(|fault| panic!("{fault}\n{}", after.text()));
    assert_same(before, &after);
    after
}

/// What came of each candidate for a fusion, and the fused form of a network, which computes the same.
#[track_caller]
pub fn fused(before: &Graph) -> String {
    let mut after = before.clone();
    let notes = passes::canonicalize(&mut after).and_then(|mut notes| {
        notes.extend(fusions::fuse(&mut after)?);
        Ok(notes)
    });
    let notes = notes.unwrap_or_else(|fault| panic!("{fault}\n{}", after.text()));
    assert_same(before, &after);
    let lines: String = notes.iter().map(|note| format!("{note}\n")).collect();
    lines + &after.text()
}
