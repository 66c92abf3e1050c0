//! A function of a code, element by element, from a table of its 256 values. Operands: codes of any shape,
//! and the table `[256]` from the least code to the greatest.

use super::{Operator, shape};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use crate::reference::{Array, Data};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// None of its own: fusions make it.
pub const ONNX: &[Spelling] = &[];

/// See the [module documentation](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// What it stands for: `hardswish`.
    pub function: String,
}

impl Operator for Lookup {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [codes, table] = shape::operands("a look-up", operands)?;
        let eight = |ty: &TensorType| matches!(ty.dtype, DType::U8 | DType::I8);
        if eight(codes) && eight(table) && table.shape == [256] {
            Ok(TensorType::new(table.dtype, codes.shape.clone()))
        } else {
            Err(Fault::bug(format!("a look-up of {codes} in {table}")))
        }
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let least = if operands[0].ty.dtype == DType::I8 { -128 } else { 0 };
        let table = operands[1].ints();
        let values = operands[0].ints().iter().map(|&code| table[(code - least) as usize]).collect();
        Array { ty: ty.clone(), data: Data::Int(values) }
    }

    fn describe(&self) -> String {
        format!("int8 table of {}", self.function)
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let mut table = site.constant(1, "a table")?.bytes().to_vec();
        // The kernel finds an entry by the byte that a code is stored as.
        if site.operands[0].dtype == DType::I8 {
            table.rotate_left(128);
        }
        let map = MapShape::flat(&site.output.shape);
        Ok(vec![Request {
            family: Family::Lookup,
            dtype: DType::I8,
            shape: Shape::new(map.height * map.width, map.channels, 1),
            fields: vec![
                ("input", Arg::Map(Operand::Input(0), map)),
                ("output", Arg::Map(Operand::Output, map)),
                ("table", Arg::Weights(Packed::Raw(table))),
            ],
            rows: Rows::SAME,
            in_place: true,
        }])
    }
}
