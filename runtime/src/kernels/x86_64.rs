//! Kernels for 64-bit x86.

pub mod avx2;
pub mod avx512;
pub mod avx_vnni;
mod detect;
mod lookup;
mod ymm_sums;

use self::detect::{Avx2, Avx512, Vbmi};
use super::generic::softmax::Row;
use super::portable;
use super::vector::Vector;
use crate::memory::Memory;
use crate::steps::{Copy, Lookup, Quantize, QuantizedPool2d, Softmax};
use core::ops::Range;

/// Defines `apart`, which runs a task in a function of its own that is compiled for the features. rustc 1.95 hides
/// `inline(never)` from LLVM where there are target features; so the function that is never inlined has none, and
/// what has them cannot be inlined into it.
macro_rules! apart {
    ($vis:vis $Token:ident, $features:literal) => {
        #[inline(always)]
        $vis fn apart(_: $Token, task: impl $crate::kernels::vector::Task) {
            #[inline(never)]
            fn never_inlined(task: impl $crate::kernels::vector::Task) {
                // SAFETY: only `apart` calls this, and its token proves the features.
                unsafe { compiled(task) }
            }
            #[target_feature(enable = $features)]
            fn compiled(task: impl $crate::kernels::vector::Task) {
                task.run();
            }
            never_inlined(task);
        }
    };
}
use apart;

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

/// Kernels of steps that are executed as a whole, in place of the portable ones.
macro_rules! wholes {
    ($Token:ident, $features:literal; $($(#[$doc:meta])* $name:ident: $Step:ty = $run:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(cpu: $Token, memory: &mut Memory<'_>, step: &$Step) {
            #[target_feature(enable = $features)]
            fn run(cpu: $Token, memory: &mut Memory<'_>, step: &$Step) -> Option<()> {
                $run(cpu.into(), memory, step)
            }
            // SAFETY: the token proves the features.
            told(unsafe { run(cpu, memory, step) });
        }
    )*};
}
use wholes;

/// Softmax with rows in vectors.
#[inline(always)]
fn softmax<V: Vector>(isa: V::Isa, memory: &mut Memory<'_>, step: &Softmax) -> Option<()> {
    portable::softmax::run(memory, step, |row| V::apart(isa, Row::<V> { isa, row }))
}

/// Functions of a code; by what comes with some of the CPUs that have AVX-512, where it is there.
#[inline(always)]
fn lookup(cpu: Avx512, memory: &Memory<'_>, step: &Lookup, rows: Range<usize>) -> Option<()> {
    match Vbmi::detect() {
        Some(vbmi) => lookup::run_vbmi(vbmi, memory, step, rows),
        None => lookup::run(cpu.into(), memory, step, rows),
    }
}

/// Pooling of codes, `LANES` channels at a time in the vectors of whoever inlines it.
#[inline(always)]
fn pool_of_codes<I, const LANES: usize>(
    _: I,
    memory: &Memory<'_>,
    step: &QuantizedPool2d,
    rows: Range<usize>,
) -> Option<()> {
    portable::pool_of_codes::<LANES>(memory, step, rows)
}

/// The portable loops of copies, in the vectors of whoever inlines them.
#[inline(always)]
fn copy<I>(_: I, memory: &mut Memory<'_>, step: &Copy) -> Option<()> {
    portable::copy::run::<u8>(memory, step)
}

/// The portable loops of quantisation, in the vectors of whoever inlines them.
#[inline(always)]
fn quantize<I>(_: I, memory: &mut Memory<'_>, step: &Quantize) -> Option<()> {
    portable::quantize::run(memory, step)
}
