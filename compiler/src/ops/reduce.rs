//! A reduction over neighbouring axes.

use super::Operator;
use super::binary::BinaryOp;
use super::compose::{self, binary, unary};
use super::shape::{self, Split};
use super::unary::UnaryOp;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Arg, Operand, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType, dims};
use mobilec_targets::{Family, Shape};

/// All operators of ONNX that begin with `Reduce`.
pub const ONNX: &[Spelling] = &[
    ("ReduceSum", |call| import(call, None, ReduceOp::Sum, None)),
    ("ReduceMean", |call| import(call, None, ReduceOp::Mean, None)),
    ("ReduceMax", |call| import(call, None, ReduceOp::Max, None)),
    ("ReduceMin", |call| import(call, None, ReduceOp::Min, None)),
    ("ReduceProd", |call| import(call, None, ReduceOp::Product, None)),
    ("ReduceL1", |call| import(call, Some(UnaryOp::Abs), ReduceOp::Sum, None)),
    ("ReduceLogSum", |call| import(call, None, ReduceOp::Sum, Some(UnaryOp::Log))),
    ("ReduceSumSquare", |call| Ok(vec![squares(call)?])),
    ("ReduceL2", import_l2),
    ("ReduceLogSumExp", import_log_sum_exp),
];

/// `after(op(before(x)))`
fn import(
    call: &mut Call<'_>,
    before: Option<UnaryOp>,
    op: ReduceOp,
    after: Option<UnaryOp>,
) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    let (axes, keep) = axes(call)?;
    let x = before.map_or(Ok(x), |op| unary(call, op, x))?;
    let y = emit(call, x, op, &axes, keep)?;
    Ok(vec![after.map_or(Ok(y), |op| unary(call, op, y))?])
}

fn squares(call: &mut Call<'_>) -> Result<NodeId, Fault> {
    let x = call.input(0)?;
    let (axes, keep) = axes(call)?;
    let square = binary(call, BinaryOp::Mul, x, x)?;
    emit(call, square, ReduceOp::Sum, &axes, keep)
}

fn import_l2(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let sum = squares(call)?;
    Ok(vec![unary(call, UnaryOp::Sqrt, sum)?])
}

/// `ln Σ e^(x − max) + max`, which does not overflow.
fn import_log_sum_exp(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let x = call.input(0)?;
    let (axes, keep) = axes(call)?;
    let max = emit(call, x, ReduceOp::Max, &axes, true)?;
    let difference = binary(call, BinaryOp::Sub, x, max)?;
    let power = unary(call, UnaryOp::Exp, difference)?;
    let sum = emit(call, power, ReduceOp::Sum, &axes, keep)?;
    let log = unary(call, UnaryOp::Log, sum)?;
    let shape = call.ty(log).shape;
    let max = compose::reshape(call, max, shape)?;
    Ok(vec![binary(call, BinaryOp::Add, log, max)?])
}

/// The axes, ascending, and whether they stay. An attribute before opset 13 (sum) or 18 (all others), an
/// operand since; without any all are meant, unless `noop_with_empty_axes`.
fn axes(call: &Call<'_>) -> Result<(Vec<usize>, bool), Fault> {
    let rank = call.ty(call.input(0)?).rank();
    let given = match call.integers(1, "the list of axes")? {
        Some(axes) => axes,
        None => call.attributes.ints("axes")?.unwrap_or_default(),
    };
    let axes = if given.is_empty() && call.attributes.int_or("noop_with_empty_axes", 0)? == 0 {
        (0..rank).collect()
    } else {
        shape::axes(&given, rank)?
    };
    Ok((axes, call.attributes.int_or("keepdims", 1)? != 0))
}

/// One reduction for each group of neighbours, the last group first, so that the axes before keep their
/// numbers. A mean of means is the mean, because the groups are complete.
fn emit(
    call: &mut Call<'_>,
    value: NodeId,
    op: ReduceOp,
    axes: &[usize],
    keep: bool,
) -> Result<NodeId, Fault> {
    let groups: Vec<&[usize]> = axes.chunk_by(|a, b| a + 1 == *b).collect();
    groups
        .iter()
        .rev()
        .try_fold(value, |value, group| call.emit(Reduce { op, axes: group.to_vec(), keep }, &[value]))
}

