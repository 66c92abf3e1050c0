//! Algorithms on 8-bit codes over [`CodeVector`](crate::kernels::code_vector::CodeVector).

pub mod combine;
pub mod depthwise;
pub mod dots;
mod end;
mod gather;
pub mod matrix;
