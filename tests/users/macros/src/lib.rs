//! What a user writes around a network that a macro compiles.

#[allow(missing_docs, dead_code, reason = "a module offers more than every user needs")]
mod any_cpu {
    mobilec_macros::include_model!("../../digits/digits.onnx");
}

#[allow(missing_docs, dead_code, reason = "a module offers more than every user needs")]
mod plain {
    mobilec_macros::include_model!("../../digits/digits.onnx", target = "portable");
}

mobilec_macros::model! {
    /// Is there a person in the picture? A network that is described in place.
    pub mod person(input = [96, 96, 3], alpha = 0.35, classes = 2, activation = relu6, seed = 7) {
        conv 3x3 c32 s2 bn relu6;
        inverted_residual t1 c16;
        inverted_residual t6 c24 n2 s2;
        inverted_residual t6 c32 n3 s2;
        inverted_residual t6 c64 n2 s2 se(r = 0.25);
        pointwise c320 fixed bn relu6;
        global_avg_pool;
        dense classes;
        softmax;
    }
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
    fn a_network_that_is_described_in_place_runs() {
        let pixels: Box<[f32; 96 * 96 * 3]> = Box::new(std::array::from_fn(|i| (i % 31) as f32 / 31.0));
        let mut arena = person::Arena::new();
        let [no, yes] = *person::run(&mut arena, &pixels);
        assert!(no > 0.0 && yes > 0.0 && (no + yes - 1.0).abs() < 1e-6, "{no} {yes}");
    }

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
