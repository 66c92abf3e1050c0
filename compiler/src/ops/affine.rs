//! A factor and a summand per channel of the last axis: `y[.., c] = activation(x[.., c] · a[c] + b[c])`.
//!
//! ONNX's `BatchNormalization` is read here: with constant parameters it is
//! `a = gamma / √(variance + epsilon)`, `b = beta − mean · a`, computed in double precision.

use super::{Operator, compose, epilogue, expect};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::activation::Activation;
use crate::ops::binary::BinaryOp;
use crate::ops::unary::UnaryOp;
use crate::plan::request::{Arg, MapShape, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, Tensor, TensorType};
use mobilec_targets::{Family, Shape};

/// `BatchNormalization`.
pub const ONNX: &[Spelling] = &[("BatchNormalization", import)];

/// A factor and a summand per channel. Operands: input `[.., C]`, scale `[C]`, shift `[C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Applied to the result.
    pub activation: Activation,
}

impl Operator for Affine {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        expect::floats("an affine map", operands, 3..=3)?;
        let input = &operands[0];
        let channels = input.shape.last().filter(|&&c| c > 0);
        let Some(&channels) = channels else {
            return Err(Fault::model(format!("an affine map of {input}, which has no channels")));
        };
        expect::shape("an affine map", "the scale", &operands[1], &[channels])?;
        expect::shape("an affine map", "the shift", &operands[2], &[channels])?;
        Ok(input.clone())
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (scale, shift) = (operands[1].floats(), operands[2].floats());
        let mut values = operands[0].floats().to_vec();
        for pixel in values.chunks_exact_mut(scale.len()) {
            let triples = pixel.iter_mut().zip(scale).zip(shift);
            triples.for_each(|((x, a), b)| *x = self.activation.apply(*x * a + b));
        }
        Array { ty: ty.clone(), data: Data::Float(values) }
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("affine{}", self.activation.suffix())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let scale = epilogue::channels(site.constant(1, "the scale of an affine map")?.to_f32());
        let shift = epilogue::channels(site.constant(2, "the shift of an affine map")?.to_f32());
        let map = MapShape::pixels(&site.output.shape);
        Ok(vec![Request {
            family: Family::ChannelAffine,
            dtype: DType::F32,
            shape: Shape { width: map.width, ..Shape::new(map.height * map.width, map.channels, 1) },
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), map)),
                ("output", Arg::Map(Operand::Output, map)),
                ("scale", scale),
                ("shift", shift),
                ("activation", Arg::Activation(self.activation)),
            ],
            rows: Rows::SAME,
            in_place: true,
        }])
    }
}

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    if call.attributes.int_or("training_mode", 0)? != 0 {
        return Err(Fault::unsupported("BatchNormalization with training_mode = 1")
            .help("export the model in evaluation mode"));
    }
    if call.attributes.int_or("spatial", 1)? == 0 {
        return Err(Fault::unsupported("BatchNormalization with spatial = 0: statistics per element"));
    }
    let input = call.input(0)?;
    let ty = call.ty(input);
    let &[_, channels, ..] = &ty.shape[..] else {
        return Err(Fault::model(format!("BatchNormalization of {ty}; it takes [N,C,..]")));
    };
    let mut parameters = Vec::new();
    for (position, what) in (1..).zip(["the scale", "the bias", "the mean", "the variance"]) {
        let parameter = call.input(position)?;
        expect::shape("BatchNormalization", what, &call.ty(parameter), &[channels])?;
        parameters.push(parameter);
    }
    let epsilon = call.attributes.float_or("epsilon", 1e-5)?;
    let constants: Option<Vec<Tensor>> =
        parameters.iter().map(|&value| call.graph.tensor(value).cloned()).collect();
    match constants {
        Some(constants) => Ok(vec![normalise(call, input, &constants, f64::from(epsilon))?]),
        None => Ok(vec![compute(call, input, &parameters, f64::from(epsilon))?]),
    }
}

/// By constants: channels to the last axis, an affine map, and back.
fn normalise(call: &mut Call<'_>, input: NodeId, constants: &[Tensor], epsilon: f64) -> Result<NodeId, Fault> {
    let values: Vec<Vec<f64>> = constants.iter().map(Tensor::to_f64).collect();
    let [gamma, beta, mean, variance] = &values[..] else {
        return Err(Fault::bug("a batch-norm has four parameters"));
    };
    let scale: Vec<f64> = gamma.iter().zip(variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
    let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    let [scale, shift] = [scale, shift]
        .map(|values| call.emit_constant(Tensor::from(&Array::float([values.len()], values))));
    let rank = call.ty(input).rank();
    let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    let back: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let pixels = compose::transpose(call, input, last)?;
    let result = call.emit(Affine { activation: Activation::Identity }, &[pixels, scale, shift])?;
    compose::transpose(call, result, back)
}

/// By computed parameters: `(x − mean) / √(variance + epsilon) · gamma + beta`.
fn compute(call: &mut Call<'_>, x: NodeId, parameters: &[NodeId], epsilon: f64) -> Result<NodeId, Fault> {
    let ty = call.ty(x);
    let mut shape = vec![1; ty.rank() - 1];
    shape[0] = ty.shape[1];
    let mut wide = Vec::new();
    for &parameter in parameters {
        wide.push(compose::reshape(call, parameter, shape.clone())?);
    }
    let &[gamma, beta, mean, variance] = &wide[..] else {
        return Err(Fault::bug("a batch-norm has four parameters"));
    };
    let variance = compose::with_scalar(call, BinaryOp::Add, variance, epsilon)?;
    let deviation = compose::unary(call, UnaryOp::Sqrt, variance)?;
    let scale = compose::binary(call, BinaryOp::Div, gamma, deviation)?;
    let centred = compose::binary(call, BinaryOp::Sub, x, mean)?;
    let scaled = compose::binary(call, BinaryOp::Mul, centred, scale)?;
    compose::binary(call, BinaryOp::Add, scaled, beta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Attribute;
    use crate::onnx::testing::Case;

    #[test]
    fn channels_are_the_last_axis_of_any_rank() {
        let input = Array::float([1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let [scale, shift] = [[2.0, 10.0], [0.5, -25.0]].map(|v| Array::float([2], v.to_vec()));
        let op = Affine { activation: Activation::RELU };
        let ty = op.infer(&[input.ty.clone(), scale.ty.clone(), shift.ty.clone()]).unwrap();
        assert_eq!(op.eval(&[&input, &scale, &shift], &ty).floats(), [2.5, 0.0, 6.5, 15.0]);
        assert!(op.infer(&[TensorType::f32([3]), scale.ty, shift.ty]).is_err());
    }

    #[test]
    fn constant_statistics_fold_and_computed_ones_are_composed() {
        let x = Array::float([1, 2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let parameters = [[2.0, 3.0], [0.5, 0.0], [1.0, 4.0], [4.0, 9.0]];
        let run = |constant: bool| {
            let case = Case::new("BatchNormalization", 9).input(x.clone());
            let case = case.with("epsilon", Attribute::Float(0.0));
            let case = parameters.iter().fold(case, |case, values| {
                let values = Array::float([2], values.to_vec());
                if constant { case.constant(values) } else { case.input(values) }
            });
            let became = case.run().unwrap();
            assert_eq!(became.text.contains("affine"), constant, "{}", became.text);
            became.values
        };
        let expected = [Array::float([1, 2, 1, 2], vec![0.5, 1.5, -1.0, 0.0])];
        assert_eq!(run(true), expected);
        assert_eq!(run(false), expected);
    }
}
