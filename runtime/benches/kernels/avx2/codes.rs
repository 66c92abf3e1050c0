//! Kernels of 8-bit codes on the layers of MobileNetV2; 100 % is the peak of single-precision multiply-adds.

use super::{BIAS, Bench, INPUT, OUTPUT, map};
use mobilec_runtime::kernels::portable;
use mobilec_runtime::kernels::x86_64::{avx2, avx512};
use mobilec_runtime::steps::*;
use mobilec_runtime::x86_64::{Avx2, Avx512};

const END: Requantize = Requantize::onnx(Codes::u8(0), [0, 255]);

impl Bench {
    /// A matrix in quads that are all of one kind; only their table and places matter.
    fn quads(&mut self, k: usize, n: usize, is_wide: bool) {
        let (quads, panels) = (k.div_ceil(4), n.div_ceil(16));
        let len = quads * if is_wide { 128 } else { 64 };
        let size = (len + 2 * quads).next_multiple_of(32);
        let start = (12 * panels).next_multiple_of(32);
        let mut word = |at: usize, value: usize| self.weights[at / 4] = f32::from_bits(value as u32);
        for panel in 0..panels {
            // The last panel may be a half.
            let len = if n - panel * 16 > 8 { len } else { len / 2 };
            let [wide, narrow] = if is_wide { [quads, 0] } else { [0, quads] };
            let at = start + panel * size;
            for (i, value) in [at, wide, narrow].into_iter().enumerate() {
                word(12 * panel + 4 * i, value);
            }
            for pair in (0..quads).step_by(2) {
                word(at + len + 2 * pair, pair | (pair + 1) << 16);
            }
        }
    }

    /// A matrix in dots without additional quads; only their table matters.
    fn dots(&mut self, k: usize, n: usize) {
        for panel in 0..n.div_ceil(16) {
            let at = (8 * n.div_ceil(16)).next_multiple_of(64) + panel * k.div_ceil(4) * 64;
            self.weights[2 * panel..][..2].copy_from_slice(&[f32::from_bits(at as u32), 0.0]);
        }
    }

    pub fn layers_of_codes(&mut self, cpu: Avx2) {
        #[rustfmt::skip]
        let layers: [(usize, usize, usize, usize, usize); 15] = [
            (224, 3, 32, 3, 2), (112, 32, 16, 1, 1), (112, 16, 96, 1, 1),
            (56, 96, 24, 1, 1), (56, 24, 144, 1, 1), (56, 144, 24, 1, 1),
            (28, 144, 32, 1, 1), (28, 32, 192, 1, 1),
            (14, 64, 384, 1, 1), (14, 384, 64, 1, 1), (14, 576, 96, 1, 1),
            (7, 160, 960, 1, 1), (7, 960, 320, 1, 1), (7, 320, 1280, 1, 1), (1, 1280, 1000, 1, 1),
        ];
        for (layer, is_wide) in layers.into_iter().flat_map(|layer| [(layer, false), (layer, true)]) {
            let (size, c, n, kernel, stride) = layer;
            self.quads(kernel * kernel * c, n, is_wide);
            let out = size.div_ceil(stride);
            let step = QuantizedConv2d {
                input: map(INPUT, [size, size, c]),
                output: map(OUTPUT, [out, out, n]),
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                pad: [kernel / 2; 2],
                groups: 1,
                wide: false,
                weights: 0,
                bias: BIAS,
                multipliers: BIAS,
                shifts: BIAS,
                codes: Codes::u8(128),
                requantize: END,
            };
            self.run(
                &format!(
                    "codes {kernel}×{kernel} {size}×{size} {c} → {n}{}",
                    if is_wide { " wide" } else { "" }
                ),
                out * out * kernel * kernel * c * n,
                cpu,
                |memory| avx2::conv2d_q8_6x16(cpu, memory, &step, 0..out),
                |memory| portable::conv2d_q8(memory, &step, 0..out),
            );
            if let Some(avx512) = Avx512::detect().filter(|_| !is_wide) {
                self.dots(kernel * kernel * c, n);
                self.run(
                    &format!("codes {kernel}×{kernel} {size}×{size} {c} → {n} AVX-512"),
                    out * out * kernel * kernel * c * n,
                    cpu,
                    |memory| avx512::conv2d_q8_12x32(avx512, memory, &step, 0..out),
                    |memory| avx2::conv2d_q8_6x16(cpu, memory, &step, 0..0),
                );
            }
        }
        for (size, c, kernel, stride) in [
            (112, 32, 3, 1),
            (112, 96, 3, 2),
            (56, 144, 3, 1),
            (28, 192, 3, 1),
            (14, 576, 3, 1),
            (14, 576, 3, 2),
            (7, 960, 3, 1),
            (28, 120, 5, 1),
        ] {
            let out = usize::div_ceil(size, stride);
            let step = QuantizedDepthwise {
                input: map(INPUT, [size, size, c]),
                output: map(OUTPUT, [out, out, c]),
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                pad: [kernel / 2; 2],
                multiplier: 1,
                wide: false,
                weights: 0,
                bias: BIAS,
                multipliers: BIAS,
                shifts: BIAS,
                codes: Codes::u8(128),
                requantize: END,
            };
            self.run(
                &format!("codes depthwise {kernel}×{kernel} s{stride} {size}×{size} {c}"),
                out * out * c * kernel * kernel,
                cpu,
                |memory| {
                    if kernel == 3 {
                        avx2::dwconv2d_q8_9p16c(cpu, memory, &step, 0..out);
                    } else {
                        avx2::dwconv2d_q8_25p16c(cpu, memory, &step, 0..out);
                    }
                },
                |memory| portable::dwconv2d_q8(memory, &step, 0..out),
            );
        }
        let maps = [INPUT, OUTPUT].map(|at| map(at, [56, 56, 24]));
        let step = QuantizedCombine {
            a: maps[0],
            b: maps[0],
            output: maps[1],
            product: false,
            multipliers: BIAS,
            shifts: BIAS,
            a_codes: Codes::u8(128),
            b_codes: Codes::u8(128),
            requantize: END,
        };
        self.run(
            "codes add 56×56 24 (elements)",
            56 * 56 * 24 / 2,
            cpu,
            |memory| avx2::combine_q8(cpu, memory, &step, 0..56),
            |memory| portable::combine_q8(memory, &step, 0..56),
        );
    }

