//! How ONNX spells activations. Those that are no [`Activation`] are composed of what there is.

use super::Activation;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::ops::binary::BinaryOp;
use crate::ops::compare::{Compare, CompareOp};
use crate::ops::compose::{activate, binary, float, scaled, unary, with_scalar};
use crate::ops::select::Select;
use crate::ops::unary::UnaryOp;
use crate::tensor::{DType, Tensor};

/// Every activation of ONNX, and ONNX Runtime's own.
#[rustfmt::skip]
pub const ONNX: &[Spelling] = &[
    ("Relu",                    relu),
    ("Clip",                    clip),
    ("LeakyRelu",               |call| with(call, |c| Ok(Activation::LeakyRelu { alpha: c.attributes.float_or("alpha", 0.01)? }))),
    ("PRelu",                   prelu),
    ("Elu",                     |call| with(call, |c| Ok(Activation::Elu { alpha: c.attributes.float_or("alpha", 1.0)? }))),
    ("Selu",                    selu),
    ("Celu",                    celu),
    ("ThresholdedRelu",         thresholded_relu),
    ("Sigmoid",                 |call| with(call, |_| Ok(Activation::Sigmoid))),
    ("HardSigmoid",             |call| with(call, hard_sigmoid)),
    ("HardSwish",               |call| with(call, |_| Ok(Activation::HardSwish))),
    ("Swish",                   swish),
    ("Mish",                    mish),
    ("Softplus",                |call| with(call, |_| Ok(Activation::Softplus))),
    ("Softsign",                softsign),
    ("Tanh",                    |call| with(call, |_| Ok(Activation::Tanh))),
    ("Gelu",                    |call| with(call, gelu)),
    ("com.microsoft::Gelu",     |call| with(call, |_| Ok(Activation::Gelu))),
    ("com.microsoft::FastGelu", fast_gelu),
    ("com.microsoft::QuickGelu", swish),
];

/// One activation of operand 0.
fn with(
    call: &mut Call<'_>,
    activation: impl FnOnce(&Call<'_>) -> Result<Activation, Fault>,
) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    float(call, x)?;
    let activation = activation(call)?;
    Ok(vec![activate(call, activation, x)?])
}

fn hard_sigmoid(call: &Call<'_>) -> Result<Activation, Fault> {
    let (alpha, beta) = (call.attributes.float_or("alpha", 0.2)?, call.attributes.float_or("beta", 0.5)?);
    Ok(Activation::HardSigmoid { alpha, beta })
}

fn gelu(call: &Call<'_>) -> Result<Activation, Fault> {
    match call.attributes.string("approximate")?.as_deref() {
        None | Some("none") => Ok(Activation::Gelu),
        Some("tanh") => Ok(Activation::GeluTanh),
        Some(other) => Err(Fault::model(format!("approximate = {other:?} is not in the specification"))),
    }
}

/// Integers are compared with 0, which no activation does.
fn relu(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    if call.ty(x).dtype == DType::F32 {
        return Ok(vec![activate(call, Activation::RELU, x)?]);
    }
    Ok(vec![with_scalar(call, BinaryOp::Max, x, 0.0)?])
}

/// `min(max(x, lo), hi)`: limits are attributes up to opset 10 and operands from 11 on; each may be absent.
fn clip(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    if call.opset < 11 {
        let lo = call.attributes.float_or("min", f32::MIN)?;
        let hi = call.attributes.float_or("max", f32::MAX)?;
        float(call, x)?;
        return Ok(vec![activate(call, clamp(lo, hi), x)?]);
    }
    let limits = [call.optional(1), call.optional(2)];
    let known = limits.map(|limit| limit.map_or(Some(None), |limit| scalar(call, limit).map(Some)));
    if let ([Some(lo), Some(hi)], DType::F32) = (known, call.ty(x).dtype) {
        let activation = clamp(lo.unwrap_or(f32::MIN), hi.unwrap_or(f32::MAX));
        return Ok(vec![activate(call, activation, x)?]);
    }
    let mut result = x;
    for (limit, op) in limits.into_iter().zip([BinaryOp::Max, BinaryOp::Min]) {
        if let Some(limit) = limit {
            result = binary(call, op, result, limit)?;
        }
    }
    Ok(vec![result])
}

