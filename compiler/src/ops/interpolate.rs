//! Linear interpolation along one axis. A `Resize` is one of these, or a gather, for each axis that it
//! changes; `resize` decides.

mod resize;

use super::Operator;
use super::shape::{self, MAX_TABLE, Split};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::plan::request::{Arg, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Family, Shape};

/// `Resize` and `Upsample`.
pub const ONNX: &[Spelling] = &[("Resize", resize::import), ("Upsample", resize::import_upsample)];

/// Linear interpolation along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpolate {
    /// The axis.
    pub axis: usize,
    /// For each position of the result: two positions of the operand and the weight of the second.
    pub taps: Vec<(usize, usize, f32)>,
}

impl Operator for Interpolate {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("interpolate", operands)?;
        let Some(&length) = input.shape.get(self.axis) else {
            return Err(Fault::model(format!("{} of {input}", self.describe())));
        };
        if input.dtype != DType::F32 || self.taps.len() > MAX_TABLE {
            return Err(Fault::unsupported(format!("{} of {input}", self.describe())));
        }
        if self.taps.iter().any(|&(low, high, _)| low.max(high) >= length) {
            return Err(Fault::model(format!("{} of {input} leaves the axis", self.describe())));
        }
        let mut ty = input.clone();
        ty.shape[self.axis] = self.taps.len();
        Ok(ty)
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let values = operands[0].floats();
        let split = Split::at(&operands[0].ty.shape, self.axis);
        let count = self.taps.len().max(1);
        let value = |flat| {
            let (row, inner) = split.outer_inner(flat);
            let (low, high, weight) = self.taps[row % count];
            let [low, high] = [low, high].map(|l| values[split.position(row / count, l, inner)]);
            (1.0 - f64::from(weight)) * low + f64::from(weight) * high
        };
        Array::float(ty.shape.clone(), (0..ty.elements()).map(value).collect())
    }

    fn describe(&self) -> String {
        format!("interpolate axis={} to {}", self.axis, self.taps.len())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("interpolate", site.operands)?;
        let split = Split::at(&input.shape, self.axis);
        Ok(vec![Request {
            family: Family::Interpolate,
            dtype: DType::F32,
            shape: Shape::elements(site.output.elements()),
            fields: vec![
                ("input", Arg::Place(Operand::Input(0), 0)),
                ("output", Arg::Place(Operand::Output, 0)),
                ("outer", Arg::Usize(split.outer)),
                ("len", Arg::Usize(split.len)),
                ("count", Arg::Usize(self.taps.len())),
                ("inner", Arg::Usize(split.inner)),
                ("table", Arg::Weights(Packed::Raw(self.table()))),
            ],
            rows: Rows::Whole,
            in_place: false,
        }])
    }
}

impl Interpolate {
    /// `{ lo: u32, hi: u32, f: f32 }` for each position.
    fn table(&self) -> Vec<u8> {
        let entry = |&(low, high, weight): &(usize, usize, f32)| {
            [(low as u32).to_le_bytes(), (high as u32).to_le_bytes(), weight.to_le_bytes()]
        };
        self.taps.iter().flat_map(entry).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_mix_two_neighbours() {
        let input = Array::float([2, 2], vec![0.0, 4.0, 10.0, 20.0]);
        let op = Interpolate { axis: 1, taps: vec![(0, 0, 0.0), (0, 1, 0.25), (0, 1, 0.5)] };
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        let expect = Array::float([2, 3], vec![0.0, 1.0, 2.0, 10.0, 12.5, 15.0]);
        assert_eq!(op.eval(&[&input], &ty), expect);
    }

    #[test]
    fn taps_outside_are_refused() {
        let op = Interpolate { axis: 0, taps: vec![(1, 2, 0.5)] };
        assert!(op.infer(&[TensorType::f32([2])]).is_err());
        assert!(op.infer(&[TensorType::f32([])]).is_err());
        assert!(op.infer(&[TensorType::f32([3])]).is_ok());
    }
}
