//! The tokens that prove instruction sets.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

macro_rules! token {
    ($(#[$doc:meta])* $Token:ident, [$($feature:literal),+], $has:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Token(());

        impl $Token {
            /// The proof, if it holds. A build that assumes the features needs no question; otherwise the CPU
            /// is asked once.
            #[inline]
            pub fn detect() -> Option<Self> {
                static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
                if cfg!(all($(target_feature = $feature),+)) {
                    return Some(Self(()));
                }
                let known = KNOWN.load(Ordering::Relaxed);
                let answer = if known == UNKNOWN { ask(&KNOWN, $has) } else { known };
                (answer == YES).then_some(Self(()))
            }
        }
    };
}

token! {
    /// Proof that the CPU has AVX2 and FMA and that the operating system saves their registers.
    Avx2, ["avx2", "fma"], has_avx2
}

token! {
    /// Proof that the CPU has AVX-512F, BW, DQ, VL and VNNI, AVX2 and FMA and that the operating system saves their
    /// registers: Intel's servers since Cascade Lake, AMD's CPUs since Zen 4.
    Avx512, ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx2", "fma"], has_avx512
}

token! {
    /// Proof that the CPU has AVX-VNNI, AVX2 and FMA and that the operating system saves their registers: Intel's
    /// CPUs since Alder Lake, AMD's since Zen 5.
    AvxVnni, ["avxvnni", "avx2", "fma"], has_avx_vnni
}

token! {
    /// Proof that the CPU has AVX-512F, BW and VBMI and that the operating system saves their registers: Intel's
    /// servers since Ice Lake, AMD's CPUs since Zen 4.
    Vbmi, ["avx512f", "avx512bw", "avx512vbmi"], has_vbmi
}

impl From<AvxVnni> for Avx2 {
    fn from(_: AvxVnni) -> Self {
        Self(())
    }
}

impl From<Avx512> for Avx2 {
    fn from(_: Avx512) -> Self {
        Self(())
    }
}

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

/// Threads that ask at the same time get the same answer.
#[cold]
fn ask(known: &AtomicU8, has: fn() -> bool) -> u8 {
    let answer = if has() { YES } else { NO };
    known.store(answer, Ordering::Relaxed);
    answer
}

/// Intel SDM volume 1, 14.7.1: detection of AVX2; the FMA flag is CPUID.1:ECX\[12\].
fn has_avx2() -> bool {
    const AVX2: u32 = 1 << 5;
    has_fma() && __cpuid_count(7, 0).ebx & AVX2 != 0 && saves(0b110)
}

/// Intel SDM volume 1, 15.2 to 15.4: detection of AVX-512F and what goes with it; the state bits are those of opmask,
/// the upper halves of the first 16 and the whole of the other zmm registers.
fn has_avx512() -> bool {
    const F: u32 = 1 << 16;
    const DQ: u32 = 1 << 17;
    const BW: u32 = 1 << 30;
    const VL: u32 = 1 << 31;
    const VNNI: u32 = 1 << 11;
    let features = || {
        let leaf = __cpuid_count(7, 0);
        leaf.ebx & (F | DQ | BW | VL) == F | DQ | BW | VL && leaf.ecx & VNNI != 0
    };
    has_avx2() && features() && saves(0b1110_0110)
}

/// Intel's instruction set extensions reference: AVX-VNNI is CPUID.(7, 1):EAX\[4\], where subleaf 1 is there.
fn has_avx_vnni() -> bool {
    const AVX_VNNI: u32 = 1 << 4;
    has_avx2() && __cpuid_count(7, 0).eax >= 1 && __cpuid_count(7, 1).eax & AVX_VNNI != 0
}

fn has_vbmi() -> bool {
    const VBMI: u32 = 1 << 1;
    has_avx512() && __cpuid_count(7, 0).ecx & VBMI != 0
}

fn has_fma() -> bool {
    const FMA: u32 = 1 << 12;
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    let features = FMA | OSXSAVE | AVX;
    __cpuid(0).eax >= 7 && __cpuid(1).ecx & features == features
}

/// Whether the operating system saves these register files. Asked only where FMA is there.
fn saves(files: u64) -> bool {
    // SAFETY: whoever has FMA has the OSXSAVE flag, which says that XGETBV is there.
    unsafe { saved_registers() & files == files }
}

/// The register files that the operating system saves: bit 1 xmm, bit 2 ymm, bits 5 to 7 AVX-512.
#[target_feature(enable = "xsave")]
fn saved_registers() -> u64 {
    // SAFETY: register 0 always exists.
    unsafe { _xgetbv(0) }
}