/// The limits that bind: the largest finite number, which some exporters write, means none.
fn clamp(lo: f32, hi: f32) -> Activation {
    let lo = if lo <= f32::MIN { f32::NEG_INFINITY } else { lo };
    let hi = if hi >= f32::MAX { f32::INFINITY } else { hi };
    if (lo, hi) == (f32::NEG_INFINITY, f32::INFINITY) {
        Activation::Identity
    } else {
        Activation::Clamp { lo, hi }
    }
}

/// The number of a constant with one element.
fn scalar(call: &Call<'_>, value: NodeId) -> Option<f32> {
    match call.graph.tensor(value)?.to_f32()[..] {
        [number] => Some(number),
        _ => None,
    }
}

/// The number of a constant whose elements are all equal.
fn uniform(tensor: &Tensor) -> Option<f32> {
    let values = tensor.to_f32();
    values.first().copied().filter(|first| values.iter().all(|v| v == first))
}

/// `max(x, 0) + slope · min(x, 0)`, with one slope a leaky ReLU.
fn prelu(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (x, slope) = (call.input(0)?, call.input(1)?);
    float(call, x)?;
    let result = match call.graph.tensor(slope).and_then(uniform) {
        Some(alpha) => activate(call, Activation::LeakyRelu { alpha }, x)?,
        None => {
            let negative = Activation::Clamp { lo: f32::NEG_INFINITY, hi: 0.0 };
            let above = activate(call, Activation::RELU, x)?;
            let below = activate(call, negative, x)?;
            let below = binary(call, BinaryOp::Mul, below, slope)?;
            binary(call, BinaryOp::Add, above, below)?
        }
    };
    let (found, input, slope) = (call.ty(result), call.ty(x), call.ty(slope));
    if found == input {
        Ok(vec![result])
    } else {
        Err(Fault::model(format!("the slope of PRelu is {slope}, which does not broadcast to {input}")))
    }
}

/// `gamma · x` for x ≥ 0, `gamma · alpha (e^x − 1)` below.
fn selu(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    float(call, x)?;
    let alpha = call.attributes.float_or("alpha", 1.673_263_2)?;
    let gamma = call.attributes.float_or("gamma", 1.050_701)?;
    let elu = activate(call, Activation::Elu { alpha }, x)?;
    Ok(vec![scaled(call, elu, gamma)?])
}

/// `alpha · elu(x / alpha)`
fn celu(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    float(call, x)?;
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    if alpha == 0.0 {
        return Err(Fault::model("Celu with alpha = 0 divides by it"));
    }
    let x = if alpha == 1.0 { x } else { with_scalar(call, BinaryOp::Div, x, f64::from(alpha))? };
    let elu = activate(call, Activation::Elu { alpha: 1.0 }, x)?;
    Ok(vec![scaled(call, elu, alpha)?])
}

/// `x > alpha ? x : 0`
fn thresholded_relu(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    float(call, x)?;
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    let [alpha, zero] = [f64::from(alpha), 0.0].map(|number| call.emit_scalar(DType::F32, number));
    let above = call.emit(Compare { op: CompareOp::Greater }, &[x, alpha])?;
    Ok(vec![call.emit(Select {}, &[above, x, zero])?])
}

/// `x · sigmoid(alpha · x)`; ONNX Runtime's `QuickGelu` has another default for `alpha`.
fn swish(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    float(call, x)?;
    let default = if call.operator.ends_with("QuickGelu") { 1.702 } else { 1.0 };
    let alpha = call.attributes.float_or("alpha", default)?;
    if alpha == 1.0 {
        return Ok(vec![activate(call, Activation::Silu, x)?]);
    }
    let inner = scaled(call, x, alpha)?;
    let gate = activate(call, Activation::Sigmoid, inner)?;
    Ok(vec![binary(call, BinaryOp::Mul, x, gate)?])
}

/// `x · tanh(softplus(x))`
fn mish(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    float(call, x)?;
    let inner = activate(call, Activation::Softplus, x)?;
    let gate = activate(call, Activation::Tanh, inner)?;
    Ok(vec![binary(call, BinaryOp::Mul, x, gate)?])
}

