//! From a `TensorProto` to a [`Tensor`]: where the data are, whether their length is right, and the
//! conversion of element types that mobilec does not have.

use super::element::ElementType;
use super::external::{self, Files};
use super::notes::Notes;
use super::proto::{EXTERNAL, TensorProto};
use crate::error::Fault;
use crate::tensor::{Tensor, TensorType, dims};
use bytes::Bytes;

/// Reads a tensor, without copying where the file holds what a [`Tensor`] holds.
///
/// # Errors
///
/// An element type that is not supported, a negative dimension, data of another length than the shape
/// asks for, external data that are not there.
pub fn tensor(proto: &TensorProto, files: Files<'_>, notes: &mut Notes) -> Result<Tensor, Fault> {
    let element = ElementType::new(proto.data_type);
    let ty = TensorType::checked(element.dtype()?, shape(&proto.dims)?)?;
    if proto.segment.is_some() {
        return Err(Fault::unsupported("a tensor in segments is not supported"));
    }
    let length = ty.elements().saturating_mul(element.bits() / 8);
    let data = data(proto, element, length, files)?;
    if data.len() != length {
        return Err(wrong_length(element, &ty, length, data.len()));
    }
    if ty.dtype.is_float() && !is_exact(element, &data) {
        notes.add_all(element.note());
    }
    let data = convert(element, data)?;
    Tensor::new(ty, data).ok_or_else(|| Fault::bug("a tensor's bytes do not fit its type"))
}

fn shape(dims: &[i64]) -> Result<Vec<usize>, Fault> {
    let dim =
        |&n: &i64| usize::try_from(n).map_err(|_| Fault::model(format!("dimension {n} is out of range")));
    dims.iter().map(dim).collect()
}

fn wrong_length(element: ElementType, ty: &TensorType, expected: usize, found: usize) -> Fault {
    let shape = dims(&ty.shape);
    Fault::model(format!("{element}[{shape}] takes {expected} bytes, but {found} are there"))
        .help("the file is damaged or was cut off; export or download it again")
}

/// The bytes as `raw_data` has or would have them.
fn data(proto: &TensorProto, element: ElementType, length: usize, files: Files<'_>) -> Result<Bytes, Fault> {
    if proto.data_location == EXTERNAL {
        return external::read(&proto.external_data, length, files);
    }
    match &proto.raw_data {
        Some(raw) if !raw.is_empty() => Ok(raw.clone()),
        _ => Ok(typed(proto, element)),
    }
}

/// The field that holds elements of this type when `raw_data` does not.
fn typed(proto: &TensorProto, element: ElementType) -> Bytes {
    let (ints, longs) = (&proto.int32_data, &proto.int64_data);
    match element {
        ElementType::Float => bytes(&proto.float_data, |v| v.to_le_bytes()),
        ElementType::Double => bytes(&proto.double_data, |v| v.to_le_bytes()),
        ElementType::Int32 => bytes(ints, |v| v.to_le_bytes()),
        ElementType::Int64 => bytes(longs, |v| v.to_le_bytes()),
        ElementType::Uint32 => bytes(&proto.uint64_data, |v| (*v as u32).to_le_bytes()),
        ElementType::Uint64 => bytes(&proto.uint64_data, |v| v.to_le_bytes()),
        _ if element.bits() == 16 => bytes(ints, |v| (*v as u16).to_le_bytes()),
        _ => bytes(ints, |v| (*v as u8).to_le_bytes()),
    }
}

fn bytes<T, const N: usize>(values: &[T], to_bytes: impl Fn(&T) -> [u8; N]) -> Bytes {
    values.iter().flat_map(to_bytes).collect()
}

/// From the elements of a file to those of its [`ElementType::dtype`].
fn convert(element: ElementType, data: Bytes) -> Result<Bytes, Fault> {
    Ok(match element {
        ElementType::Float16 => map(&data, |b| f16_to_f32(u16::from_le_bytes(b)).to_le_bytes()),
        ElementType::Bfloat16 => map(&data, |b| (u32::from(u16::from_le_bytes(b)) << 16).to_le_bytes()),
        ElementType::Double => map(&data, |b| (f64::from_le_bytes(b) as f32).to_le_bytes()),
        ElementType::Uint16 => map(&data, |b| i32::from(u16::from_le_bytes(b)).to_le_bytes()),
        ElementType::Int16 => map(&data, |b| i32::from(i16::from_le_bytes(b)).to_le_bytes()),
        ElementType::Uint32 => map(&data, |b| i64::from(u32::from_le_bytes(b)).to_le_bytes()),
        ElementType::Uint64 if data.as_chunks::<8>().0.iter().any(|b| b[7] > 127) => {
            return Err(Fault::unsupported("uint64 values above 2⁶³ are not supported"));
        }
        ElementType::Bool if data.iter().any(|&b| b > 1) => map(&data, |[b]| [u8::from(b != 0)]),
        _ => data,
    })
}

