//! Every function against `f64`, over all exponents.

extern crate std;
use super::*;
use proptest::prelude::*;

/// Numbers of every sign and exponent, evenly over the bit patterns; `step` is odd.
fn samples(step: usize) -> impl Iterator<Item = f32> {
    (0..=u32::MAX).step_by(step).map(f32::from_bits).filter(|x| x.is_finite())
}

/// Distance in units of the last place of the expected value, which is counted as subnormal where it is.
fn ulps(actual: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    if !rounded.is_finite() || !actual.is_finite() {
        return if actual == rounded || (actual.is_nan() && rounded.is_nan()) { 0.0 } else { f64::INFINITY };
    }
    let exponent = (rounded.abs().max(f32::MIN_POSITIVE).to_bits() >> 23) as i32 - 150;
    (f64::from(actual) - expected).abs() / 2_f64.powi(exponent)
}

#[track_caller]
fn check(limit: f64, actual: fn(f32) -> f32, expected: fn(f64) -> f64) {
    let (worst, at) = samples(1009)
        .map(|x| (ulps(actual(x), expected(f64::from(x))), x))
        .fold((0.0, 0.0), |worst, new| if new.0 > worst.0 { new } else { worst });
    std::println!("worst {worst:.3} ulp at {at:e}");
    assert!(worst <= limit, "{worst} ulp at {at:e}: {:e} instead of {:e}", actual(at), expected(at.into()));
}

#[test]
fn exponentials() {
    check(1.1, exp, f64::exp);
    check(2.0, exp_m1, f64::exp_m1);
    check(2.3, tanh, f64::tanh);
    check(2.3, sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
}

#[test]
fn logarithms() {
    check(1.0, ln, f64::ln);
    check(1.5, ln_1p, f64::ln_1p);
}

#[test]
fn sine_and_cosine_of_any_argument() {
    check(1.5, sin, f64::sin);
    check(1.5, cos, f64::cos);
}

#[test]
fn sine_next_to_multiples_of_pi() {
    for n in 1..10_000 {
        let x = (f64::from(n) * core::f64::consts::FRAC_PI_2) as f32;
        assert!(ulps(sin(x), f64::from(x).sin()) <= 2.0, "sin {x}");
        assert!(ulps(cos(x), f64::from(x).cos()) <= 2.0, "cos {x}");
    }
}

#[test]
fn roots_are_correctly_rounded() {
    check(0.5, sqrt::sqrt, f64::sqrt);
    check(0.5, sqrt, f64::sqrt);
    for x in samples(10_007) {
        assert_eq!(sqrt::sqrt(x).to_bits() & 0x7fff_ffff, sqrt(x).to_bits() & 0x7fff_ffff);
    }
}

#[test]
fn rounding_is_exact() {
    for x in samples(1009).chain([0.5, -0.5, 1.5, 2.5, -2.5, 8_388_607.5, 8_388_609.0]) {
        assert_eq!(trunc(x).to_bits(), x.trunc().to_bits(), "trunc {x}");
        assert_eq!(floor(x).to_bits(), x.floor().to_bits(), "floor {x}");
        assert_eq!(ceil(x).to_bits(), x.ceil().to_bits(), "ceil {x}");
        assert_eq!(round_ties_even(x).to_bits(), x.round_ties_even().to_bits(), "round {x}");
    }
}

/// `f64` has no error function: its Taylor series up to 3, which cancels four digits of sixteen there, and
/// 1 − erfc by its continued fraction above.
fn erf_f64(x: f64) -> f64 {
    let xx = x * x;
    if x.abs() < 3.0 {
        let term = |(sum, term): (f64, f64), n: i32| {
            let term = -term * xx / f64::from(n);
            (sum + term / f64::from(2 * n + 1), term)
        };
        core::f64::consts::FRAC_2_SQRT_PI * (1..80).fold((x, x), term).0
    } else {
        let fraction = (1..60).rev().fold(x.abs(), |f, n| x.abs() + f64::from(n) / 2.0 / f);
        (1.0 - (-xx).exp() / (fraction * core::f64::consts::PI.sqrt())).copysign(x)
    }
}

#[test]
fn error_function() {
    check(2.0, erf, erf_f64);
}

#[test]
fn infinities_and_nan() {
    let inf = f32::INFINITY;
    for (f, low, high) in [
        (exp as fn(f32) -> f32, 0.0, inf),
        (exp_m1, -1.0, inf),
        (tanh, -1.0, 1.0),
        (sigmoid, 0.0, 1.0),
        (erf, -1.0, 1.0),
        (ln, f32::NAN, inf),
        (ln_1p, f32::NAN, inf),
        (sqrt, f32::NAN, inf),
        (sqrt::sqrt, f32::NAN, inf),
        (sin, f32::NAN, f32::NAN),
        (cos, f32::NAN, f32::NAN),
        (floor, -inf, inf),
        (ceil, -inf, inf),
        (trunc, -inf, inf),
        (round_ties_even, -inf, inf),
    ] {
        let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
        assert!(same(f(-inf), low) && same(f(inf), high), "{} {}", f(-inf), f(inf));
        assert!(f(f32::NAN).is_nan());
    }
    assert_eq!(ln(0.0), -inf);
    assert_eq!(ln_1p(-1.0), -inf);
}

#[test]
fn odd_functions_keep_the_sign_of_zero() {
    for f in [tanh, sin, erf, exp_m1, ln_1p, trunc, sqrt::sqrt, sqrt] {
        assert_eq!(f(-0.0).to_bits(), (-0.0_f32).to_bits());
    }
}

#[test]
fn powers_of_special_values() {
    let values =
        [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 16_777_215.0, 1e30, f32::INFINITY, f32::NAN, f32::MIN_POSITIVE, 1e-45];
    for x in values.iter().flat_map(|&x| [x, -x]) {
        for y in values.iter().flat_map(|&y| [y, -y]) {
            let (actual, expected) = (powf(x, y), f64::from(x).powf(f64::from(y)));
            assert!(ulps(actual, expected) <= 0.51, "{x:e} ^ {y:e} = {actual:e}, not {expected:e}");
            assert!(actual.is_nan() || actual.is_sign_negative() == expected.is_sign_negative());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn powers(x in 1e-38_f32..1e38, t in -90.0_f32..90.0) {
        let y = t / ln(x);
        prop_assert!(ulps(powf(x, y), f64::from(x).powf(f64::from(y))) <= 0.51);
    }

    #[test]
    fn remainders_are_exact(a in any::<u32>(), b in any::<u32>()) {
        let (a, b) = (f32::from_bits(a), f32::from_bits(b));
        let expected = { let r = a % b; if r == 0.0 { 0.0 } else if (r < 0.0) != (b < 0.0) { r + b } else { r } };
        let actual = modulo(a, b);
        prop_assert!(actual == expected || (actual.is_nan() && expected.is_nan()), "{a:e} {b:e} {actual:e}");
    }
}
