//! What a user writes around a network that a macro compiles.

#[allow(missing_docs, dead_code, reason = "a module offers more than every user needs")]
mod any_cpu {
    mobilec_macros::include_model!("../../digits/digits.onnx");
}

#[allow(missing_docs, dead_code, reason = "a module offers more than every user needs")]
mod plain {
    mobilec_macros::include_model!("../../digits/digits.onnx", target = "portable");
}

/// Scores of the ten digits, by the best code for this CPU and by plain Rust.
pub fn scores(pixels: &[f32; 784]) -> ([f32; 10], [f32; 10]) {
    let (mut a, mut b) = (any_cpu::Arena::new(), plain::Arena::new());
    (*any_cpu::run(&mut a, pixels), *plain::run(&mut b, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_targets_agree() {
        let pixels = std::array::from_fn(|i| (i % 29) as f32 / 29.0);
        let (a, b) = scores(&pixels);
        let scale = b.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() <= 1e-4 * scale, "{a} {b}");
        }
    }
}
