//! A constant tensor: a weight, or what folding left.

use super::Operator;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Attribute, Call, Spelling};
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{Tensor, TensorType};

/// `Constant` and `ConstantOfShape`.
pub const ONNX: &[Spelling] = &[("Constant", import), ("ConstantOfShape", import_of_shape)];

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
    let shape: Vec<usize> = shape
        .iter()
        .map(|&n| usize::try_from(n).map_err(|_| Fault::model(format!("dimension {n} is negative"))))
        .collect::<Result<_, _>>()?;
    let value = call.attributes.tensor("value")?.unwrap_or_else(|| Tensor::from_f32([1], &[0.0]));
    let element = Array::from(&value);
    if element.ty.elements() != 1 {
        return Err(Fault::model("the value of ConstantOfShape must have one element"));
    }
    let ty = TensorType::new(element.ty.dtype, shape);
    if ty.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).is_none_or(|n| n > LIMIT) {
        return Err(Fault::unsupported(format!("a constant of {LIMIT} elements or more")));
    }
    Ok(vec![call.emit_constant(Tensor::from(&element.gather(ty, |_| 0)))])
}

/// Elements of the largest constant that is made from a shape.
const LIMIT: usize = 1 << 28;

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
