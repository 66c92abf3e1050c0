//! Element types, tensor types and constant tensors.
//!
//! A [`Tensor`] holds little-endian bytes as ONNX files do; weights stay slices of the file they came
//! from until the plan packs them. Arithmetic on tensors belongs to [`crate::reference`].

use crate::error::Fault;
use bytes::Bytes;
use std::fmt;

/// Elements of the largest tensor, dimensions of 0 taken as 1: what 31 bits can count.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE 754 single precision; half and double precision constants become this when imported.
    F32,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Size of one element in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// Whether values are real numbers; all others are integers.
    pub const fn is_float(self) -> bool {
        match self {
            Self::F32 => true,
            Self::I8 | Self::U8 | Self::I32 | Self::I64 | Self::Bool => false,
        }
    }

    /// The name of the Rust type that holds one element.
    pub const fn rust(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rust())
    }
}

/// Element type and shape. Every dimension is known when compiling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; row-major in memory. Empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// A tensor type.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self { dtype, shape: shape.into() }
    }

    /// A tensor type whose dimensions come from a model.
    ///
    /// # Errors
    ///
    /// More than [`MAX_ELEMENTS`] elements; so no arithmetic on sizes of a tensor that exists overflows.
    pub fn checked(dtype: DType, shape: impl Into<Vec<usize>>) -> Result<Self, Fault> {
        let ty = Self::new(dtype, shape);
        let count = ty.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d.max(1)));
        if count.is_some_and(|n| n <= MAX_ELEMENTS) {
            Ok(ty)
        } else {
            Err(Fault::unsupported(format!("{ty} has more than {MAX_ELEMENTS} elements")))
        }
    }

    /// `f32` of a shape.
    pub fn f32(shape: impl Into<Vec<usize>>) -> Self {
        Self::new(DType::F32, shape)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements; `usize::MAX` where there are more.
    pub fn elements(&self) -> usize {
        if self.shape.contains(&0) { 0 } else { self.shape.iter().fold(1, |n, &d| n.saturating_mul(d)) }
    }

    /// Size in bytes, without padding; `usize::MAX` where there are more.
    pub fn bytes(&self) -> usize {
        self.elements().saturating_mul(self.dtype.bytes())
    }
}

impl fmt::Display for TensorType {
    /// `f32[1,56,56,24]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.dtype, dims(&self.shape))
    }
}

/// `1,56,56,24`
pub fn dims(shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    dims.join(",")
}

/// A constant: a type and its little-endian row-major bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Element type and shape.
    pub ty: TensorType,
    data: Bytes,
}

impl Tensor {
    /// A tensor over bytes that have exactly the length that the type asks for; otherwise `None`.
    pub fn new(ty: TensorType, data: Bytes) -> Option<Self> {
        (data.len() == ty.bytes()).then_some(Self { ty, data })
    }

    /// An `f32` tensor. `values` beyond the shape's element count are dropped, missing ones are 0.
    pub fn from_f32(shape: impl Into<Vec<usize>>, values: &[f32]) -> Self {
        let ty = TensorType::f32(shape);
        let mut values = values.to_vec();
        values.resize(ty.elements(), 0.0);
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { ty, data: data.into() }
    }

    /// An `i64` tensor of rank 1.
    pub fn from_i64(values: &[i64]) -> Self {
        let ty = TensorType::new(DType::I64, [values.len()]);
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { ty, data: data.into() }
    }

    /// The little-endian bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.data
    }

    /// The same elements under another shape of as many elements; otherwise `None`.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Option<Self> {
        Self::new(TensorType::new(self.ty.dtype, shape), self.data.clone())
    }

    /// All elements as `f32` (exact for `f32`; integers are rounded to nearest).
    pub fn to_f32(&self) -> Vec<f32> {
        match self.ty.dtype {
            DType::F32 => self.chunks::<4>().map(f32::from_le_bytes).collect(),
            _ => self.to_i64().into_iter().map(|v| v as f32).collect(),
        }
    }

    /// All elements as `f64` (exact for all but the largest `i64`).
    pub fn to_f64(&self) -> Vec<f64> {
        match self.ty.dtype {
            DType::F32 => self.chunks::<4>().map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            _ => self.to_i64().into_iter().map(|v| v as f64).collect(),
        }
    }

    /// All elements as `i64`; floats are truncated towards zero.
    pub fn to_i64(&self) -> Vec<i64> {
        match self.ty.dtype {
            DType::F32 => self.chunks::<4>().map(|b| f32::from_le_bytes(b) as i64).collect(),
            DType::I8 => self.data.iter().map(|&b| i64::from(b as i8)).collect(),
            DType::U8 | DType::Bool => self.data.iter().map(|&b| i64::from(b)).collect(),
            DType::I32 => self.chunks::<4>().map(|b| i64::from(i32::from_le_bytes(b))).collect(),
            DType::I64 => self.chunks::<8>().map(i64::from_le_bytes).collect(),
        }
    }

    fn chunks<const N: usize>(&self) -> impl Iterator<Item = [u8; N]> + '_ {
        self.data.as_chunks::<N>().0.iter().copied()
    }

    /// Four hexadecimal digits that name the content (FNV-1a, folded): `#a41c`.
    pub fn digest(&self) -> String {
        let hash = self
            .data
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let folded = (hash >> 48) ^ (hash >> 32) ^ (hash >> 16) ^ hash;
        format!("#{:04x}", folded & 0xffff)
    }
}

impl fmt::Display for Tensor {
    /// Small integer tensors and scalars are shown whole, `i64[2]{1,3}`; others as `f32[32,3,3,3] #a41c`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.ty.elements();
        if count == 1 && self.ty.dtype.is_float() {
            write!(f, "{}{{{}}}", self.ty, self.to_f32()[0])
        } else if count <= 8 && !self.ty.dtype.is_float() {
            let values: Vec<String> = self.to_i64().iter().map(ToString::to_string).collect();
            write!(f, "{}{{{}}}", self.ty, values.join(","))
        } else {
            write!(f, "{} {}", self.ty, self.digest())
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
