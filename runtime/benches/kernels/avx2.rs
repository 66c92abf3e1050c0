//! The AVX2 kernels, and in the last columns those for AVX-512, where the CPU has it, and the portable ones.

mod codes;
mod products;

use core::arch::x86_64::*;
use mobilec_runtime::kernels::{portable, x86_64::avx2, x86_64::avx512};
use mobilec_runtime::steps::*;
use mobilec_runtime::x86_64::{Avx2, Avx512};
use mobilec_runtime::{Arena, Memory, bytes_of};
use std::hint::black_box;
use std::time::Instant;

const RELU6: Activation = Activation::Clamp { lo: 0.0, hi: 6.0 };

pub fn main() {
    let Some(cpu) = Avx2::detect() else { return println!("this CPU has no AVX2") };
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut bench = Bench::new(filter);
    bench.pointwise(cpu);
    bench.depthwise(cpu);
    bench.others(cpu);
    bench.layers_of_codes(cpu);
    bench.sliding_windows(cpu);
    bench.products(cpu);
}

/// Memory for one layer at a time.
struct Bench {
    arena: Box<Arena<{ 16 << 20 }>>,
    /// Eight megabytes, on a 64-byte boundary as in a module.
    weights: &'static mut [f32],
    filter: String,
}

/// Where maps and constants lie.
const INPUT: usize = 0;
const OUTPUT: usize = 6 << 20;
const RESIDUAL: usize = 12 << 20;
const BIAS: usize = 6 << 20;

impl Bench {
    fn new(filter: String) -> Self {
        // SAFETY: an arena is plain bytes, for which all zeros is a value.
        let arena = unsafe { Box::new_zeroed().assume_init() };
        println!("{:34} {:>8} {:>9} {:>6}   {:>9} {:>9}", "", "µs", "GFLOP/s", "peak", "AVX-512", "portable");
        let weights = vec![0.01; (2 << 20) + 16].leak();
        let aligned = weights.as_ptr().align_offset(64);
        Self { arena, weights: &mut weights[aligned..], filter }
    }

