//! Planning as if a network were quantised already: one byte for every float.
//!
//! Activations and weights count one byte an element, biases four, as int8 networks have them. Kernels and
//! their costs are still those for floats, so nothing can be emitted from such a plan; its memory is an
//! estimate.

use super::pack::pack;
use super::request::Packed;
use super::{Buffer, Layer, Port};
use crate::tensor::{DType, TensorType};
use mobilec_targets::Layout;

/// Floats in memory become bytes.
pub fn narrow<'a>(buffers: &mut [Buffer], layers: &mut [Layer], ports: impl Iterator<Item = &'a mut Port>) {
    for buffer in buffers.iter_mut().filter(|buffer| buffer.ty.dtype == DType::F32) {
        buffer.row_bytes /= DType::F32.bytes();
        buffer.ty.dtype = DType::I8;
    }
    let types = layers.iter_mut().flat_map(|layer| [&mut layer.input, &mut layer.output]);
    types.chain(ports.map(|port| &mut port.ty)).for_each(byte);
}

fn byte(ty: &mut TensorType) {
    if ty.dtype == DType::F32 {
        ty.dtype = DType::I8;
    }
}

/// Constants of a kernel that would be quantised: every value's sign and first bits. Biases stay as they are.
pub fn narrowed(packed: &Packed, layout: Layout) -> Vec<u8> {
    let bytes = pack(packed, layout);
    match packed {
        Packed::Raw(_) | Packed::Channels { taps: 1, .. } => bytes,
        Packed::Filters { .. } | Packed::Taps { .. } | Packed::Words(_) => bytes,
        Packed::Matrix { .. } | Packed::Channels { .. } => {
            bytes.chunks_exact(DType::F32.bytes()).map(|value| value[3]).collect()
        }
    }
}
