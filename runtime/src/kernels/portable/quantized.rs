//! Kernels of 8-bit codes in plain Rust, with one weight a byte: what microcontrollers without vectors run.

#![allow(
    clippy::needless_range_loop,
    reason = "positions and channels of a tile are indices into several arrays"
)]

pub(super) mod combine;
pub(super) mod conv2d;
pub(super) mod depthwise;
pub(super) mod lookup;
pub(super) mod matmul;
pub(super) mod pool;
pub(super) mod softmax;

pub use combine::combine_q8;
#[cfg(target_arch = "x86_64")]
pub(in crate::kernels) use combine::run as combine_one_by_one;
pub use conv2d::conv2d_q8;
pub use depthwise::dwconv2d_q8;
pub use lookup::lookup_q8;
#[cfg(target_arch = "x86_64")]
pub(in crate::kernels) use lookup::maps as lookup_maps;
pub use matmul::matmul_q8;
pub use pool::pool2d_q8;
#[cfg(target_arch = "x86_64")]
pub(in crate::kernels) use pool::run as pool_of_codes;
pub use softmax::softmax_q8;

/// An integer weight as it is stored.
pub(in crate::kernels) trait Weight: crate::memory::Plain {
    /// Its value.
    fn value(self) -> i32;
}

impl Weight for i8 {
    #[inline(always)]
    fn value(self) -> i32 {
        self.into()
    }
}

impl Weight for i16 {
    #[inline(always)]
    fn value(self) -> i32 {
        self.into()
    }
}
