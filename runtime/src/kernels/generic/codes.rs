//! Algorithms on 8-bit codes over [`CodeVector`](crate::kernels::code_vector::CodeVector).

pub mod combine;
pub mod depthwise;
mod end;
mod gather;
pub mod matrix;