/// Whether the values of a float tensor are what is computed with, by a computation as precise as the
/// model's.
fn is_exact(element: ElementType, data: &Bytes) -> bool {
    let exact = |bytes: &[u8; 8]| {
        let value = f64::from_le_bytes(*bytes);
        value.is_nan() || f64::from(value as f32) == value
    };
    match element {
        ElementType::Double => data.as_chunks::<8>().0.iter().all(exact),
        _ => element.bits() == 32,
    }
}

fn map<const N: usize, const M: usize>(data: &Bytes, convert: impl Fn([u8; N]) -> [u8; M]) -> Bytes {
    data.as_chunks::<N>().0.iter().flat_map(|chunk| convert(*chunk)).collect()
}

/// IEEE 754 half precision to single, exactly.
fn f16_to_f32(half: u16) -> f32 {
    let sign = if half >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f32::from(half & 1023));
    match (exponent, half & 1023) {
        (0, _) => sign * fraction * 2_f32.powi(-24),
        (31, 0) => sign * f32::INFINITY,
        (31, _) => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn proto(data_type: i32, dims: &[i64], raw: &[u8]) -> TensorProto {
        let raw_data = Some(Bytes::copy_from_slice(raw));
        TensorProto { data_type, dims: dims.to_vec(), raw_data, ..Default::default() }
    }

    fn read(proto: &TensorProto) -> Result<Tensor, String> {
        tensor(proto, &Default::default(), &mut Notes::default()).map_err(|fault| fault.message)
    }

    #[test]
    fn half_precision_is_exact() {
        let cases: [(u16, f32); 8] = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0xfc00, f32::NEG_INFINITY),
            (0x3555, 0.333_251_95),
        ];
        for (half, single) in cases {
            assert_eq!(f16_to_f32(half), single, "{half:#06x}");
        }
        assert!(f16_to_f32(0x7e00).is_nan());
        assert!(f16_to_f32(0x8000).is_sign_negative());
    }

    #[test]
    fn other_element_types_are_widened() {
        let int16 = read(&proto(5, &[2], &[0xff, 0xff, 1, 0])).unwrap();
        assert_eq!((int16.ty.dtype, int16.to_i64()), (DType::I32, vec![-1, 1]));
        let uint32 = read(&proto(12, &[1], &[0xff; 4])).unwrap();
        assert_eq!((uint32.ty.dtype, uint32.to_i64()), (DType::I64, vec![0xffff_ffff]));
        let bfloat16 = read(&proto(16, &[1], &[0x80, 0xbf])).unwrap();
        assert_eq!(bfloat16.to_f32(), [-1.0]);
        let double = read(&proto(11, &[1], &0.1_f64.to_le_bytes())).unwrap();
        assert_eq!(double.to_f32(), [0.1]);
        assert_eq!(read(&proto(9, &[3], &[0, 7, 1])).unwrap().to_i64(), [0, 1, 1]);
        assert!(read(&proto(13, &[1], &[0xff; 8])).is_err());
        assert_eq!(read(&proto(8, &[1], &[])).unwrap_err(), "string is not supported");
    }

    #[test]
    fn typed_fields_hold_small_integers_as_int32() {
        let mut tensor = proto(3, &[2], &[]);
        tensor.int32_data = vec![-1, 127];
        assert_eq!(read(&tensor).unwrap().to_i64(), [-1, 127]);
        tensor.data_type = 10;
        tensor.int32_data = vec![0x3c00, 0xbc00];
        assert_eq!(read(&tensor).unwrap().to_f32(), [1.0, -1.0]);
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        let message = read(&proto(1, &[2, 3], &[0; 20])).unwrap_err();
        assert_eq!(message, "float[2,3] takes 24 bytes, but 20 are there");
        assert!(read(&proto(1, &[-1], &[])).unwrap_err().contains("dimension -1"));
        assert!(read(&proto(1, &[i64::MAX, 2, 8], &[])).unwrap_err().contains("more than"));
    }

    #[test]
    fn raw_data_are_not_copied() {
        let raw = proto(1, &[2], &[0; 8]);
        let start = raw.raw_data.as_ref().map(|b| b.as_ptr());
        assert_eq!(Some(read(&raw).unwrap().bytes().as_ptr()), start);
    }
}
