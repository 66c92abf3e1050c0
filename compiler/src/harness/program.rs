//! The text of the program around an emitted module.

use crate::plan::{Plan, Port};
use crate::tensor::DType;
use mobilec_targets::Isa;
use std::fmt::Write as _;

/// Manifest of the program, with `{name}` and `{runtime}` to fill in.
pub const MANIFEST: &str = r#"[package]
name = "{name}"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
mobilec-runtime = { path = "{runtime}", features = ["alloc"] }

[profile.release]
opt-level = 3
codegen-units = 4
panic = "abort"
debug = "line-tables-only"

[workspace]
"#;

/// Manifest of the unpacked runtime.
pub const RUNTIME_MANIFEST: &str = r#"[package]
name = "mobilec-runtime"
version = "0.1.0"
edition = "2024"
publish = false

[features]
alloc = []

[workspace]
"#;

/// `main.rs` for a plan.
pub fn source(plan: &Plan, observe: bool) -> String {
    let mut calls = String::new();
    let mut inputs = Vec::new();
    for (i, port) in plan.inputs.iter().enumerate() {
        let (element, len) = (element(port), port.ty.elements());
        let _ = writeln!(calls, "    let mut in{i}: Box<[{element}; {len}]> = zeros();");
        let _ = writeln!(calls, "    fill!(*in{i}, {element}, bytes);");
        inputs.push(format!("&in{i}"));
    }
    let arguments = inputs.join(", ");
    let stores: String = if plan.outputs.len() == 1 {
        "        store!(out, outputs);\n".into()
    } else {
        // The struct's fields are taken in order by a pattern that the module's own names fill.
        crate::codegen::output_fields(plan)
            .iter()
            .map(|field| format!("        store!(out, outputs.{field});\n"))
            .collect()
    };
    let template = if observe { OBSERVE } else { RUN };
    let sample_bytes: usize = plan.inputs.iter().map(|port| port.ty.bytes()).sum();
    COMMON
        .replace("{sample_bytes}", &sample_bytes.to_string())
        .replace("{layers}", &plan.layers.len().to_string())
        .replace("{widest}", if plan.variants.contains(&Isa::Avx512) { "true" } else { "false" })
        + &template.replace("{calls}", &calls).replace("{arguments}", &arguments).replace("{stores}", &stores)
}

fn element(port: &Port) -> &'static str {
    match port.ty.dtype {
        DType::Bool => "u8",
        DType::F32 | DType::I8 | DType::U8 | DType::I32 | DType::I64 => port.ty.dtype.rust(),
    }
}

const COMMON: &str = r#"//! Runs and times one compiled network.
#![allow(dead_code, unused_macros, unused_mut, unused_variables)]

mod net {
    include!("net.rs");
}

use std::io::Write as _;
use std::time::Instant;

const SAMPLE_BYTES: usize = {sample_bytes};
const LAYERS: usize = {layers};

macro_rules! fill {
    ($array:expr, $T:ty, $bytes:expr) => {
        for value in $array.iter_mut() {
            let (head, tail) = $bytes.split_at(size_of::<$T>());
            *value = <$T>::from_le_bytes(head.try_into().unwrap());
            $bytes = tail;
        }
    };
}

macro_rules! store {
    ($out:expr, $values:expr) => {
        for value in $values {
            $out.extend_from_slice(&value.to_le_bytes());
        }
    };
}

fn zeros<T: Copy + Default, const N: usize>() -> Box<[T; N]> {
    vec![T::default(); N].into_boxed_slice().try_into().ok().unwrap()
}

/// Whether the core's peak is that of its widest vectors, or of 256 bits because the module uses no wider ones.
const WIDEST: bool = {widest};

/// Billions of floating-point operations a second: a round of independent fused multiply-adds in registers.
fn peak_gflops() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if WIDEST && is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was just detected. 512 bits at a lower clock can be no faster than 256.
        return unsafe { wide_round().max(fma_round()) };
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were just detected.
        return unsafe { fma_round() };
    }
    0.0
}

