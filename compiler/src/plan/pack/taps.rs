//! Integer weights of depthwise windows in quads, and the order of all constants beside them: see
//! [`Layout::Taps`](mobilec_targets::Layout).

/// Lanes of a vector of bytes.
pub const LANES: usize = 64;

/// Bytes of a 128-bit part of a vector.
const PART: usize = 16;

/// Taps of a quad.
const QUAD: usize = 4;

/// The channels of the lanes of each block, in the order of quads.
fn blocks(n: usize) -> Vec<Vec<usize>> {
    let (mut blocks, mut next) = (Vec::new(), 0);
    while next < n {
        let left = n - next;
        let fits = |width: usize, least: usize| left >= width || left > least && n >= width;
        let width = [(LANES, LANES * 3 / 4), (LANES / 2, LANES / 4)]
            .iter()
            .find(|(width, least)| fits(*width, *least));
        let width = width.map_or(LANES / 4, |&(width, _)| width);
        let first = next.min(n.saturating_sub(width));
        let lanes = (0..QUAD).flat_map(|vector| {
            (0..LANES / PART).flat_map(move |part| (0..QUAD).map(move |at| part * PART + vector * QUAD + at))
        });
        blocks.push(lanes.map(|lane| first + lane % width).collect());
        next = first + width;
    }
    blocks
}

/// `[n]` → `[blocks, 64]`
pub fn words(values: &[i32]) -> Vec<i32> {
    let value = |channel: usize| values.get(channel).copied().unwrap_or(0);
    blocks(values.len()).into_iter().flatten().map(value).collect()
}

/// `[kh·kw, n]` → a table of blocks: where each begins and in how many parts its weights are; then the blocks. A part
/// is `[kw, quad, 64, 4]`.
pub fn taps(values: &[i16], [kh, kw]: [usize; 2], n: usize) -> Vec<u8> {
    let blocks = blocks(n);
    let start = (blocks.len() * 2 * size_of::<u32>()).next_multiple_of(LANES);
    let (mut table, mut bytes): (Vec<u32>, Vec<u8>) = (Vec::new(), Vec::new());
    for lanes in blocks {
        let value = |row: usize, kx: usize, channel: usize| {
            if row < kh && channel < n { values[(row * kw + kx) * n + channel] } else { 0 }
        };
        let mut rest = Vec::new();
        for kx in 0..kw {
            for quad in 0..kh.div_ceil(QUAD) {
                let rows = [0, 1, 2, 3].map(|at| quad * QUAD + at);
                rest.extend(lanes.iter().flat_map(|&channel| rows.map(|row| value(row, kx, channel))));
            }
        }
        table.extend([(start + bytes.len()) as u32, 0]);
        loop {
            let part = |value: &i16| (*value).clamp(i8::MIN.into(), i8::MAX.into());
            bytes.extend(rest.iter().map(|value| part(value) as u8));
            rest.iter_mut().for_each(|value| *value -= part(value));
            table.last_mut().into_iter().for_each(|parts| *parts += 1);
            if rest.iter().all(|&value| value == 0) {
                break;
            }
        }
    }
    let mut out: Vec<u8> = table.iter().flat_map(|word| word.to_le_bytes()).collect();
    out.resize(start, 0);
    out.extend(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths(n: usize) -> Vec<[usize; 2]> {
        let ends =
            |lanes: &Vec<usize>| [lanes.iter().min(), lanes.iter().max()].map(|end| *end.expect("64 lanes"));
        blocks(n).iter().map(ends).collect()
    }

    #[test]
    fn what_is_left_of_the_channels_is_in_halves_and_quarters_of_a_vector() {
        assert_eq!(widths(144), [[0, 63], [64, 127], [128, 143]]);
        assert_eq!(widths(96), [[0, 63], [64, 95]]);
        assert_eq!(widths(72), [[0, 63], [56, 71]]);
        assert_eq!(widths(120), [[0, 63], [56, 119]]);
        assert_eq!(widths(24), [[0, 15], [8, 23]]);
        assert_eq!(widths(40), [[0, 31], [24, 39]]);
    }

    #[test]
    fn constants_are_in_the_order_of_quads() {
        let values: Vec<i32> = (0..80).collect();
        let packed = words(&values);
        assert_eq!(packed[..8], [0, 1, 2, 3, 16, 17, 18, 19]);
        assert_eq!(packed[16..24], [4, 5, 6, 7, 20, 21, 22, 23]);
        assert_eq!(packed[64..72], [64, 65, 66, 67, 64, 65, 66, 67]);
        assert_eq!(packed.len(), 128);
    }

    #[test]
    fn taps_of_a_column_are_a_quad() {
        let values: Vec<i16> = (1..=9).flat_map(|tap| [tap; 16]).collect();
        let packed = taps(&values, [3, 3], 16);
        assert_eq!(packed[..8], [64, 0, 0, 0, 1, 0, 0, 0]);
        let quad = |at: usize| &packed[64 + at * 256..][..4];
        assert_eq!([quad(0), quad(1), quad(2)], [[1, 4, 7, 0], [2, 5, 8, 0], [3, 6, 9, 0]]);
        assert_eq!(packed.len(), 64 + 3 * 256);
    }

    #[test]
    fn weights_of_nine_bits_are_in_parts() {
        let mut values = vec![0; 25 * 16];
        values[0] = -255;
        values[20 * 16] = 255;
        let packed = taps(&values, [5, 5], 16);
        assert_eq!(packed[4], 3);
        let part = |at: usize| &packed[64 + at * 2560..][..260];
        assert_eq!([part(0)[0], part(1)[0], part(2)[0]], [128, 129, 0]);
        assert_eq!([part(0)[256], part(1)[256], part(2)[256]], [127, 127, 1]);
    }
}