    fn pointwise(&mut self, cpu: Avx2) {
        #[rustfmt::skip]
        let layers: [(usize, usize, usize, bool); 27] = [
            (112, 32, 16, false), (112, 16, 96, false),
            (56, 96, 24, false), (56, 24, 144, false), (56, 144, 24, true),
            (28, 144, 32, false), (28, 32, 192, false), (28, 192, 32, true),
            (14, 192, 64, false), (14, 64, 384, false), (14, 384, 64, true),
            (14, 384, 96, false), (14, 96, 576, false), (14, 576, 96, true),
            (7, 576, 160, false), (7, 160, 960, false), (7, 960, 160, true),
            (7, 960, 320, false), (7, 320, 1280, false),
            (1, 1280, 1000, false), (1, 960, 240, false),
            (7, 1024, 1024, false), (7, 256, 1024, false), (28, 120, 40, true), (56, 72, 24, true),
            (14, 80, 200, false), (14, 480, 112, false),
        ];
        for (size, k, n, residual) in layers {
            let output = map(OUTPUT, [size, size, n]);
            let residual = residual.then(|| map(RESIDUAL, [size, size, n]));
            let activation = if n > k { RELU6 } else { Activation::Identity };
            let epilogue = Epilogue { activation, residual, after: Activation::Identity };
            let input = map(INPUT, [size, size, k]);
            let step =
                Pointwise { input, output, weights: 0, bias: BIAS, epilogue, prefetch: Prefetch::NONE };
            let name = format!("pointwise {size}×{size} {k} → {n}");
            self.run_all(
                &name,
                size * size * k * n,
                cpu,
                |memory| avx2::gemm_f32_6x16(cpu, memory, &step, 0..size),
                Some(|cpu, memory: &mut Memory<'_>| {
                    if n % 16 == 8 && size > 1 {
                        avx512::gemm_f32_14x32_pairs(cpu, memory, &step, 0..size)
                    } else {
                        avx512::gemm_f32_14x32(cpu, memory, &step, 0..size)
                    }
                }),
                |memory| portable::gemm_f32_4x8(memory, &step, 0..size),
            );
        }
    }

    fn depthwise(&mut self, cpu: Avx2) {
        #[rustfmt::skip]
        let layers: [(usize, usize, usize, usize); 22] = [
            (112, 32, 3, 1), (112, 96, 3, 2), (56, 144, 3, 1), (56, 144, 3, 2), (28, 192, 3, 1),
            (28, 192, 3, 2), (14, 384, 3, 1), (14, 576, 3, 2), (7, 960, 3, 1),
            (28, 120, 5, 1), (14, 480, 5, 1), (14, 672, 5, 2),
            (28, 256, 3, 2), (14, 512, 3, 1), (14, 512, 3, 2), (7, 1024, 3, 1), (8, 1024, 5, 1),
            (56, 72, 3, 1), (56, 72, 5, 2), (14, 200, 3, 1),
            (14, 384, 7, 1), (7, 960, 7, 1),
        ];
        for (size, c, kernel, stride) in layers {
            let out = size.div_ceil(stride);
            let epilogue = Epilogue { activation: RELU6, residual: None, after: Activation::Identity };
            let step = Depthwise {
                input: map(INPUT, [size, size, c]),
                output: map(OUTPUT, [out, out, c]),
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                pad: [kernel / 2; 2],
                multiplier: 1,
                weights: 0,
                bias: BIAS,
                epilogue,
            };
            let name = format!("depthwise {kernel}×{kernel} s{stride} {size}×{size} {c}");
            self.run_all(
                &name,
                out * out * c * kernel * kernel,
                cpu,
                |memory| match kernel {
                    3 => avx2::dwconv2d_f32_9p8c(cpu, memory, &step, 0..out),
                    5 => avx2::dwconv2d_f32_25p8c(cpu, memory, &step, 0..out),
                    _ => avx2::dwconv2d_f32_49p8c(cpu, memory, &step, 0..out),
                },
                Some(|cpu, memory: &mut Memory<'_>| match kernel {
                    3 => avx512::dwconv2d_f32_9p16c(cpu, memory, &step, 0..out),
                    5 => avx512::dwconv2d_f32_25p16c(cpu, memory, &step, 0..out),
                    _ => avx512::dwconv2d_f32_49p16c(cpu, memory, &step, 0..out),
                }),
                |memory| match kernel {
                    3 => portable::dwconv2d_f32_9p8c(memory, &step, 0..out),
                    5 => portable::dwconv2d_f32_25p8c(memory, &step, 0..out),
                    _ => portable::dwconv2d_f32_49p8c(memory, &step, 0..out),
                },
            );
        }
    }

    fn others(&mut self, cpu: Avx2) {
        let epilogue = Epilogue { activation: RELU6, residual: None, after: Activation::Identity };
        for (size, c, n, stride, groups) in [
            (224, 3, 32, 2, 1),
            (224, 3, 16, 2, 1),
            (96, 1, 8, 2, 1),
            (14, 64, 64, 1, 1),
            (112, 32, 32, 2, 1),
            (56, 32, 128, 2, 1),
            (56, 16, 64, 1, 1),
            (56, 32, 128, 1, 1),
            (14, 128, 128, 1, 1),
            (7, 64, 64, 1, 1),
            (7, 160, 160, 1, 1),
            (28, 96, 384, 1, 1),
            (28, 48, 192, 1, 1),
            (28, 64, 256, 1, 1),
            (56, 48, 192, 1, 3),
            (28, 64, 256, 1, 4),
            (28, 96, 384, 1, 3),
            (28, 256, 256, 2, 4),
        ] {
            let depth = 9 * c / groups;
            let out = size / stride;
            let step = Conv2d {
                input: map(INPUT, [size, size, c]),
                output: map(OUTPUT, [out, out, n]),
                kernel: [3; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                pad: [1; 2],
                groups,
                weights: 0,
                bias: BIAS,
                epilogue,
            };
            self.run_all(
                &format!("dense 3×3 s{stride} g{groups} {size}×{size} {c} → {n}"),
                out * out * depth * n,
                cpu,
                |memory| {
                    if depth <= 512 {
                        avx2::conv2d_f32_stem(cpu, memory, &step, 0..out);
                    } else {
                        avx2::conv2d_f32_6x16(cpu, memory, &step, 0..out);
                    }
                },
                Some(|cpu, memory: &mut Memory<'_>| {
                    if depth <= 512 {
                        avx512::conv2d_f32_stem(cpu, memory, &step, 0..out);
                    } else {
                        avx512::conv2d_f32_12x32(cpu, memory, &step, 0..out);
                    }
                }),
                |memory| {
                    if depth <= 512 {
                        portable::conv2d_f32_stem(memory, &step, 0..out);
                    } else {
                        portable::conv2d_f32_4x8(memory, &step, 0..out);
                    }
                },
            );
        }
        for (size, c, n, groups) in [
            (56, 16, 64, 1),
            (56, 32, 128, 1),
            (28, 48, 192, 1),
            (28, 64, 256, 1),
            (56, 48, 192, 3),
            (28, 64, 256, 4),
            (28, 96, 384, 3),
            (28, 96, 384, 1),
            (14, 64, 64, 1),
            (14, 128, 128, 1),
            (7, 64, 64, 1),
            (7, 160, 160, 1),
        ] {
            let step = Conv2d {
                input: map(INPUT, [size, size, c]),
                output: map(OUTPUT, [size, size, n]),
                kernel: [3; 2],
                stride: [1; 2],
                dilation: [1; 2],
                pad: [1; 2],
                groups,
                weights: 0,
                bias: BIAS,
                epilogue,
            };
            for side in [4, 2] {
                self.run_all(
                    &format!("F({side}×{side}) g{groups} {size}×{size} {c} → {n}"),
                    size * size * 9 * c / groups * n,
                    cpu,
                    |memory| match side {
                        4 => avx2::conv2d_f32_winograd4(cpu, memory, &step, 0..size),
                        _ => avx2::conv2d_f32_winograd2(cpu, memory, &step, 0..size),
                    },
                    Some(|cpu, memory: &mut Memory<'_>| match side {
                        4 => avx512::conv2d_f32_winograd4(cpu, memory, &step, 0..size),
                        _ => avx512::conv2d_f32_winograd2(cpu, memory, &step, 0..size),
                    }),
                    |memory| match side {
                        4 => portable::conv2d_f32_winograd4(memory, &step, 0..size),
                        _ => portable::conv2d_f32_winograd2(memory, &step, 0..size),
                    },
                );
            }
        }
        let step = PlanarConv2d {
            input: Place::Arena(INPUT),
            size: [3, 224, 224],
            output: map(OUTPUT, [112, 112, 32]),
            kernel: [3; 2],
            stride: [2; 2],
            dilation: [1; 2],
            pad: [1; 2],
            weights: 0,
            bias: BIAS,
            epilogue,
        };
        self.run(
            "planar 3×3 s2 224×224 3 → 32",
            112 * 112 * 27 * 32,
            cpu,
            |memory| avx2::conv2d_f32_planar(cpu, memory, &step, 0..112),
            |memory| portable::conv2d_f32_planar(memory, &step, 0..112),
        );
        let step =
            GlobalPool { input: map(INPUT, [7, 7, 1280]), output: map(OUTPUT, [1, 1, 1280]), max: false };
        self.run(
            "global pool 7×7 1280 (adds)",
            49 * 1280 / 2,
            cpu,
            |memory| {
                avx2::global_pool_f32(cpu, memory, &step, 0..7);
            },
            |memory| portable::global_pool_f32(memory, &step, 0..7),
        );
        for (name, activation) in
            [("hard-swish", Activation::HardSwish), ("silu", Activation::Silu), ("gelu", Activation::Gelu)]
        {
            let maps = [INPUT, OUTPUT].map(|at| map(at, [14, 14, 96]));
            let step = Activate { input: maps[0], output: maps[1], activation };
            self.run(
                &format!("{name} 14×14 96 (elements)"),
                14 * 14 * 96 / 2,
                cpu,
                |memory| {
                    avx2::activate_f32(cpu, memory, &step, 0..14);
                },
                |memory| portable::activate_f32(memory, &step, 0..14),
            );
        }
    }

    /// Prints the fastest of many runs; `macs` count two operations each.
    fn run(
        &mut self,
        name: &str,
        macs: usize,
        cpu: Avx2,
        fast: impl Fn(&mut Memory<'_>),
        plain: impl Fn(&mut Memory<'_>),
    ) {
        self.run_all(name, macs, cpu, fast, None::<fn(Avx512, &mut Memory<'_>)>, plain);
    }

    /// As [`run`](Self::run), with a kernel for AVX-512.
    fn run_all(
        &mut self,
        name: &str,
        macs: usize,
        cpu: Avx2,
        fast: impl Fn(&mut Memory<'_>),
        wide: Option<impl Fn(Avx512, &mut Memory<'_>)>,
        plain: impl Fn(&mut Memory<'_>),
    ) {
        if !name.contains(&self.filter) {
            return;
        }
        let flops = 2.0 * macs as f64;
        let weights = bytes_of(self.weights);
        let mut memory = self.arena.memory(weights, &[]);
        let (fast, peak) = (fastest(|| fast(&mut memory)), peak(cpu));
        let wide = wide.zip(Avx512::detect()).map(|(wide, cpu)| fastest(|| wide(cpu, &mut memory)));
        let plain = fastest(|| plain(&mut memory));
        println!(
            "{name:34} {:8.1} {:9.1} {:5.0}%   {:9.1} {:9.1}",
            fast * 1e6,
            flops / fast / 1e9,
            100.0 * flops / fast / peak,
            wide.map_or(f64::NAN, |wide| flops / wide / 1e9),
            flops / plain / 1e9,
        );
    }
}

fn map(at: usize, [height, width, channels]: [usize; 3]) -> Map {
    Map { place: Place::Arena(at), height, width, channels, rows: height }
}

/// Seconds of the fastest of up to 200 runs within 60 ms.
fn fastest(mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        if begin.elapsed().as_secs_f64() > 0.06 {
            break;
        }
    }
    best
}

/// Operations a second of 12 independent sums of multiply-adds in registers.
fn peak(_: Avx2) -> f64 {
    #[target_feature(enable = "avx2,fma")]
    fn sums(steps: usize) -> f32 {
        let factor = black_box(_mm256_set1_ps(0.5));
        let mut sums = [factor; 12];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, factor);
            }
        }
        sums.iter().fold(0.0, |total, &sum| total + _mm256_cvtss_f32(sum))
    }
    let steps = 20_000;
    // SAFETY: the token proves AVX2 and FMA.
    let seconds = fastest(|| _ = black_box(unsafe { sums(black_box(steps)) }));
    (steps * 12 * 16) as f64 / seconds
}
