//! A relation between two numbers with ONNX broadcasting; the result is `bool`.

use super::binary::broadcast_fields;
use super::compose::unary;
use super::unary::UnaryOp;
use super::{Operator, shape, view};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// The operators of these names, and `IsNaN`, which is `not (x = x)`.
pub const ONNX: &[Spelling] = &[
    ("Equal", |call| import(call, CompareOp::Equal)),
    ("Less", |call| import(call, CompareOp::Less)),
    ("LessOrEqual", |call| import(call, CompareOp::LessOrEqual)),
    ("Greater", |call| import(call, CompareOp::Greater)),
    ("GreaterOrEqual", |call| import(call, CompareOp::GreaterOrEqual)),
    ("IsNaN", import_is_nan),
];

fn import(call: &mut Call<'_>, op: CompareOp) -> Result<Vec<NodeId>, Fault> {
    let operands = [call.input(0)?, call.input(1)?];
    Ok(vec![call.emit(Compare { op }, &operands)?])
}

fn import_is_nan(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    let equal = call.emit(Compare { op: CompareOp::Equal }, &[x, x])?;
    Ok(vec![unary(call, UnaryOp::Not, equal)?])
}

/// A relation between two numbers with ONNX broadcasting; the result is `bool`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// Which.
    pub op: CompareOp,
}

impl Operator for Compare {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [a, b] = shape::operands(self.op.name(), operands)?;
        if a.dtype != b.dtype {
            return Err(Fault::model(format!("{} of {a} and {b}: types differ", self.op.name())));
        }
        Ok(TensorType::new(DType::Bool, shape::broadcast(&a.shape, &b.shape)?))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let [a, b] = [operands[0], operands[1]];
        let pairs = view::pairs(&a.ty, &b.ty, &ty.shape);
        let holds: Vec<bool> = if a.ty.dtype.is_float() {
            pairs.map(|(i, j)| self.op.holds(&a.floats()[i], &b.floats()[j])).collect()
        } else {
            pairs.map(|(i, j)| self.op.holds(&a.ints()[i], &b.ints()[j])).collect()
        };
        Array::int(DType::Bool, ty.shape.clone(), holds.into_iter().map(i64::from).collect())
    }

    fn describe(&self) -> String {
        self.op.name().into()
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [a, _] = shape::operands(self.op.name(), site.operands)?;
        let mut fields = broadcast_fields(site)?;
        fields.push(("op", Arg::Path(self.op.path())));
        Ok(vec![Request {
            family: Family::Compare,
            dtype: a.dtype,
            shape: Shape::elements(site.output.elements()),
            fields,
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

/// A relation between two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CompareOp {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl CompareOp {
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Less => "less",
            Self::LessOrEqual => "less_or_equal",
            Self::Greater => "greater",
            Self::GreaterOrEqual => "greater_or_equal",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Equal => "CompareOp::Equal",
            Self::Less => "CompareOp::Less",
            Self::LessOrEqual => "CompareOp::LessOrEqual",
            Self::Greater => "CompareOp::Greater",
            Self::GreaterOrEqual => "CompareOp::GreaterOrEqual",
        }
    }

    /// Whether it holds; never for NaN.
    pub fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: CompareOp, a: &[f64], b: &[f64], expect: &[i64]) {
        let [a, b] = [a, b].map(|v| Array::float([v.len()], v.to_vec()));
        let compare = Compare { op };
        let ty = compare.infer(&[a.ty.clone(), b.ty.clone()]).unwrap();
        assert_eq!(compare.eval(&[&a, &b], &ty), Array::int(DType::Bool, [expect.len()], expect.to_vec()));
    }

    #[test]
    fn nan_stands_in_no_relation() {
        check(CompareOp::Equal, &[1.0, f64::NAN, 2.0], &[1.0], &[1, 0, 0]);
        check(CompareOp::GreaterOrEqual, &[1.0, f64::NAN, 2.0], &[1.0, f64::NAN, 3.0], &[1, 0, 0]);
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        let [a, b] = [i64::MAX, i64::MAX - 1].map(|v| Array::int(DType::I64, [], vec![v]));
        let ty = TensorType::new(DType::Bool, []);
        assert_eq!(Compare { op: CompareOp::Greater }.eval(&[&a, &b], &ty).ints(), [1]);
    }
}
