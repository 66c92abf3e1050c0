//! Runs a step band by band in an arena where all that it must not read is NaN, and all that it must not
//! write is watched.

use crate::Kernel;
use mobilec_runtime::steps::{Map, Place};
use mobilec_runtime::{Arena, bytes_of};
use std::ops::Range;

/// Bytes of the arena; every scene fits.
const BYTES: usize = 2 << 20;

/// Numbers between −1 and 1, the same for a seed.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Hands out byte ranges with gaps between them, aligned to the element only.
#[derive(Default)]
pub struct Layout {
    end: usize,
}

impl Layout {
    /// A map whose ring holds `rows` rows.
    pub fn map(&mut self, [height, width, channels]: [usize; 3], rows: usize) -> Map {
        let at = self.end + 36;
        self.end = at + rows * width * channels * 4;
        assert!(self.end + 64 <= BYTES, "the scene is too large");
        Map { place: Place::Arena(at), height, width, channels, rows }
    }
}

/// Constants with NaN between them.
#[derive(Clone, Default)]
pub struct Weights {
    values: Vec<f32>,
}

impl Weights {
    /// Appends values; answers their byte offset.
    pub fn push(&mut self, values: &[f32]) -> usize {
        self.values.extend([f32::NAN; 3]);
        let at = self.values.len() * 4;
        self.values.extend(values);
        self.values.push(f32::NAN);
        at
    }
}

/// An operand: its ring, all of its values, and the rows that a range of output rows needs.
pub struct Operand<'a> {
    pub map: Map,
    pub values: &'a [f32],
    pub needs: &'a dyn Fn(Range<usize>) -> Range<usize>,
}

/// The rows of an element-by-element operand.
pub fn same(rows: Range<usize>) -> Range<usize> {
    rows
}

/// One step in its arena.
pub struct Scene<'a> {
    arena: Box<Arena<BYTES>>,
    pub weights: Weights,
    pub operands: Vec<Operand<'a>>,
    pub output: Map,
}

impl<'a> Scene<'a> {
    pub fn new(weights: Weights, operands: Vec<Operand<'a>>, output: Map) -> Self {
        Self { arena: Box::new(Arena::new()), weights, operands, output }
    }

    /// All rows of the output, made `band` rows at a time.
    pub fn stream<S>(&mut self, kernel: &Kernel<S>, step: &S, band: usize) -> Vec<f32> {
        let height = self.output.height;
        let bands = (0..height).step_by(band).map(|start| start..height.min(start + band));
        bands.flat_map(|rows| self.run(kernel, step, rows.clone(), rows, &[])).collect()
    }

    /// The output of a kernel that takes ranges of its operand's rows.
    pub fn accumulate<S>(&mut self, kernel: &Kernel<S>, step: &S, height: usize, band: usize) -> Vec<f32> {
        let mut result = Vec::new();
        for start in (0..height).step_by(band) {
            result = self.run(kernel, step, start..height.min(start + band), 0..1, &result);
        }
        result
    }

    /// Runs on `rows`, and answers the rows `made` of the output, which held the values `held` before.
    fn run<S>(
        &mut self,
        (name, kernel): &Kernel<S>,
        step: &S,
        rows: Range<usize>,
        made: Range<usize>,
        held: &[f32],
    ) -> Vec<f32> {
        let mut before = vec![f32::NAN; BYTES / 4];
        for Operand { map, values, needs } in &self.operands {
            for y in needs(rows.clone()) {
                let len = map.width * map.channels;
                before[slot(map, y)].copy_from_slice(&values[y * len..][..len]);
            }
        }
        if !held.is_empty() {
            before[slot(&self.output, 0)].copy_from_slice(held);
        }
        self.elements().copy_from_slice(&before);
        kernel(&mut self.arena.memory(bytes_of(&self.weights.values), &[]), step, rows.clone());

        let mut after = self.elements().to_vec();
        let mut result = Vec::new();
        for y in made {
            let slot = slot(&self.output, y);
            result.extend_from_slice(&after[slot.clone()]);
            after[slot.clone()].copy_from_slice(&before[slot]);
        }
        let strays = before.iter().zip(&after).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!(strays, 0, "{name} wrote outside its output at rows {rows:?}");
        result
    }

    fn elements(&mut self) -> &mut [f32] {
        // SAFETY: an arena is `BYTES` plain bytes on a 64-byte boundary, from its beginning on.
        unsafe { std::slice::from_raw_parts_mut((&raw mut *self.arena).cast(), BYTES / 4) }
    }
}

/// The elements of row `y`.
fn slot(map: &Map, y: usize) -> Range<usize> {
    let len = map.width * map.channels;
    let Place::Arena(at) = map.place else { panic!("maps of a scene lie in the arena") };
    let first = at / 4 + y % map.rows * len;
    first..first + len
}

/// Compares with what is expected, and how far an element may be off.
pub fn compare(name: &str, actual: &[f32], expected: &[(f64, f64)]) {
    assert_eq!(actual.len(), expected.len(), "{name}");
    for (i, (&actual, &(value, tolerance))) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(actual) - value).abs();
        assert!(
            error <= tolerance || f64::from(actual) == value,
            "{name}: element {i} is {actual}, not {value} ± {tolerance:e}"
        );
    }
}
