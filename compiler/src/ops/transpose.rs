//! A permutation of the dimensions, and the spellings that are reshapes around one.

use super::view::{self, View};
use super::{Operator, compose, shape};
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::{Call, Spelling};
use crate::plan::request::{Request, Site};
use crate::reference::Array;
use crate::tensor::{TensorType, dims};

/// `Transpose`, `DepthToSpace`, `SpaceToDepth`.
pub const ONNX: &[Spelling] = &[
    ("Transpose", import),
    ("DepthToSpace", import_depth_to_space),
    ("SpaceToDepth", import_space_to_depth),
];

/// Without `perm` the dimensions are reversed.
fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let input = call.input(0)?;
    let rank = call.ty(input).rank();
    let permutation: Vec<usize> = match call.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|&axis| shape::axis(axis, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![compose::transpose(call, input, permutation)?])
}

/// Channel `(by·b + bx)·C + c` (DCR) or `(c·b + by)·b + bx` (CRD) goes to row `y·b + by`, column `x·b + bx`.
fn import_depth_to_space(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (input, block) = map_and_block(call)?;
    let [n, h, w, c] = nhwc(call, input)?;
    let depth = c / block / block;
    if depth * block * block != c {
        return Err(Fault::model(format!("{c} channels do not divide into blocks of {block}x{block}")));
    }
    let (apart, permutation) = match call.attributes.string("mode")?.as_deref() {
        None | Some("DCR") => (vec![n, h, w, block, block, depth], vec![0, 1, 3, 2, 4, 5]),
        Some("CRD") => (vec![n, h, w, depth, block, block], vec![0, 1, 4, 2, 5, 3]),
        Some(mode) => return Err(Fault::model(format!("mode = {mode:?} of DepthToSpace"))),
    };
    let value = compose::reshape(call, input, apart)?;
    let value = compose::transpose(call, value, permutation)?;
    let value = compose::reshape(call, value, vec![n, h * block, w * block, depth])?;
    Ok(vec![call.to_nchw(value)?])
}

fn import_space_to_depth(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let (input, block) = map_and_block(call)?;
    let [n, h, w, c] = nhwc(call, input)?;
    if h % block != 0 || w % block != 0 {
        return Err(Fault::model(format!("{h}x{w} does not divide into blocks of {block}x{block}")));
    }
    let value = compose::reshape(call, input, vec![n, h / block, block, w / block, block, c])?;
    let value = compose::transpose(call, value, [0, 1, 3, 2, 4, 5])?;
    let value = compose::reshape(call, value, vec![n, h / block, w / block, block * block * c])?;
    Ok(vec![call.to_nchw(value)?])
}

/// The first operand in NHWC, and the block size.
fn map_and_block(call: &mut Call<'_>) -> Result<(NodeId, usize), Fault> {
    let block = call.attributes.int("blocksize")?.unwrap_or(0);
    let block = usize::try_from(block)
        .ok()
        .filter(|b| (1..=1 << 15).contains(b))
        .ok_or_else(|| Fault::model(format!("blocksize = {block}")))?;
    let input = call.input(0)?;
    Ok((call.to_nhwc(input)?, block))
}

fn nhwc(call: &Call<'_>, value: NodeId) -> Result<[usize; 4], Fault> {
    let ty = call.ty(value);
    <[usize; 4]>::try_from(ty.shape.as_slice())
        .map_err(|_| Fault::model(format!("{ty} is not a map of four dimensions")))
}

/// A permutation of the dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// Result dimension `i` is operand dimension `permutation[i]`.
    pub permutation: Vec<usize>,
}

impl Transpose {
    fn view(&self, input: &TensorType) -> View {
        let whole = View::whole(&input.shape);
        View { offset: 0, strides: self.permutation.iter().map(|&axis| whole.strides[axis]).collect() }
    }
}

impl Operator for Transpose {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        let [input] = shape::operands("transpose", operands)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..input.rank()) {
            let text = dims(&self.permutation);
            return Err(Fault::model(format!("{text} is no permutation of the dimensions of {input}")));
        }
        let shape: Vec<usize> = self.permutation.iter().map(|&axis| input.shape[axis]).collect();
        Ok(TensorType::new(input.dtype, shape))
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        operands[0].gather(ty.clone(), self.view(&operands[0].ty).index(&ty.shape))
    }

    fn describe(&self) -> String {
        format!("transpose {}", dims(&self.permutation))
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let [input] = shape::operands("transpose", site.operands)?;
        let to = &site.output.shape;
        Ok(vec![view::copy(input.dtype, to, 0, &self.view(input), &View::whole(to))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::testing::Case;
    use crate::plan::request::Arg;

    #[test]
    fn nchw_to_nhwc_moves_channels_inside() {
        let input = Array::float([1, 2, 2, 2], (0..8).map(f64::from).collect());
        let op = Transpose { permutation: vec![0, 2, 3, 1] };
        let ty = op.infer(std::slice::from_ref(&input.ty)).unwrap();
        assert_eq!(op.eval(&[&input], &ty).floats(), [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
    }

    #[test]
    fn nchw_to_nhwc_is_a_copy_of_two_dimensions() {
        let operands = [TensorType::f32([1, 3, 4, 5])];
        let output = TensorType::f32([1, 4, 5, 3]);
        let site = Site { operands: &operands, constants: &[None], output: &output };
        let request = &Transpose { permutation: vec![0, 2, 3, 1] }.lower(&site).unwrap()[0];
        assert_eq!(request.fields[2], ("shape", Arg::Usizes(vec![1, 1, 1, 1, 20, 3])));
        assert_eq!(request.fields[3], ("input_strides", Arg::Isizes(vec![0, 0, 0, 0, 1, 20])));
    }

    #[test]
    fn a_dimension_named_twice_is_no_permutation() {
        assert!(Transpose { permutation: vec![0, 0] }.infer(&[TensorType::f32([2, 2])]).is_err());
        assert!(Transpose { permutation: vec![0] }.infer(&[TensorType::f32([2, 2])]).is_err());
    }

    #[test]
    fn space_goes_to_depth_and_back() {
        let x = Array::float([1, 2, 4, 2], (0..16).map(f64::from).collect());
        let deep = Case::new("SpaceToDepth", 13).int("blocksize", 2).input(x.clone()).run().unwrap();
        let deep = deep.values[0].clone();
        assert_eq!(deep.ty.shape, [1, 8, 2, 1]);
        assert_eq!(deep.floats()[..6], [0.0, 4.0, 8.0, 12.0, 1.0, 5.0]);
        let back = Case::new("DepthToSpace", 13).int("blocksize", 2).input(deep).run().unwrap();
        assert_eq!(back.values, [x]);
    }
}
