//! What all device programs do: classify the pictures of tests/digits and print the scores.
//!
//! One line a picture, in the order of `inputs.npy`: the picture's number, then for each of the ten
//! scores its bits and its value, `c0a1b2c3=-5.0530`. A line that starts with `#` is a remark. All
//! devices print the same text, so that scores are compared bit by bit, with each other and with
//! the host.

use core::fmt::{self, Write};

/// All that these programs assume about the emitted module.
mod digits {
    use core::sync::atomic::{AtomicBool, Ordering};

    #[allow(dead_code, reason = "a module has more constants than one program uses")]
    mod emitted {
        include!(concat!(env!("OUT_DIR"), "/digits.rs"));
    }
    use emitted::Arena;

    /// f32 NCHW [1, 1, 28, 28], grey value / 255.
    pub type Input = [f32; 28 * 28];
    pub type Scores = [f32; 10];

    /// The module's working memory, in `.bss`. Only one caller may ask for it, once.
    pub fn arena() -> &'static mut Arena {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        static mut ARENA: Arena = Arena::new();
        assert!(!TAKEN.swap(true, Ordering::Relaxed), "the arena was taken before");
        let arena = &raw mut ARENA;
        // SAFETY: TAKEN lets one call in the life of the program come here; nothing else names ARENA.
        unsafe { &mut *arena }
    }

    #[cfg(not(feature = "rows"))]
    pub fn classify(arena: &mut Arena, input: &Input) -> Scores {
        *emitted::run(arena, input)
    }

    /// Row by row, as a camera hands a picture over.
    #[cfg(feature = "rows")]
    pub fn classify(arena: &mut Arena, input: &Input) -> Scores {
        let mut picture = emitted::rows(arena);
        let (rows, _) = input.as_chunks();
        rows.iter().for_each(|row| picture.push_row(row));
        picture.finish().copied().unwrap_or([f32::NAN; 10])
    }
}

/// u8 [40, 28, 28] as `.npy` 1.0: magic and version (8 bytes), length of the header (2), header, data.
static INPUTS: &[u8] = include_bytes!("../digits/inputs.npy");

fn pictures() -> impl Iterator<Item = digits::Input> {
    let header = u16::from_le_bytes([INPUTS[8], INPUTS[9]]) as usize;
    let (pictures, _) = INPUTS[10 + header..].as_chunks::<{ 28 * 28 }>();
    pictures.iter().map(|picture| picture.map(|grey| f32::from(grey) / 255.0))
}

/// Writes the line of each picture. `measure` is given each inference to execute.
pub fn report(out: &mut impl Write, mut measure: impl FnMut(&mut dyn FnMut())) -> fmt::Result {
    let arena = digits::arena();
    for (number, input) in pictures().enumerate() {
        let mut scores = [0.0; 10];
        measure(&mut || scores = digits::classify(arena, &input));
        write!(out, "{number}")?;
        for score in scores {
            write!(out, " {:08x}={score:.4}", score.to_bits())?;
        }
        writeln!(out)?;
    }
    writeln!(out, "# arena {} bytes", size_of_val(arena))
}