macro_rules! round_of_fma {
    ($name:ident, $features:literal, $splat:ident, $fmadd:ident, $lanes:literal) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $name() -> f64 {
            use std::arch::x86_64::*;
            const ROUNDS: usize = 200_000;
            let (a, b) = ($splat(std::hint::black_box(0.999)), $splat(std::hint::black_box(0.001)));
            let mut sums = [$splat(1.0); 12];
            let start = Instant::now();
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = $fmadd(*sum, a, b);
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            std::hint::black_box(sums);
            (ROUNDS * 12 * 2 * $lanes) as f64 / seconds / 1e9
        }
    };
}

round_of_fma!(fma_round, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, 8);
round_of_fma!(wide_round, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, 16);

/// Calls `round` for about `seconds`, at least 5 times, after 3 that do not count. Answers the core's peak, the best of
/// those measured in between: the clock depends on what was computed just before, and on the neighbours.
fn repeat(seconds: f64, mut round: impl FnMut(bool)) -> f64 {
    const BETWEEN: f64 = 0.005;
    for _ in 0..3 {
        round(false);
    }
    let start = Instant::now();
    let (mut count, mut peak, mut next) = (0, 0.0, 0.0);
    while count < 5 || start.elapsed().as_secs_f64() < seconds {
        round(true);
        count += 1;
        if start.elapsed().as_secs_f64() >= next {
            peak = peak_gflops().max(peak);
            next = start.elapsed().as_secs_f64() + BETWEEN;
        }
    }
    peak
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let input = std::fs::read(&arguments[2]).unwrap();
    let seconds: f64 = arguments.get(4).map_or(1.0, |text| text.parse().unwrap());
    let output = main_with(&arguments[1], &input, seconds);
    std::fs::write(&arguments[3], output).unwrap();
}
"#;

const RUN: &str = r#"
fn sample(arena: &mut net::Arena, mut bytes: &[u8], out: &mut Vec<u8>) -> u64 {
{calls}
    let start = Instant::now();
    let outputs = net::run(arena, {arguments});
    let nanoseconds = start.elapsed().as_nanos() as u64;
{stores}
    nanoseconds
}

fn main_with(verb: &str, input: &[u8], seconds: f64) -> Vec<u8> {
    let mut arena = net::Arena::boxed();
    let mut out = Vec::new();
    match verb {
        "run" => {
            for bytes in input.chunks_exact(SAMPLE_BYTES.max(1)) {
                println!("ns {}", sample(&mut arena, bytes, &mut out));
            }
        }
        _ => {
            let mut bytes = input;
            let arena = &mut *arena;
{calls}
            let mut times = Vec::new();
            let peak = repeat(seconds, |counts| {
                let start = Instant::now();
                std::hint::black_box(net::run(arena, {arguments}));
                if counts {
                    times.push(start.elapsed().as_nanos());
                }
            });
            println!("peak {}", peak);
            let mut text = String::new();
            times.iter().for_each(|time| text.push_str(&format!("ns {time}\n")));
            std::io::stdout().write_all(text.as_bytes()).unwrap();
        }
    }
    out
}
"#;

const OBSERVE: &str = r#"
fn main_with(verb: &str, input: &[u8], seconds: f64) -> Vec<u8> {
    let mut arena = net::Arena::boxed();
    let arena = &mut *arena;
    let mut out = Vec::new();
    let mut bytes = input;
{calls}
    match verb {
        "observe" => {
            net::run_observed(arena, {arguments}, &mut |layer, value| {
                out.extend_from_slice(&(layer as u64).to_le_bytes());
                out.extend_from_slice(&(value.len() as u64).to_le_bytes());
                out.extend_from_slice(value);
            });
        }
        _ => {
            let mut least = vec![u64::MAX; LAYERS];
            let peak = repeat(seconds, |counts| {
                let mut last = Instant::now();
                let begin = last;
                let mut sums = vec![0; LAYERS];
                net::run_observed(arena, {arguments}, &mut |layer, _| {
                    sums[layer] += last.elapsed().as_nanos() as u64;
                    last = Instant::now();
                });
                if counts {
                    least.iter_mut().zip(sums).for_each(|(least, sum)| *least = sum.min(*least));
                    println!("ns {}", begin.elapsed().as_nanos());
                }
            });
            println!("peak {}", peak);
            for time in least {
                println!("layer {}", if time == u64::MAX { 0 } else { time });
            }
        }
    }
    out
}
"#;