/// A reduction over neighbouring axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// Which.
    pub op: ReduceOp,
    /// The axes, ascending and neighbours.
    pub axes: Vec<usize>,
    /// Whether the reduced axes stay with length 1.
    pub keep: bool,
}

impl Reduce {
    /// The reduced axes must be inside the rank, ascending and neighbours.
    fn split(&self, input: &TensorType) -> Option<Split> {
        let (first, last) = (*self.axes.first()?, *self.axes.last()?);
        let neighbours = self.axes.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        (neighbours && last < input.rank()).then(|| Split::over(&input.shape, first..last + 1))
    }
}

impl Operator for Reduce {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("reduce", operands)?;
        if input.dtype == DType::Bool && !matches!(self.op, ReduceOp::Max | ReduceOp::Min) {
            return Err(Fault::unsupported(format!("{} of {input}", self.describe())));
        }
        if self.split(input).is_none() {
            return Err(Fault::bug(format!("{} of {input}: axes are no neighbours", self.describe())));
        }
        let mut shape = input.shape.clone();
        let stay = if self.keep { self.axes.len() } else { 0 };
        shape.splice(self.axes[0]..self.axes[0] + self.axes.len(), vec![1; stay]);
        Ok(TensorType::new(input.dtype, shape))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let input = operands[0];
        let Some(split) = self.split(&input.ty) else { return Array::zeros(ty) };
        let row = |flat| {
            let (outer, inner) = split.outer_inner(flat);
            (0..split.len).map(move |l| split.position(outer, l, inner))
        };
        let rows = (0..ty.elements()).map(row);
        match &input.data {
            Data::Float(values) => {
                let result = rows.map(|row| self.op.float(row.map(|at| values[at]))).collect();
                Array::float(ty.shape.clone(), result)
            }
            Data::Int(values) => {
                let result = rows.map(|row| self.op.int(ty.dtype, row.map(|at| values[at]))).collect();
                Array::int(ty.dtype, ty.shape.clone(), result)
            }
        }
    }

    /// `reduce mean 1,2 keep`
    fn describe(&self) -> String {
        let keep = if self.keep { " keep" } else { "" };
        format!("reduce {} {}{keep}", self.op.name(), dims(&self.axes))
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("reduce", site.operands)?;
        let split = self.split(input).ok_or_else(|| Fault::bug("a reduction without axes"))?;
        Ok(vec![Request {
            family: Family::Reduce,
            // The largest and smallest of 0 and 1 are those of bytes.
            dtype: if input.dtype == DType::Bool { DType::U8 } else { input.dtype },
            shape: Shape::new(split.outer, split.inner, split.len),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("outer", Arg::Usize(split.outer)),
                ("len", Arg::Usize(split.len)),
                ("inner", Arg::Usize(split.inner)),
                ("op", Arg::Path(self.op.path())),
            ],
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

/// A reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ReduceOp {
    Sum,
    /// Integers truncate towards zero; the mean of none is 0.
    Mean,
    Max,
    Min,
    Product,
}

impl ReduceOp {
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Min => "min",
            Self::Product => "product",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Sum => "ReduceOp::Sum",
            Self::Mean => "ReduceOp::Mean",
            Self::Max => "ReduceOp::Max",
            Self::Min => "ReduceOp::Min",
            Self::Product => "ReduceOp::Product",
        }
    }

    /// Its value for real numbers.
    fn float(self, values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = values.len();
        match self {
            Self::Sum => values.sum(),
            Self::Mean => values.sum::<f64>() / count as f64,
            Self::Max => values.fold(f64::NEG_INFINITY, f64::max),
            Self::Min => values.fold(f64::INFINITY, f64::min),
            Self::Product => values.product(),
        }
    }

    /// Its value for integers, wrapping at 64 bits.
    fn int(self, dtype: DType, values: impl ExactSizeIterator<Item = i64>) -> i64 {
        let count = values.len() as i64;
        match self {
            Self::Sum => values.fold(0, i64::wrapping_add),
            Self::Mean => values.fold(0, i64::wrapping_add).checked_div(count).unwrap_or(0),
            Self::Max => values.max().unwrap_or(*range(dtype).start()),
            Self::Min => values.min().unwrap_or(*range(dtype).end()),
            Self::Product => values.fold(1, i64::wrapping_mul),
        }
    }
}