    /// Depthwise windows in quads of taps; the last column is AVX2's kernel.
    pub fn sliding_windows(&mut self, cpu: Avx2) {
        let Some(cpu512) = Avx512::detect() else { return };
        #[rustfmt::skip]
        let layers: [(usize, usize, usize, usize); 27] = [
            (112, 32, 3, 1), (112, 96, 3, 2), (56, 144, 3, 1), (56, 144, 3, 2), (28, 192, 3, 1), (28, 192, 3, 2),
            (14, 384, 3, 1), (14, 576, 3, 1), (14, 576, 3, 2), (7, 960, 3, 1),
            (112, 16, 3, 1), (112, 64, 3, 2), (56, 96, 3, 2), (56, 64, 3, 2), (56, 32, 3, 2), (56, 32, 3, 1), (56, 72, 3, 1), (14, 184, 3, 1), (14, 200, 3, 1), (14, 512, 3, 1),
            (7, 1024, 3, 1),
            (56, 72, 5, 2), (28, 120, 5, 1), (14, 480, 5, 1), (14, 672, 5, 1), (14, 672, 5, 2), (7, 960, 5, 1),
        ];
        for (size, c, kernel, stride) in layers {
            let out = size.div_ceil(stride);
            let len = if kernel == 3 { 3 * 256 } else { 10 * 256 };
            for block in 0..c / 16 + 4 {
                self.weights[2 * block] = f32::from_bits((2048 + block * len) as u32);
                self.weights[2 * block + 1] = f32::from_bits(1);
            }
            let step = QuantizedDepthwise {
                input: map(INPUT, [size, size, c]),
                output: map(OUTPUT, [out, out, c]),
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                pad: [kernel / 2; 2],
                multiplier: 1,
                wide: false,
                weights: 0,
                bias: BIAS,
                multipliers: BIAS,
                shifts: BIAS,
                codes: Codes::u8(128),
                requantize: END,
            };
            self.run(
                &format!("codes sliding {kernel}×{kernel} s{stride} {size}×{size} {c}"),
                out * out * c * kernel * kernel,
                cpu,
                |memory| {
                    if kernel == 3 {
                        avx512::dwconv2d_q8_9p64c(cpu512, memory, &step, 0..out);
                    } else {
                        avx512::dwconv2d_q8_25p64c(cpu512, memory, &step, 0..out);
                    }
                },
                |memory| {
                    if kernel == 3 {
                        avx2::dwconv2d_q8_9p16c(cpu, memory, &step, 0..out);
                    } else {
                        avx2::dwconv2d_q8_25p16c(cpu, memory, &step, 0..out);
                    }
                },
            );
        }
    }
}
