//! Depthwise convolution, NHWC: output channel `o` reads input channel `o / multiplier`.
//!
//! `y[n,oy,ox,o] = Σ x[n, oy·s + ky·d − p, ox·s + kx·d − p, o / multiplier] · w[ky,kx,o] + bias[o]`.
//! Its ONNX spelling is `Conv` with as many groups as channels, which `conv2d.rs` reads.

use super::{Operator, epilogue, expect};
use crate::error::Fault;
use crate::onnx::Spelling;
use crate::ops::epilogue::Epilogue;
use crate::ops::window::Window;
use crate::plan::request::{Arg, MapShape, Operand, Packed, Request, Rows, Site};
use crate::reference::Array;
use crate::tensor::{DType, TensorType};
use mobilec_targets::Family;

/// None of its own.
pub const ONNX: &[Spelling] = &[];

/// Depthwise convolution. Operands: input `[N,H,W,C]`, weight `[kh,kw,C·multiplier]`, then bias
/// `[C·multiplier]` and residual where there are any (a residual comes with a bias).
#[derive(Clone, Debug, PartialEq)]
pub struct Depthwise {
    /// The sliding window.
    pub window: Window,
    /// Output channels per input channel.
    pub multiplier: usize,
    /// What is done before storing.
    pub epilogue: Epilogue,
}

impl Operator for Depthwise {
    fn infer(&self, operands: &[TensorType]) -> Result<TensorType, Fault> {
        self.epilogue.check_operands("a depthwise convolution", operands)?;
        let (input, weight) = (&operands[0], &operands[1]);
        let [n, height, width, channels] = expect::map("a depthwise convolution", input)?;
        let [kh, kw] = self.window.kernel;
        let outputs = channels.checked_mul(self.multiplier).filter(|&outputs| outputs > 0);
        let Some(outputs) = outputs.filter(|&outputs| weight.shape == [kh, kw, outputs]) else {
            return Err(Fault::model(format!(
                "a weight {weight} does not fit the input {input} with {} outputs a channel in a window of {}",
                self.multiplier,
                self.window.describe()
            )));
        };
        let [oh, ow] = self.window.output([height, width])?;
        self.epilogue.check_result("a depthwise convolution", operands, vec![n, oh, ow, outputs])
    }

    fn eval(&self, operands: &[&Array], ty: &TensorType) -> Array {
        let (input, weight) = (operands[0], operands[1]);
        let [height, row_elements] = [input.ty.shape[1], input.ty.shape[2] * input.ty.shape[3]];
        let mut sums = vec![0.0; ty.elements()];
        let rows = sums.chunks_exact_mut(ty.shape[2] * ty.shape[3]);
        for (row, out) in rows.enumerate() {
            let (image, oy) = (row / ty.shape[1], row % ty.shape[1]);
            for ky in 0..self.window.kernel[0] {
                if let Some(y) = self.window.tap(0, oy, ky, height) {
                    let at = (image * height + y) * row_elements;
                    self.add_row(out, &input.floats()[at..at + row_elements], weight, ky);
                }
            }
        }
        self.epilogue.finish(sums, operands, ty)
    }

    fn macs(&self, _operands: &[TensorType], ty: &TensorType) -> u64 {
        ty.elements() as u64 * self.window.taps() as u64
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        let multiplier = if self.multiplier == 1 { String::new() } else { format!(" m{}", self.multiplier) };
        format!("depthwise {}{multiplier}{}", self.window.describe(), self.epilogue.describe())
    }

    fn lower(&self, site: &Site<'_>) -> Result<Vec<Request>, Fault> {
        let weight = site.constant(1, "the weight of a depthwise convolution")?;
        let (taps, n) = (self.window.taps(), weight.ty.shape[2]);
        let weights = Arg::Weights(Packed::Channels { values: weight.to_f32(), taps, n });
        let bias = epilogue::bias(site, n)?;
        let images = 0..site.output.shape[0];
        Ok(images.map(|image| self.image(site, image, weights.clone(), bias.clone())).collect())
    }
}

impl Depthwise {
    /// Adds what the taps of one kernel row give to one row of the result.
    fn add_row(&self, out: &mut [f64], row: &[f64], weight: &Array, ky: usize) {
        let &[_, kw, outputs] = &weight.ty.shape[..] else { return };
        let channels = outputs / self.multiplier;
        let width = row.len() / channels;
        for (ox, out) in out.chunks_exact_mut(outputs).enumerate() {
            for kx in 0..kw {
                let Some(x) = self.window.tap(1, ox, kx, width) else { continue };
                let pixel = &row[x * channels..(x + 1) * channels];
                let taps = &weight.floats()[(ky * kw + kx) * outputs..][..outputs];
                let m = self.multiplier;
                for ((out, taps), value) in out.chunks_exact_mut(m).zip(taps.chunks_exact(m)).zip(pixel) {
                    out.iter_mut().zip(taps).for_each(|(sum, tap)| *sum += value * tap);
                }
            }
        }
    }

    fn image(&self, site: &Site<'_>, image: usize, weights: Arg, bias: Arg) -> Request {
        let [input, output] =
            [&site.operands[0], site.output].map(|ty| MapShape::nhwc(&ty.shape).image(image));
        Request {
            family: Family::Depthwise,
            dtype: DType::F32,
            shape: self.window.shape(output, self.multiplier, self.window.taps()),
            fields: [
                ("input", Arg::Map(Operand::Input(0), input)),
                ("output", Arg::Map(Operand::Output, output)),
            ]
            .into_iter()
            .chain(self.window.arguments())
            .chain([
                ("multiplier", Arg::Usize(self.multiplier)),
                ("weights", weights),
                ("bias", bias),
                ("epilogue", self.epilogue.argument(output)),
            ])
            .collect(),
            rows: Rows::of(&self.window),
            in_place: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(multiplier: usize, epilogue: Epilogue) -> Depthwise {
        let window = Window { kernel: [2, 1], stride: [2, 1], pad: [1, 0, 0, 0], ..Window::POINT };
        Depthwise { window, multiplier, epilogue }
    }

    #[test]
    fn rows_of_padding_count_as_zero() {
        let input = Array::float([1, 3, 1, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let weight = Array::float([2, 1, 2], vec![1.0, 10.0, 100.0, 1000.0]);
        let depthwise = op(1, Epilogue::default());
        let ty = depthwise.infer(&[input.ty.clone(), weight.ty.clone()]).unwrap();
        let expected = Array::float([1, 2, 1, 2], vec![100.0, 2000.0, 503.0, 6040.0]);
        assert_eq!(depthwise.eval(&[&input, &weight], &ty), expected);
        assert_eq!(depthwise.macs(&[], &ty), 8);
    }

    #[test]
    fn weight_and_residual_must_fit() {
        let types = |shapes: &[&[usize]]| shapes.iter().map(|s| TensorType::f32(*s)).collect::<Vec<_>>();
        let (x, w) = (&[1, 3, 1, 2][..], &[2, 1, 4][..]);
        assert!(op(1, Epilogue::default()).infer(&types(&[x, w])).is_err());
        assert!(op(2, Epilogue::default()).infer(&types(&[x, w])).is_ok());
        let added = Epilogue { residual: true, ..Epilogue::default() };
        assert!(op(2, added).infer(&types(&[x, w, &[4], &[1, 2, 1, 4]])).is_ok());
        assert!(op(2, added).infer(&types(&[x, w, &[4], &[1, 3, 1, 4]])).is_err());
        assert!(op(2, added).infer(&types(&[x, w, &[4]])).is_err());
    }
}
