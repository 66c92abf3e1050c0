//! The same elements under another shape: `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`, and what changes
//! nothing at all (`Identity`, `Dropout`).

use super::Operator;
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{TensorType, dims};

/// `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`, `Identity`, `Dropout`.
pub const ONNX: &[Spelling] = &[];

/// The first operand's elements under another shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The result's shape, every dimension given.
    pub shape: Vec<usize>,
}

impl Operator for Reshape {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = operands else { return Err(Fault::model("Reshape takes one tensor")) };
        let ty = TensorType::new(input.dtype, self.shape.clone());
        if ty.elements() == input.elements() {
            Ok(ty)
        } else {
            Err(Fault::model(format!("{input} cannot take the shape [{}]", dims(&self.shape))))
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        Array { ty: ty.clone(), data: operands[0].data.clone() }
    }

    fn describe(&self) -> String {
        "reshape".into()
    }

    fn lower(&self, _site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }

    fn is_view(&self) -> bool {
        true
    }
}
