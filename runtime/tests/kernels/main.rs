//! Every fast kernel against sums in double precision that share no code with it: random shapes, rings
//! that hold less than the map, processed band by band, and bytes around everything that must stay as they
//! are.

mod codes;
mod convolution;
mod elementwise;
mod pooling;
mod products;
mod reference;
mod scene;
mod winograd;

use mobilec_runtime::Memory;
use std::ops::Range;

/// A kernel of any instruction set.
type Kernel<S> = (&'static str, fn(&mut Memory<'_>, &S, Range<usize>));

/// The portable kernel, and the AVX2 and AVX-512 ones where the CPU has those.
/// Those of steps that are executed as a whole, `whole`, leave the rows out.
macro_rules! kernels {
    ($portable:ident, $avx2:ident) => {
        crate::kernels!($portable, $avx2, $avx2)
    };
    ($portable:ident, $avx2:ident, $avx512:ident) => {
        crate::kernels!([rows] $portable, $avx2, $avx512)
    };
    (whole $portable:ident, $avx2:ident, $avx512:ident) => {
        crate::kernels!([] $portable, $avx2, $avx512)
    };
    ([$($rows:ident)?] $portable:ident, $avx2:ident, $avx512:ident) => {{
        let mut kernels: Vec<crate::Kernel<_>> = Vec::new();
        kernels.push((concat!("portable::", stringify!($portable)), |memory, step, _rows| {
            mobilec_runtime::kernels::portable::$portable(memory, step $(, { let $rows = _rows; $rows })?);
        }));
        #[cfg(target_arch = "x86_64")]
        if mobilec_runtime::x86_64::Avx2::detect().is_some() {
            kernels.push((concat!("avx2::", stringify!($avx2)), |memory, step, _rows| {
                if let Some(cpu) = mobilec_runtime::x86_64::Avx2::detect() {
                    mobilec_runtime::kernels::x86_64::avx2::$avx2(cpu, memory, step $(, { let $rows = _rows; $rows })?);
                }
            }));
        }
        #[cfg(target_arch = "x86_64")]
        if mobilec_runtime::x86_64::Avx512::detect().is_some() {
            kernels.push((concat!("avx512::", stringify!($avx512)), |memory, step, _rows| {
                if let Some(cpu) = mobilec_runtime::x86_64::Avx512::detect() {
                    mobilec_runtime::kernels::x86_64::avx512::$avx512(cpu, memory, step $(, { let $rows = _rows; $rows })?);
                }
            }));
        }
        kernels
    }};
}
pub(crate) use kernels;

/// Cases of each property: 400 unless `PROPTEST_CASES` says otherwise, as it does where an emulator is slow.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}
