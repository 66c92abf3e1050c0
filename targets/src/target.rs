//! Targets: instruction sets, caches, memory.

/// Processor family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// Any CPU that Rust compiles for.
    Portable,
    /// 64-bit x86.
    X86_64,
}

/// An instruction set that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust.
    Portable,
    /// AVX2 and FMA: 16 registers of 8 `f32`.
    Avx2,
    /// AVX2 and AVX-VNNI.
    AvxVnni,
    /// AVX-512F, BW, DQ, VL and VNNI: 32 registers of 16 `f32`.
    Avx512,
}

impl Isa {
    /// The token type of the runtime that proves the instruction set; `None` where nothing needs proof.
    pub const fn token(self) -> Option<&'static str> {
        match self {
            Self::Portable => None,
            Self::Avx2 => Some("x86_64::Avx2"),
            Self::AvxVnni => Some("x86_64::AvxVnni"),
            Self::Avx512 => Some("x86_64::Avx512"),
        }
    }

    /// The name of the emitted module that holds this instruction set's functions.
    pub const fn module(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx_vnni",
            Self::Avx512 => "avx512",
        }
    }

    /// Instruction sets whose kernels run where this one is, best first.
    pub const fn usable(self) -> &'static [Self] {
        match self {
            Self::Portable => &[Self::Portable],
            Self::Avx2 => &[Self::Avx2, Self::Portable],
            Self::AvxVnni => &[Self::AvxVnni, Self::Avx2, Self::Portable],
            Self::Avx512 => &[Self::Avx512, Self::Portable],
        }
    }
}

/// What code is generated for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The name on the command line.
    pub name: &'static str,
    /// What it stands for, for people.
    pub about: &'static str,
    /// Processor family; an emitted module compiles for no other.
    pub arch: Arch,
    /// One complete set of functions is emitted for each that has kernels of its own for a network, and the first
    /// that the CPU has is run.
    pub variants: &'static [Isa],
    /// Level 1 data cache, in bytes.
    pub l1_bytes: usize,
    /// Level 2 cache, in bytes.
    pub l2_bytes: usize,
    /// Alignment of tensors in the arena and of weights, in bytes.
    pub align: usize,
    /// What a kernel may keep on the stack, in bytes.
    pub stack_bytes: usize,
    /// Peak of single-precision multiply-adds a cycle.
    pub fma_per_cycle: f64,
}

/// Plain Rust for any CPU, `no_std` and without alloc.
pub const PORTABLE: Target = Target {
    name: "portable",
    about: "any CPU, plain Rust",
    arch: Arch::Portable,
    variants: &[Isa::Portable],
    l1_bytes: 32 << 10,
    l2_bytes: 256 << 10,
    align: 16,
    stack_bytes: 16 << 10,
    fma_per_cycle: 1.0,
};

/// x86 with AVX2 and FMA (Haswell 2013, Zen 2017, and later).
pub const X86_64_AVX2: Target = Target {
    name: "x86-64-avx2",
    about: "x86 with AVX2 and FMA (Haswell, Zen and later)",
    arch: Arch::X86_64,
    variants: &[Isa::Avx2],
    l1_bytes: 32 << 10,
    l2_bytes: 512 << 10,
    align: 64,
    stack_bytes: 512 << 10, // a quarter of what threads of Rust have, 2 MiB
    fma_per_cycle: 16.0, // two 256-bit FMAs: Intel optimization manual, Haswell; AMD 19h software optimization guide
};

/// x86 with AVX2 and AVX-VNNI (Alder Lake 2021, Zen 5 2024, and later).
pub const X86_64_AVX_VNNI: Target = Target {
    name: "x86-64-avx-vnni",
    about: "x86 with AVX2 and AVX-VNNI (Alder Lake, Zen 5 and later)",
    variants: &[Isa::AvxVnni],
    ..X86_64_AVX2
};

/// x86 with AVX-512 and VNNI (Cascade Lake 2019, Zen 4 2022, and later).
pub const X86_64_AVX512: Target = Target {
    name: "x86-64-avx512",
    about: "x86 with AVX-512 and VNNI (Cascade Lake, Zen 4 and later)",
    variants: &[Isa::Avx512],
    l2_bytes: 1 << 20,
    ..X86_64_AVX2
};

/// Any 64-bit x86; the best instruction set is found when running.
pub const X86_64: Target = Target {
    name: "x86-64",
    about: "any 64-bit x86; AVX-512, AVX-VNNI or AVX2 where the CPU has it, found when running",
    variants: &[Isa::Avx512, Isa::AvxVnni, Isa::Avx2, Isa::Portable],
    ..X86_64_AVX2
};

/// Every target, in the order in which they are listed.
pub const ALL: &[Target] = &[PORTABLE, X86_64_AVX2, X86_64_AVX_VNNI, X86_64_AVX512, X86_64];

/// The target of that name.
pub fn by_name(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
