//! What a user writes around a network that a macro compiles.

#[allow(missing_docs, dead_code, reason = "a module offers more than every user needs")]
mod any_cpu {
    mobilec_macros::include_model!("../../digits/digits.onnx");
}

#[allow(missing_docs, dead_code, reason = "a module offers more than every user needs")]
mod plain {
    mobilec_macros::include_model!("../../digits/digits.onnx", target = "portable");
}

#[allow(missing_docs, dead_code, reason = "a module offers more than every user needs")]
mod tflite {
    mobilec_macros::include_model!("../../digits/digits_int8.onnx", target = "portable", rounding = "tflite");
}

mobilec_macros::model! {
    /// Is there a person in the picture? A network that is described in place.
    pub mod person(input = [96, 96, 3], alpha = 0.35, classes = 2, activation = relu6, seed = 7) {
        conv 3x3 c32 s2 bn relu6;
        inverted_residual t1 c16;
        inverted_residual t6 c24 n2 s2;
        inverted_residual t6 c32 n3 s2;
        inverted_residual t6 c64 n2 s2 se(r = 0.25);
        global_avg_pool;
        dense classes;
        softmax;
    }
}

mobilec_macros::model! {
    /// A network with weights from a file; the same text with a seed made them.
    pub mod tiny(input = [12, 12, 3], classes = 4, activation = relu6, weights = "tiny.safetensors") {
        conv 3x3 c8 s2 bn relu6;
        inverted_residual t2 c8 se(r = 0.25);
        global_avg_pool;
        dense classes;
    }
}

mobilec_macros::model! {
    /// The same with the weights of that seed.
    pub mod seeded(input = [12, 12, 3], classes = 4, activation = relu6, seed = 11) {
        conv 3x3 c8 s2 bn relu6;
        inverted_residual t2 c8 se(r = 0.25);
        global_avg_pool;
        dense classes;
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
        let [no, yes] = *person::run(&mut person::Arena::new(), &pixels);
        assert!(no > 0.0 && yes > 0.0 && (no + yes - 1.0).abs() < 1e-6, "{no} {yes}");
    }

    #[test]
    fn weights_from_a_file_are_those_that_were_written() {
        let pixels = std::array::from_fn(|i| (i % 23) as f32 / 11.5 - 1.0);
        let loaded = *tiny::run(&mut tiny::Arena::new(), &pixels);
        assert!(loaded.iter().any(|score| score.abs() > 0.01), "{loaded:?}");
        assert_eq!(loaded, *seeded::run(&mut seeded::Arena::new(), &pixels));
    }

    #[test]
    fn integers_are_rounded_as_the_macro_says() {
        let mut layers = tflite::LAYERS.iter().filter(|layer| layer.operation.starts_with("int8"));
        assert!(layers.all(|layer| layer.operation.ends_with("tflite")));
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
