//! Algorithms on 8-bit codes over [`CodeVector`](crate::kernels::code_vector::CodeVector), and over
//! [`ByteVector`](crate::kernels::byte_vector::ByteVector) where bytes are multiplied in quads.

pub mod combine;
pub mod depthwise;
pub mod dots;
mod end;
mod gather;
pub mod matrix;
pub mod product;
pub mod slide;
