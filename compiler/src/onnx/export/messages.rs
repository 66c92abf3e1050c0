//! The small messages: attributes, tensors, declarations.

use crate::onnx::proto::{
    DimensionProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::tensor::{DType, Tensor, TensorType};

/// Attributes by their type.
pub(super) mod attribute {
    use crate::onnx::proto::AttributeProto;

    fn named(name: &str, kind: i32) -> AttributeProto {
        AttributeProto { name: name.into(), r#type: kind, ..AttributeProto::default() }
    }

    pub fn float(name: &str, value: f32) -> AttributeProto {
        AttributeProto { f: Some(value), ..named(name, 1) }
    }

    pub fn int(name: &str, value: usize) -> AttributeProto {
        AttributeProto { i: Some(value as i64), ..named(name, 2) }
    }

    pub fn ints(name: &str, values: &[usize]) -> AttributeProto {
        AttributeProto { ints: values.iter().map(|&v| v as i64).collect(), ..named(name, 7) }
    }
}

/// `TensorProto.DataType`
pub(super) fn number(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
    }
}

pub(super) fn proto(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: tensor.ty.shape.iter().map(|&d| d as i64).collect(),
        data_type: number(tensor.ty.dtype),
        raw_data: Some(tensor.bytes().clone()),
        ..TensorProto::default()
    }
}

pub(super) fn value(name: &str, ty: &TensorType) -> ValueInfoProto {
    let dim = |&d: &usize| DimensionProto { dim_value: Some(d as i64), dim_param: None };
    let shape = TensorShapeProto { dim: ty.shape.iter().map(dim).collect() };
    let tensor = TensorTypeProto { elem_type: number(ty.dtype), shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
