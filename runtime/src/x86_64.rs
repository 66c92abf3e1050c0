//! What the CPU is proved to have.

pub use crate::kernels::x86_64::avx_vnni::AvxVnni;
pub use crate::kernels::x86_64::avx2::Avx2;
pub use crate::kernels::x86_64::avx512::Avx512;
