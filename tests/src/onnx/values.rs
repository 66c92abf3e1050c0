//! Tensors of the test models, and their values in the compiler's types.

use mobilec::reference::Array;
use mobilec::tensor::DType;
use onnx_protobuf::TensorProto;

/// `FLOAT`
pub const F32: i32 = 1;
/// `UINT8`
pub const U8: i32 = 2;
/// `INT8`
pub const I8: i32 = 3;
/// `INT32`
pub const I32: i32 = 6;
/// `INT64`
pub const I64: i32 = 7;
/// `BOOL`
pub const BOOL: i32 = 9;
/// `FLOAT16`
pub const F16: i32 = 10;
/// `DOUBLE`
pub const F64: i32 = 11;

/// A Rust type whose values a tensor can be made of.
pub trait Element: Copy {
    /// The element type's number in ONNX.
    const TYPE: i32;
    /// Appends the value, little-endian.
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! elements {
    ($($T:ty = $TYPE:ident),*) => {
        $(
            impl Element for $T {
                const TYPE: i32 = $TYPE;
                fn put(self, bytes: &mut Vec<u8>) {
                    bytes.extend_from_slice(&self.to_le_bytes());
                }
            }
        )*
    };
}

elements!(f32 = F32, f64 = F64, u8 = U8, i8 = I8, i32 = I32, i64 = I64);

impl Element for bool {
    const TYPE: i32 = BOOL;
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
}

/// A tensor with `raw_data`.
pub fn tensor<T: Element>(name: &str, shape: &[usize], values: &[T]) -> TensorProto {
    let mut raw_data = Vec::new();
    values.iter().for_each(|value| value.put(&mut raw_data));
    TensorProto {
        name: name.into(),
        data_type: T::TYPE,
        dims: shape.iter().map(|&n| n as i64).collect(),
        raw_data,
        ..Default::default()
    }
}

/// The value of a tensor in the compiler's types: all floats are single precision, 16-bit integers
/// become `i32`, unsigned 32-bit and 64-bit ones `i64`.
///
/// # Errors
///
/// An element type that the compiler does not have.
pub fn array(tensor: &TensorProto) -> Result<Array, String> {
    let shape: Vec<usize> = tensor.dims.iter().map(|&n| n as usize).collect();
    let words = |bytes: usize| words(tensor, bytes);
    let ints = |dtype, values: Vec<i64>| Ok(Array::int(dtype, shape.clone(), values));
    let floats = |values: Vec<f64>| Ok(Array::float(shape.clone(), values));
    let single = |word: u64| f64::from(f32::from_bits(word as u32));
    match tensor.data_type {
        F32 => floats(words(4).into_iter().map(single).collect()),
        F64 => floats(words(8).into_iter().map(f64::from_bits).collect()),
        F16 => floats(words(2).into_iter().map(half).collect()),
        16 => floats(words(2).into_iter().map(|word| single(word << 16)).collect()),
        U8 => ints(DType::U8, words(1).into_iter().map(|word| word as i64).collect()),
        I8 => ints(DType::I8, words(1).into_iter().map(|word| word as i64).collect()),
        BOOL => ints(DType::Bool, words(1).into_iter().map(|word| word as i64).collect()),
        4 => ints(DType::I32, words(2).into_iter().map(|word| word as i64).collect()),
        5 => ints(DType::I32, words(2).into_iter().map(|word| i64::from(word as i16)).collect()),
        I32 => ints(DType::I32, words(4).into_iter().map(|word| word as i64).collect()),
        12 => ints(DType::I64, words(4).into_iter().map(|word| word as i64).collect()),
        I64 | 13 => ints(DType::I64, words(8).into_iter().map(|word| word as i64).collect()),
        other => Err(format!("element type {other}")),
    }
}

/// The elements' bits, from `raw_data` or from the field of their type.
fn words(tensor: &TensorProto, bytes: usize) -> Vec<u64> {
    let raw = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    let typed = [
        tensor.float_data.iter().map(|v| u64::from(v.to_bits())).collect::<Vec<u64>>(),
        tensor.double_data.iter().map(|v| v.to_bits()).collect(),
        tensor.int32_data.iter().map(|&v| v as u64).collect(),
        tensor.int64_data.iter().map(|&v| v as u64).collect(),
        tensor.uint64_data.clone(),
    ];
    match tensor.raw_data.is_empty() {
        true => typed.into_iter().find(|values| !values.is_empty()).unwrap_or_default(),
        false => tensor.raw_data.chunks_exact(bytes).map(raw).collect(),
    }
}

/// The value of an IEEE 754 half.
fn half(bits: u64) -> f64 {
    let (sign, exponent, fraction) = (bits >> 15 & 1, bits >> 10 & 31, (bits & 1023) as f64);
    let value = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent as i32 - 25),
    };
    if sign == 1 { -value } else { value }
}

/// `count` numbers between −1 and 1 that look random and depend on `seed` alone (a multiplicative
/// congruential generator; Park and Miller, 1988).
pub fn noise(seed: u32, count: usize) -> Vec<f32> {
    let modulus = 0x7fff_ffff_u64;
    let mut state = u64::from(seed) * 2_654_435_761 % (modulus - 1) + 1;
    let mut next = || {
        state = state * 48_271 % modulus;
        (state as f64 / modulus as f64 * 2.0 - 1.0) as f32
    };
    (0..count + 8).map(|_| next()).skip(8).collect()
}