/// `x / (1 + |x|)`
fn softsign(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    float(call, x)?;
    let size = unary(call, UnaryOp::Abs, x)?;
    let divisor = with_scalar(call, BinaryOp::Add, size, 1.0)?;
    Ok(vec![binary(call, BinaryOp::Div, x, divisor)?])
}

/// GELU with the hyperbolic tangent, of `x + bias` where there is a bias.
fn fast_gelu(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let mut x = call.input(0)?;
    float(call, x)?;
    if let Some(bias) = call.optional(1) {
        x = binary(call, BinaryOp::Add, x, bias)?;
    }
    Ok(vec![activate(call, Activation::GeluTanh, x)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Attribute;
    use crate::onnx::testing::Case;
    use crate::reference::Array;

    fn row(operator: &'static str, opset: i64) -> Case {
        Case::new(operator, opset).input(Array::float([1, 3], vec![-2.0, 0.5, 8.0]))
    }

    fn scalar(value: f64) -> Array {
        Array::float([], vec![value])
    }

    fn check(case: Case, text: &str, values: [f64; 3]) {
        let became = case.run().unwrap();
        assert!(became.text.contains(text), "{}", became.text);
        let error = became.values[0].floats().iter().zip(values).map(|(a, b)| (a - b).abs());
        assert!(error.fold(0.0, f64::max) < 1e-6, "{:?}", became.values);
    }

    #[test]
    fn limits_are_attributes_or_operands_and_may_be_absent() {
        let six = row("Clip", 6).with("min", Attribute::Float(0.0)).with("max", Attribute::Float(6.0));
        check(six, "relu6(", [0.0, 0.5, 6.0]);
        check(row("Clip", 11).constant(scalar(0.0)), "relu(", [0.0, 0.5, 8.0]);
        check(row("Clip", 13).absent().constant(scalar(1.0)), "clamp(-inf,1)(", [-2.0, 0.5, 1.0]);
        check(row("Clip", 13), "return", [-2.0, 0.5, 8.0]);
        check(row("Clip", 13).input(scalar(0.0)).constant(scalar(6.0)), "max(", [0.0, 0.5, 6.0]);
    }

    #[test]
    fn integers_are_clipped_too() {
        let x = Array::int(DType::I64, [3], vec![-1, 0, 1]);
        let case = Case::new("Clip", 13).input(x.clone()).constant(Array::int(DType::I64, [], vec![0]));
        let expected = [Array::int(DType::I64, [3], vec![0, 0, 1])];
        assert_eq!(case.run().unwrap().values, expected);
        assert_eq!(Case::new("Relu", 14).input(x).run().unwrap().values, expected);
    }

    #[test]
    fn one_slope_is_a_leaky_relu() {
        let slopes = |values: [f64; 3]| row("PRelu", 9).constant(Array::float([3], values.to_vec()));
        check(slopes([0.5; 3]), "leaky_relu(0.5)(", [-1.0, 0.5, 8.0]);
        check(slopes([0.5, 0.0, 1.0]), "add(", [-1.0, 0.5, 8.0]);
        assert!(row("PRelu", 9).constant(Array::float([2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])).run().is_err());
    }

    #[test]
    #[rustfmt::skip]
    fn composed_and_parametrised() {
        check(row("Selu", 6),                               "elu(",          [-1.520_167, 0.525_350, 8.405_608]);
        check(row("Celu", 12).with("alpha", Attribute::Float(2.0)), "elu(1)(", [-1.264_241, 0.5, 8.0]);
        check(row("ThresholdedRelu", 10),                   "select(",       [0.0, 0.0, 8.0]);
        check(row("HardSigmoid", 6),                        "hard_sigmoid(0.2,0.5)(", [0.1, 0.6, 1.0]);
        check(row("Softsign", 1),                           "div(",          [-0.666_667, 0.333_333, 0.888_889]);
        check(row("Mish", 18),                              "tanh(",         [-0.252_501, 0.375_245, 7.999_998_2]);
        check(row("Swish", 24),                             "silu(",         [-0.238_406, 0.311_230, 7.997_318]);
        check(row("Gelu", 20).text("approximate", "tanh"),  "gelu_tanh(",    [-0.045_402, 0.345_714, 8.0]);
    }
}
