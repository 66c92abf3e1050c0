//! Reads safetensors files. Single precision is not copied; half and double precision become single.

use super::Tensors;
use crate::error::{Error, Fault, Problem};
use crate::tensor::{DType, Tensor, TensorType};
use bytes::Bytes;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The tensors of a file; `name` is what messages call it. Integers, such as counts of training steps, are
/// left out.
///
/// # Errors
///
/// Bytes that are no safetensors file, and all tensors of a type that is not supported.
pub fn read(name: &str, bytes: &Bytes) -> Result<Tensors, Error> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| Error::whole(name, Fault::model(format!("this is no safetensors file: {error}"))))?;
    let mut tensors = Tensors::new();
    let mut problems = Vec::new();
    let mut views: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    views.sort_by_key(|(key, _)| *key);
    for (key, view) in views {
        match tensor(bytes, &view) {
            Ok(Some(tensor)) => drop(tensors.insert(key.to_owned(), tensor)),
            Ok(None) => {}
            Err(mut fault) => {
                fault.message = format!("tensor {key}: {}", fault.message);
                problems.push(Problem::whole(fault));
            }
        }
    }
    if problems.is_empty() { Ok(tensors) } else { Err(Error::problems(name, problems)) }
}

fn tensor(file: &Bytes, view: &TensorView<'_>) -> Result<Option<Tensor>, Fault> {
    let ty = TensorType::checked(DType::F32, view.shape())?;
    let data: Bytes = match view.dtype() {
        Dtype::F32 => file.slice_ref(view.data()),
        Dtype::F16 => halves(view.data(), half),
        Dtype::BF16 => halves(view.data(), |bits| f32::from_bits(u32::from(bits) << 16)),
        Dtype::F64 => {
            let doubles = view.data().as_chunks::<8>().0.iter();
            doubles.flat_map(|&bytes| (f64::from_le_bytes(bytes) as f32).to_le_bytes()).collect()
        }
        Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::U64 | Dtype::U32 | Dtype::U16 | Dtype::BOOL => {
            return Ok(None);
        }
        other => return Err(Fault::unsupported(format!("element type {other:?} is not supported"))),
    };
    Tensor::new(ty, data).map(Some).ok_or_else(|| Fault::model("its data and its shape do not fit"))
}

fn halves(data: &[u8], convert: impl Fn(u16) -> f32) -> Bytes {
    let halves = data.as_chunks::<2>().0.iter();
    halves.flat_map(|&bytes| convert(u16::from_le_bytes(bytes)).to_le_bytes()).collect()
}

/// IEEE 754 half precision.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 0x1f, f32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(i32::from(exponent) - 15),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::serialize;

    fn file(dtype: Dtype, shape: &[usize], data: &[u8]) -> Bytes {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        serialize([("x", view)], None).unwrap().into()
    }

    #[test]
    fn every_float_becomes_single() {
        let read = |dtype, data: &[u8]| read("file", &file(dtype, &[2], data)).unwrap()["x"].to_f32();
        assert_eq!(read(Dtype::F32, &[0, 0, 128, 63, 0, 0, 0, 192]), [1.0, -2.0]);
        assert_eq!(read(Dtype::F16, &[0, 0x3c, 0, 0xc0]), [1.0, -2.0]);
        assert_eq!(read(Dtype::BF16, &[0x80, 0x3f, 0, 0xc0]), [1.0, -2.0]);
        assert_eq!(half(0x0001), 2.0_f32.powi(-24));
    }

    #[test]
    fn counters_are_left_out_and_other_bytes_are_refused() {
        assert!(read("file", &file(Dtype::I64, &[1], &[0; 8])).unwrap().is_empty());
        assert!(read("file", &Bytes::from_static(b"PK\x03\x04 no safetensors")).is_err());
        assert!(read("file", &Bytes::new()).is_err());
    }
}
