//! 3×3 taps at the points of Winograd's method; the kernel's file says which polynomials they belong to.

/// The finite points of F(side×side, 3×3), those of the runtime's `kernels/generic/winograd/transform.rs`.
const fn finite(side: usize) -> &'static [f64] {
    match side {
        2 => &[0.0, 1.0, -1.0],
        _ => &[0.0, 11.0 / 16.0, -11.0 / 16.0, 1.5, -1.5],
    }
}

/// What each of three taps counts at each point: its power, over the product of the distances to all other points; and
/// the last tap alone at infinity.
fn factors(side: usize) -> Vec<[f64; 3]> {
    let finite = finite(side);
    let factors = finite.iter().map(|&p| {
        let others: f64 = finite.iter().filter(|&&other| other != p).map(|other| p - other).product();
        [1.0, p, p * p].map(|power| power / others)
    });
    factors.chain([[0.0, 0.0, 1.0]]).collect()
}

/// `[3, 3, c]` rows × `n` → `[points, points, c]` rows × `n`, in double precision and rounded once.
pub fn at_points(values: &[f32], k: usize, n: usize, side: usize) -> Vec<f32> {
    let len = k / 9 * n;
    let factors = factors(side);
    let mut out = Vec::with_capacity(factors.len() * factors.len() * len);
    for (along_y, along_x) in factors.iter().flat_map(|y| factors.iter().map(move |x| (y, x))) {
        for at in 0..len {
            let tap =
                |y: usize, x: usize| along_y[y] * along_x[x] * f64::from(values[(3 * y + x) * len + at]);
            let sum: f64 = (0..9).map(|i| tap(i / 3, i % 3)).sum();
            out.push(sum as f32);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_2_takes_halves_of_sums() {
        // g = [1, 2, 3] along columns, in the first row alone.
        let taps = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let points = at_points(&taps, 9, 1, 2);
        assert_eq!(points[..4], [1.0, -3.0, -1.0, -3.0]);
        assert_eq!(points[4..8], [-0.5, 1.5, 0.5, 1.5]);
        assert_eq!(points[12..], [0.0; 4]);
    }

    #[test]
    fn a_tap_in_the_middle_is_a_product_of_powers() {
        let mut taps = [0.0; 9];
        taps[4] = 1.0;
        let points = at_points(&taps, 9, 1, 4);
        // (11/16)² over the square of 11/16 · 11/8 · (121/256 − 9/4)
        let other: f64 = 11.0 / 16.0 * 11.0 / 8.0 * (121.0 / 256.0 - 2.25);
        assert_eq!(points[7], ((11.0 / 16.0 / other) * (11.0 / 16.0 / other)) as f32);
        assert_eq!((points[0], points[35]), (0.0, 0.0));
    }
}
