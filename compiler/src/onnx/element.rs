//! Element types of ONNX, and what each becomes.

use crate::error::Fault;
use crate::tensor::DType;
use std::cmp::Ordering;
use std::fmt;

macro_rules! elements {
    ($($number:literal $Variant:ident $name:literal $bits:literal $dtype:expr;)*) => {
        /// An element type of ONNX (`TensorProto.DataType`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ElementType {
            $(
                #[doc = concat!("`", $name, "`")]
                $Variant,
            )*
            /// A number that this version does not know; 0 where none is given.
            Unknown(i32),
        }

        impl ElementType {
            /// The type of a number in a file.
            pub fn new(number: i32) -> Self {
                match number {
                    $($number => Self::$Variant,)*
                    other => Self::Unknown(other),
                }
            }

            /// Bits of one element in a file; 0 where a file has no such tensors.
            pub fn bits(self) -> usize {
                match self {
                    $(Self::$Variant => $bits,)*
                    Self::Unknown(_) => 0,
                }
            }

            fn imported(self) -> Option<DType> {
                match self {
                    $(Self::$Variant => $dtype,)*
                    Self::Unknown(_) => None,
                }
            }
        }

        impl fmt::Display for ElementType {
            /// As ONNX's documents write it: `float16`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Variant => f.write_str($name),)*
                    Self::Unknown(number) => write!(f, "element type {number}"),
                }
            }
        }
    };
}

#[rustfmt::skip]
elements! {
     1 Float          "float"          32 Some(DType::F32);
     2 Uint8          "uint8"           8 Some(DType::U8);
     3 Int8           "int8"            8 Some(DType::I8);
     4 Uint16         "uint16"         16 Some(DType::I32);
     5 Int16          "int16"          16 Some(DType::I32);
     6 Int32          "int32"          32 Some(DType::I32);
     7 Int64          "int64"          64 Some(DType::I64);
     8 String         "string"          0 None;
     9 Bool           "bool"            8 Some(DType::Bool);
    10 Float16        "float16"        16 Some(DType::F32);
    11 Double         "double"         64 Some(DType::F32);
    12 Uint32         "uint32"         32 Some(DType::I64);
    13 Uint64         "uint64"         64 Some(DType::I64);
    14 Complex64      "complex64"      64 None;
    15 Complex128     "complex128"    128 None;
    16 Bfloat16       "bfloat16"       16 Some(DType::F32);
    17 Float8E4M3Fn   "float8e4m3fn"    8 None;
    18 Float8E4M3Fnuz "float8e4m3fnuz"  8 None;
    19 Float8E5M2     "float8e5m2"      8 None;
    20 Float8E5M2Fnuz "float8e5m2fnuz"  8 None;
    21 Uint4          "uint4"           4 None;
    22 Int4           "int4"            4 None;
    23 Float4E2M1     "float4e2m1"      4 None;
    24 Float8E8M0     "float8e8m0"      8 None;
    25 Uint2          "uint2"           2 None;
    26 Int2           "int2"            2 None;
}

impl ElementType {
    /// What it is imported as: every float as `f32`, 16-bit integers as `i32`, unsigned 32-bit and
    /// 64-bit ones as `i64`.
    ///
    /// # Errors
    ///
    /// A type that mobilec does not have.
    pub fn dtype(self) -> Result<DType, Fault> {
        self.imported().ok_or_else(|| match self {
            Self::Unknown(0) => Fault::model("no element type is given"),
            _ => Fault::unsupported(format!("{self} is not supported")),
        })
    }

    /// What a user should know of values of this type, where they are not computed as they are.
    pub fn note(self) -> Option<String> {
        let dtype = self.imported()?;
        let to = dtype.rust();
        match (dtype.is_float(), self.bits().cmp(&(dtype.bytes() * 8))) {
            (_, Ordering::Equal) if self != Self::Uint64 => None,
            (true, Ordering::Greater) => Some(format!("{self} is rounded to {to}")),
            (true, _) => Some(format!("{self} is computed in {to}")),
            (false, _) => Some(format!("{self} is computed in {to}, which does not wrap where {self} does")),
        }
    }
}

impl From<DType> for ElementType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::Float,
            DType::I8 => Self::Int8,
            DType::U8 => Self::Uint8,
            DType::I32 => Self::Int32,
            DType::I64 => Self::Int64,
            DType::Bool => Self::Bool,
        }
    }
}
