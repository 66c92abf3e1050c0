//! The token that proves AVX2 and FMA.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

/// Proof that the CPU has AVX2 and FMA and that the operating system saves their registers.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, if it holds. A build that assumes the features needs no question; otherwise the CPU is
    /// asked once.
    #[inline]
    pub fn detect() -> Option<Self> {
        if cfg!(all(target_feature = "avx2", target_feature = "fma")) {
            return Some(Self(()));
        }
        let known = KNOWN.load(Ordering::Relaxed);
        let answer = if known == UNKNOWN { ask() } else { known };
        (answer == YES).then_some(Self(()))
    }
}

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

/// Threads that ask at the same time get the same answer.
static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);

#[cold]
fn ask() -> u8 {
    let answer = if cpu_has() { YES } else { NO };
    KNOWN.store(answer, Ordering::Relaxed);
    answer
}

/// Intel SDM volume 1, 14.7.1: detection of AVX2; the FMA flag is CPUID.1:ECX\[12\].
fn cpu_has() -> bool {
    const FMA: u32 = 1 << 12;
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    const AVX2: u32 = 1 << 5;
    let features = FMA | OSXSAVE | AVX;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & features != features || __cpuid_count(7, 0).ebx & AVX2 == 0 {
        return false;
    }
    // SAFETY: the OSXSAVE flag says that XGETBV is there.
    let saved = unsafe { saved_registers() };
    saved & 0b110 == 0b110
}

/// The register files that the operating system saves: bit 1 xmm, bit 2 ymm.
#[target_feature(enable = "xsave")]
fn saved_registers() -> u64 {
    // SAFETY: register 0 always exists.
    unsafe { _xgetbv(0) }
}
