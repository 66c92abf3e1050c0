//! Products of computed matrices of codes, bit by bit: any sizes, batches that are broadcast, zero points and codes at the
//! ends of their ranges, both roundings.

use crate::codes::{Blob, Draw, code, codes, requantize};
use crate::kernels;
use mobilec_runtime::Arena;
use mobilec_runtime::steps::{Codes, Place, QuantizedMatMul, Requantize, Rounding};
use proptest::prelude::*;

/// Bytes of the arena; every case fits.
const BYTES: usize = 512 << 10;

#[derive(Clone, Copy, Debug)]
struct Case {
    /// The last two batch dimensions.
    batch: [usize; 2],
    /// Along which of them each operand is broadcast.
    broadcast: [[bool; 2]; 2],
    sizes: [usize; 3],
    codes: [Codes; 2],
    to: Requantize,
    /// Codes at the ends of their range only.
    extreme: bool,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let size = |most: usize| prop_oneof![4 => 1..=20_usize, 2 => 1..=most, 1 => Just(16), 1 => Just(64)];
    // Deeper than a block in some.
    let depth = prop_oneof![6 => size(150), 1 => 500..=530_usize, 1 => 1020..=1030_usize];
    // More rows than those whose terms are computed at once in some.
    let rows = prop_oneof![10 => size(40), 1 => 250..=262_usize];
    let sizes = (rows, size(140), depth);
    let ends = ((codes(), codes()), requantize(), prop::bool::weighted(0.3), any::<u64>());
    ([1..=3_usize, 1..=2], any::<[[bool; 2]; 2]>(), sizes, ends).prop_map(
        |(batch, broadcast, (m, n, k), ((a, b), to, extreme, seed))| {
            // What is large is not repeated.
            let batch = if m * n + m * k + k * n > 40_000 { [1, 1] } else { batch };
            Case { batch, broadcast, sizes: [m, n, k], codes: [a, b], to, extreme, seed }
        },
    )
}

impl Case {
    /// Elements from one matrix to the next along the last two batch dimensions, and all of them.
    fn strides(&self, operand: usize, matrix: usize) -> ([usize; 4], usize) {
        let [outer, inner] = self.broadcast[operand];
        let held = if inner { 1 } else { self.batch[1] };
        let strides = [0, 0, if outer { 0 } else { held * matrix }, if inner { 0 } else { matrix }];
        (strides, matrix * held * if outer { 1 } else { self.batch[0] })
    }
}

fn number(byte: u8, codes: Codes) -> i64 {
    let code = if codes.signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
    i64::from(code - codes.zero_point)
}

fn check(case: &Case) {
    let Case { batch, sizes: [m, n, k], codes, to, .. } = *case;
    let mut draw = Draw(case.seed);
    let (a_strides, a_len) = case.strides(0, m * k);
    let (b_strides, b_len) = case.strides(1, k * n);
    let [a, b] = [a_len, b_len]
        .map(|len| -> Vec<u8> { (0..len).map(|_| draw.between(0, 255, case.extreme) as u8).collect() });
    // Sums spread over some hundred codes.
    let (multiplier, shift) = match to.rounding {
        Rounding::Onnx => {
            let factor = (1 + draw.below(1 << 20)) as f32 / (1_u64 << 33) as f32;
            (factor.to_bits().cast_signed(), 0)
        }
        Rounding::Tflite => (draw.between(1 << 30, i32::MAX, case.extreme), -draw.between(6, 20, false)),
    };
    let mut expected = Vec::new();
    for at in 0..batch[0] * batch[1] {
        let offset = |strides: [usize; 4]| at / batch[1] * strides[2] + at % batch[1] * strides[3];
        let (a, b) = (&a[offset(a_strides)..], &b[offset(b_strides)..]);
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let product = |l: usize| number(a[i * k + l], codes[0]) * number(b[l * n + j], codes[1]);
            expected.push(code(&to, (0..k).map(product).sum(), multiplier, shift));
        }
    }
    let mut blob = Blob::default();
    let (multipliers, shifts) = (blob.words(&[multiplier]), blob.words(&[shift]));
    let (a_at, at) = (64, (64 + a_len + 7).next_multiple_of(3));
    let step = QuantizedMatMul {
        a: Place::Arena(a_at),
        b: Place::Input(0, 0),
        output: Place::Arena(at),
        batch: [1, 1, batch[0], batch[1]],
        a_strides,
        b_strides,
        m,
        n,
        k,
        multipliers,
        shifts,
        a_codes: codes[0],
        b_codes: codes[1],
        requantize: to,
    };
    for (name, kernel) in kernels!(whole matmul_q8, matmul_q8_6x16, matmul_q8_6x64) {
        let mut arena = Box::new(Arena::<BYTES>::new());
        let mut before = vec![0x5a; BYTES];
        before[a_at..a_at + a_len].copy_from_slice(&a);
        crate::codes::bytes_mut(&mut arena).copy_from_slice(&before);
        kernel(&mut arena.memory(&blob.0, &[&b]), &step, 0..1);
        let after = crate::codes::bytes_mut(&mut arena);
        assert!(after[at..][..expected.len()] == expected, "{name}");
        before[at..at + expected.len()].copy_from_slice(&expected);
        assert!(after == before, "{name} wrote outside its output");
    }
}

#[test]
fn no_depth_gives_zero_points() {
    let codes = [Codes::u8(3), Codes::i8(-5)];
    let to = Requantize::onnx(Codes::u8(7), [0, 255]);
    let case = Case {
        batch: [2, 1],
        broadcast: [[false; 2]; 2],
        sizes: [3, 70, 0],
        codes,
        to,
        extreme: false,
        seed: 1,
    };
    check(&case);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::cases()))]

    #[test]
    fn products_of_codes(case in cases()) {
        check(&case);
    }
}
