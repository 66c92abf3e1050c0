//! A constant tensor: a weight, or what folding left; and what is known of shapes when importing.

use super::{Operator, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Attribute, Call, Spelling};
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{Tensor, TensorType};

/// `Constant`, `ConstantOfShape`, `Shape`, `Size`, `Range`.
pub const ONNX: &[Spelling] = &[
    ("Constant", import),
    ("ConstantOfShape", import_of_shape),
    ("Shape", import_shape),
    ("Size", import_size),
    ("Range", import_range),
];

fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let tensor = match call.attributes.0.values().next() {
        Some(Attribute::Tensor(tensor)) => tensor.clone(),
        Some(Attribute::Int(value)) => scalar(Tensor::from_i64(&[*value])),
        Some(Attribute::Ints(values)) => Tensor::from_i64(values),
        Some(Attribute::Float(value)) => scalar(Tensor::from_f32([1], &[*value])),
        Some(Attribute::Floats(values)) => Tensor::from_f32([values.len()], values),
        Some(Attribute::String(_) | Attribute::Other(_)) => {
            return Err(Fault::unsupported("a constant that is neither a tensor nor numbers"));
        }
        None => return Err(Fault::model("a Constant without a value")),
    };
    Ok(vec![call.emit_constant(tensor)])
}

fn scalar(tensor: Tensor) -> Tensor {
    tensor.reshaped([]).unwrap_or(tensor)
}

fn import_of_shape(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let shape = call.integers(0, "the shape")?.unwrap_or_default();
    let shape = shape::dimensions(&shape)?;
    let value = call.attributes.tensor("value")?.unwrap_or_else(|| Tensor::from_f32([1], &[0.0]));
    let element = Array::from(&value);
    if element.ty.elements() != 1 {
        return Err(Fault::model("the value of ConstantOfShape must have one element"));
    }
    let ty = TensorType::new(element.ty.dtype, shape);
    if TensorType::checked(ty.dtype, ty.shape.clone())?.elements() > LIMIT {
        return Err(Fault::unsupported(format!("{ty} is a constant of more than {LIMIT} elements")));
    }
    Ok(vec![call.emit_constant(Tensor::from(&element.gather(ty, |_| 0)))])
}

/// Elements of the largest constant that is made from a shape or a range.
const LIMIT: usize = 1 << 24;

/// The dimensions from `start` to `end`, which count from the end where negative and are clamped.
fn import_shape(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let shape: Vec<i64> = call.ty(call.input(0)?).shape.iter().map(|&d| d as i64).collect();
    let rank = shape.len() as i64;
    let clamp = |index: i64| {
        let index = if index < 0 { index.saturating_add(rank) } else { index };
        index.clamp(0, rank) as usize
    };
    let start = clamp(call.attributes.int_or("start", 0)?);
    let end = clamp(call.attributes.int_or("end", rank)?).max(start);
    Ok(vec![call.emit_constant(Tensor::from_i64(&shape[start..end]))])
}

fn import_size(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let size = call.ty(call.input(0)?).elements() as i64;
    Ok(vec![call.emit_constant(scalar(Tensor::from_i64(&[size])))])
}

/// `start, start + delta, …` up to but without `limit`.
fn import_range(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let mut bounds = Vec::new();
    for (position, what) in ["the start", "the limit", "the step"].into_iter().enumerate() {
        let bound = call.constant(position, what)?.filter(|bound| bound.ty.elements() == 1);
        bounds.push(bound.ok_or_else(|| Fault::model(format!("{what} of Range must be one number")))?);
    }
    let dtype = bounds[0].ty.dtype;
    let value = if dtype.is_float() {
        let [start, limit, delta] = [0, 1, 2].map(|i| bounds[i].to_f64()[0]);
        let count = count(((limit - start) / delta).ceil())?;
        Array::float([count], (0..count).map(|i| start + i as f64 * delta).collect())
    } else {
        let [start, limit, delta] = [0, 1, 2].map(|i| bounds[i].to_i64()[0]);
        let exact = (i128::from(limit) - i128::from(start), i128::from(delta));
        let steps = if exact.1 == 0 { f64::NAN } else { div_ceil(exact.0, exact.1) as f64 };
        let count = count(steps)?;
        let at = |i: usize| start.wrapping_add((i as i64).wrapping_mul(delta));
        Array::int(dtype, [count], (0..count).map(at).collect())
    };
    Ok(vec![call.emit_constant(Tensor::from(&value))])
}

fn div_ceil(a: i128, b: i128) -> i128 {
    a.div_euclid(b) + i128::from(b > 0 && a.rem_euclid(b) != 0)
}

fn count(steps: f64) -> Result<usize, Fault> {
    if steps.is_nan() || steps > LIMIT as f64 {
        return Err(Fault::unsupported(format!("a Range of {steps} elements")));
    }
    Ok(steps.max(0.0) as usize)
}

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its value.
    pub tensor: Tensor,
}

impl Operator for Constant {
    fn infer(&self, _operands: &[TensorType]) -> Result<TensorType, Fault> {
        Ok(self.tensor.ty.clone())
    }

    fn eval(&self, _operands: &[&Array], _ty: &TensorType) -> Array {
        Array::from(&self.tensor)
    }

    fn describe(&self) -> String {
        format!("constant {}", self.tensor)
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    fn check(case: Case, expect: &[i64]) {
        assert_eq!(case.run().unwrap().values[0].ints(), expect);
    }

    #[test]
    fn shapes_are_constants() {
        let x = Array::float([2, 3, 4], vec![0.0; 24]);
        check(Case::new("Shape", 13).input(x.clone()), &[2, 3, 4]);
        check(Case::new("Shape", 15).int("start", -2).int("end", 99).input(x.clone()), &[3, 4]);
        check(Case::new("Shape", 15).int("start", 2).int("end", 1).input(x.clone()), &[]);
        check(Case::new("Size", 13).input(x), &[24]);
    }

    #[test]
    fn ranges_stop_before_the_limit() {
        let range = |start, limit, delta| {
            let number = |value| Array::int(crate::tensor::DType::I64, [], vec![value]);
            Case::new("Range", 11).constant(number(start)).constant(number(limit)).constant(number(delta))
        };
        check(range(1, 8, 3), &[1, 4, 7]);
        check(range(10, 0, -4), &[10, 6, 2]);
        check(range(0, -4, 1), &[]);
        assert!(range(0, 1, 0).run().is_err());
        assert!(range(i64::MIN, i64::MAX, 1).run().is_err());
    }
}