/// The numbers of an integer type.
fn range(dtype: DType) -> std::ops::RangeInclusive<i64> {
    match dtype {
        DType::I8 => -128..=127,
        DType::U8 => 0..=255,
        DType::I32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        DType::Bool => 0..=1,
        DType::I64 | DType::F32 => i64::MIN..=i64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;

    fn check(op: ReduceOp, axes: &[usize], keep: bool, expect: &Array) {
        let input = Array::float([2, 3, 2], (0..12).map(f64::from).collect());
        let reduce = Reduce { op, axes: axes.to_vec(), keep };
        let ty = reduce.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(reduce.eval(&[&input], &ty), *expect);
    }

    #[test]
    fn axes_go_or_stay() {
        check(ReduceOp::Sum, &[1], false, &Array::float([2, 2], vec![6.0, 9.0, 24.0, 27.0]));
        check(ReduceOp::Mean, &[1, 2], true, &Array::float([2, 1, 1], vec![2.5, 8.5]));
        check(ReduceOp::Max, &[0, 1, 2], false, &Array::float([], vec![11.0]));
        check(ReduceOp::Min, &[0], false, &Array::float([3, 2], (0..6).map(f64::from).collect()));
    }

    #[test]
    fn nothing_reduces_to_the_neutral_element() {
        let input = Array::int(DType::I32, [2, 0], vec![]);
        for (op, expect) in [(ReduceOp::Sum, 0), (ReduceOp::Product, 1), (ReduceOp::Max, i64::from(i32::MIN))]
        {
            let reduce = Reduce { op, axes: vec![1], keep: false };
            let ty = reduce.infer(std::slice::from_ref(&input.ty)).unwrap();
            assert_eq!(reduce.eval(&[&input], &ty).ints(), [expect; 2]);
        }
    }

    #[test]
    fn axes_that_are_no_neighbours_are_a_bug() {
        let input = [TensorType::f32([2, 3, 4])];
        for axes in [vec![], vec![0, 2], vec![3]] {
            assert!(Reduce { op: ReduceOp::Sum, axes, keep: true }.infer(&input).is_err());
        }
    }

    #[test]
    fn axes_apart_are_a_chain_that_ends_with_the_first() {
        let x = Array::float([2, 3, 2], (0..12).map(f64::from).collect());
        let case = Case::new("ReduceMean", 18).int("keepdims", 0).input(x).list(&[0, -1]);
        let became = case.run().unwrap();
        assert_eq!(became.values, [Array::float([3], vec![3.5, 5.5, 7.5])]);
        let [last, first] = ["reduce mean 2(", "reduce mean 0("].map(|op| became.text.find(op));
        assert!(last.is_some() && last < first, "{}", became.text);
    }

    #[test]
    fn without_axes_everything_or_nothing_is_reduced() {
        let x = Array::float([2], vec![3.0, 4.0]);
        let all = Case::new("ReduceL2", 18).int("keepdims", 0).input(x.clone());
        assert_eq!(all.run().unwrap().values, [Array::float([], vec![5.0])]);
        let none = Case::new("ReduceSum", 13).int("noop_with_empty_axes", 1).input(x.clone());
        assert_eq!(none.run().unwrap().values, [x]);
    }

    #[test]
    fn a_logarithm_of_a_sum_does_not_overflow() {
        let x = Array::float([2], vec![1000.0, 1000.0]);
        let became = Case::new("ReduceLogSumExp", 18).int("keepdims", 0).input(x).run().unwrap();
        assert_eq!(became.values, [Array::float([], vec![1000.0 + 2.0_f64.ln()])]);
    }
}
