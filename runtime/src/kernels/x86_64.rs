//! Kernels for 64-bit x86.

pub mod avx2;
pub mod avx512;
mod detect;

macro_rules! kernels {
    ($Token:ident, $features:literal; $($(#[$doc:meta])* $name:ident: $Step:ty = $run:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(cpu: $Token, memory: &mut Memory<'_>, step: &$Step, rows: Range<usize>) {
            #[target_feature(enable = $features)]
            fn run(cpu: $Token, memory: &Memory<'_>, step: &$Step, rows: Range<usize>) -> Option<()> {
                $run(cpu.into(), memory, step, rows)
            }
            // SAFETY: the token proves the features.
            told(unsafe { run(cpu, memory, step, rows) });
        }
    )*};
}
use kernels;
