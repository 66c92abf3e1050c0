//! Products of two computed matrices, of numbers and of codes, at the sizes of attention; 100 % is the peak of
//! single-precision multiply-adds.

use super::{BIAS, Bench, INPUT, OUTPUT, RESIDUAL};
use mobilec_runtime::Memory;
use mobilec_runtime::kernels::{portable, x86_64::avx2, x86_64::avx512};
use mobilec_runtime::steps::*;
use mobilec_runtime::x86_64::Avx2;

impl Bench {
    /// MobileNetV4-Hybrid-M's two products at 224×224 in both of its stages, and longer ones.
    pub fn products(&mut self, cpu: Avx2) {
        #[rustfmt::skip]
        let sizes: [(usize, usize, usize); 7] = [
            (784, 49, 64), (784, 64, 49), (196, 49, 64), (196, 64, 49),
            (196, 196, 64), (196, 64, 196), (784, 784, 64),
        ];
        for (m, n, k) in sizes {
            let step = QuantizedMatMul {
                a: Place::Arena(INPUT),
                b: Place::Arena(RESIDUAL),
                output: Place::Arena(OUTPUT),
                batch: [1; 4],
                a_strides: [0; 4],
                b_strides: [0; 4],
                m,
                n,
                k,
                multipliers: BIAS,
                shifts: BIAS,
                a_codes: Codes::u8(120),
                b_codes: Codes::u8(130),
                requantize: Requantize::onnx(Codes::u8(125), [0, 255]),
            };
            self.run_all(
                &format!("codes {m}×{k} · {k}×{n}"),
                m * n * k,
                cpu,
                |memory| avx2::matmul_q8_6x16(cpu, memory, &step),
                Some(|cpu, memory: &mut Memory<'_>| avx512::matmul_q8_6x64(cpu, memory, &step)),
                |memory| portable::matmul_q8(memory, &step),
            );
            let QuantizedMatMul { a, b, output, batch, a_strides, b_strides, .. } = step;
            let step = MatMul { a, b, output, batch, a_strides, b_strides, m, n, k };
            self.run_all(
                &format!("f32 {m}×{k} · {k}×{n}"),
                m * n * k,
                cpu,
                |memory| avx2::matmul_f32(cpu, memory, &step),
                Some(|cpu, memory: &mut Memory<'_>| avx512::matmul_f32(cpu, memory, &step)),
                |memory| portable::matmul_f32(memory, &step),
            );
        }
    }
}
