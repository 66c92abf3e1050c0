//! What a user writes around a network that `build.rs` compiled.

mobilec_runtime::include_model!(digits);
mobilec_runtime::include_model!(digits_int8);
mobilec_runtime::include_model!(digits_rows);
mobilec_runtime::include_model!(digits_tflite);
mobilec_runtime::include_model!(digits_u8);

/// The digit in a picture of 28×28 grey pixels.
pub fn classify(pixels: &[u8; 784]) -> usize {
    let mut arena = digits_u8::Arena::new();
    largest(digits_u8::run(&mut arena, pixels))
}

/// The same, row by row as a camera hands them over: the picture is never stored.
pub fn classify_rows<'a>(camera: impl Iterator<Item = &'a [u8; 28]>) -> Option<usize> {
    let mut arena = digits_rows::Arena::new();
    let mut picture = digits_rows::rows(&mut arena);
    for row in camera {
        picture.push_row(row);
    }
    picture.finish().map(largest)
}

/// The same, from normalised numbers.
pub fn classify_f32(pixels: &[f32; 784]) -> usize {
    let mut arena = digits::Arena::new();
    largest(digits::run(&mut arena, pixels))
}

/// The same by a network of 8-bit integers.
pub fn classify_int8(pixels: &[u8; 784]) -> usize {
    let mut arena = digits_int8::Arena::new();
    largest(digits_int8::run(&mut arena, pixels))
}

fn largest(scores: &[f32; 10]) -> usize {
    (0..10).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_inputs_name_the_digit() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../digits/pictures");
        let (mut right, mut right_int8) = (0, 0);
        for entry in std::fs::read_dir(folder).expect("pictures") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let label: usize = name[..1].parse().expect("the label is the first letter");
            let picture = image::open(&path).expect("a picture").to_luma8().into_raw();
            let pixels: &[u8; 784] = picture[..].try_into().expect("28×28");
            let (a, b) = (classify(pixels), classify_f32(&pixels.map(|v| f32::from(v) / 255.0)));
            assert_eq!(a, b, "{name}");
            let (rows, _) = pixels.as_chunks();
            assert_eq!(classify_rows(rows.iter()), Some(a), "{name}");
            assert_eq!(classify_rows(rows.iter().take(27)), None, "{name} has a row more");
            right += usize::from(a == label);
            right_int8 += usize::from(classify_int8(pixels) == label);
        }
        assert!(right >= 39 && right_int8 >= 39, "{right} and {right_int8} of 40");
    }

    #[test]
    fn integers_are_rounded_as_build_rs_says() {
        let rule = |layers: &[mobilec_runtime::Layer]| {
            let mut of_layers = layers.iter().filter(|layer| layer.operation.starts_with("int8"));
            of_layers.all(|layer| layer.operation.ends_with("tflite"))
        };
        assert!(rule(digits_tflite::LAYERS) && !rule(digits_int8::LAYERS));
    }

    #[test]
    fn constants_tell_what_it_needs() {
        assert_eq!(digits::INPUT_SHAPE, [1, 1, 28, 28]);
        assert_eq!(digits::OUTPUT_SHAPE, [1, 10]);
        const { assert!(digits::RAM_BYTES <= 128 << 10 && digits::FLASH_BYTES <= 384 << 10) };
        // On x86-64, integer weights are there in the order of AVX2 and in that of VNNI.
        const { assert!(digits_int8::FLASH_BYTES < digits_u8::FLASH_BYTES) };
        const { assert!(digits_rows::RAM_BYTES < digits_u8::RAM_BYTES) };
        assert_eq!(digits::LAYERS.iter().map(|layer| layer.macs).sum::<u64>(), digits::MACS);
    }
}
