//! The words of the language: what each takes, and what it adds to the network.

use super::arguments::{Arguments, Signature, Spec, Takes};
use super::builder::Builder;
use super::layers::{
    Conv, Depthwise, FusedInvertedResidual, Groups, InvertedResidual, Mqa, Padding, Residual, Separable,
    SqueezeExcite, Strided, Uib,
};
use super::scale::Width;
use crate::ops::activation::Activation;

/// A layer or block of the language.
pub(super) struct Word {
    pub signature: Signature<'static>,
    /// Arguments without which it means nothing.
    pub needs: &'static [&'static str],
    /// Adds it once; `s` of its arguments is the stride of the first of `n` only, which the second
    /// argument is.
    pub add: fn(&mut Builder, &Arguments, usize),
}

const fn spec(name: &'static str, takes: Takes) -> Spec<'static> {
    Spec { name, takes }
}

const ACT: Spec<'static> = spec("act", Takes::Activation);
const BIAS: Spec<'static> = spec("bias", Takes::Flag);
const BN: Spec<'static> = spec("bn", Takes::Flag);
const C: Spec<'static> = spec("c", Takes::Number);
const D: Spec<'static> = spec("d", Takes::Count);
const FIXED: Spec<'static> = spec("fixed", Takes::Flag);
const K: Spec<'static> = spec("k", Takes::Kernel);
const MAX1: Spec<'static> = spec("max1", Takes::Flag);
const N: Spec<'static> = spec("n", Takes::Count);
const NO_RESIDUAL: Spec<'static> = spec("no_residual", Takes::Flag);
const RESIDUAL: Spec<'static> = spec("residual", Takes::Flag);
const LAYER_SCALE: Spec<'static> = spec("layer_scale", Takes::Flag);
const S: Spec<'static> = spec("s", Takes::Count);
const SAME: Spec<'static> = spec("same", Takes::Flag);
const SYMMETRIC: Spec<'static> = spec("symmetric", Takes::Flag);
const T: Spec<'static> = spec("t", Takes::Number);
const VALID: Spec<'static> = spec("valid", Takes::Flag);
const GATE: &[Spec<'static>] = &[spec("r", Takes::Number), ACT, spec("gate", Takes::Activation)];
const SE: Spec<'static> = spec("se", Takes::Group(GATE));

macro_rules! words {
    ($($word:literal $bare:literal needs[$($need:literal)*] takes[$($spec:expr),*] $add:expr;)*) => {
        /// All of them.
        pub(super) const WORDS: &[Word] = &[$(Word {
            signature: Signature { word: $word, bare: $bare, specs: &[$($spec),*] },
            needs: &[$($need),*],
            add: $add,
        }),*];
    };
}

#[rustfmt::skip]
words! {
    "conv" "" needs["k" "c"] takes[K, C, S, D, spec("g", Takes::Count), MAX1, FIXED, BN, BIAS, ACT, SAME, SYMMETRIC, VALID, N]
        |b, a, s| { b.conv(conv(a, s, Width::Exact(0.0))); };
    "pointwise" "" needs[] takes[C, T, S, spec("g", Takes::Count), MAX1, FIXED, BN, BIAS, ACT, N]
        |b, a, s| { b.conv(conv(a, s, Width::Times(a.number("t").unwrap_or(1.0)))); };
    "depthwise" "" needs["k"] takes[K, S, D, spec("m", Takes::Count), BN, BIAS, ACT, SAME, SYMMETRIC, VALID, N]
        |b, a, s| { b.depthwise(depthwise(a, s)); };
    "separable" "" needs["c"] takes[K, C, S, N, FIXED, ACT]
        separable;
    "inverted_residual" "" needs["t" "c"] takes[T, C, K, S, N, SE, FIXED, ACT, RESIDUAL, NO_RESIDUAL]
        inverted_residual;
    "fused_inverted_residual" "" needs["t" "c"] takes[T, C, K, S, N, spec("g", Takes::Count), spec("gs", Takes::Count), FIXED, ACT, RESIDUAL, NO_RESIDUAL]
        fused_inverted_residual;
    "uib" "" needs["t" "c"] takes[T, C, spec("start", Takes::Kernel), spec("middle", Takes::Kernel), S, spec("stride_at", Takes::Name), N, LAYER_SCALE, FIXED, ACT, RESIDUAL, NO_RESIDUAL]
        uib;
    "mqa" "" needs["h" "k" "v"] takes[spec("h", Takes::Count), spec("k", Takes::Count), spec("v", Takes::Count), spec("kv", Takes::Count), spec("q", Takes::Count), N, LAYER_SCALE, NO_RESIDUAL]
        mqa;
    "squeeze_excite" "" needs[] takes[spec("r", Takes::Number), ACT, spec("gate", Takes::Activation)]
        |b, a, _| { b.squeeze_excite(squeeze_excite(a)); };
    "global_avg_pool" "" needs[] takes[]
        |b, _, _| { b.global_avg_pool(); };
    "dense" "classes" needs[] takes[spec("classes", Takes::Number), spec("no_bias", Takes::Flag), ACT]
        dense;
    "activate" "" needs["act"] takes[ACT]
        |b, a, _| { b.activate(a.activation("act").unwrap_or_default()); };
    "batch_norm" "" needs[] takes[]
        |b, _, _| { b.batch_norm(); };
    "layer_scale" "" needs[] takes[]
        |b, _, _| { b.layer_scale(); };
    "softmax" "" needs[] takes[]
        |b, _, _| { b.softmax(); };
}

/// Words that hold others or say something about the value between two layers.
pub(super) const CONTROL: &[Signature<'static>] = &[
    Signature { word: "repeat", bare: "n", specs: &[N] },
    Signature { word: "residual", bare: "", specs: &[spec("if_fits", Takes::Flag)] },
    Signature { word: "tap", bare: "name", specs: &[spec("name", Takes::Name)] },
    Signature { word: "output", bare: "name", specs: &[spec("name", Takes::Name)] },
];

fn width(a: &Arguments) -> Option<Width> {
    let base = a.number("c")?;
    Some(match (a.flag("fixed"), a.flag("max1")) {
        (true, _) => Width::Exact(base),
        (false, true) => Width::Last(base),
        (false, false) => Width::Scaled(base),
    })
}

/// The width of a word that needs `c`.
fn scaled(a: &Arguments) -> Width {
    width(a).unwrap_or(Width::Exact(0.0))
}

fn padding(a: &Arguments) -> Option<Padding> {
    let choices = [("same", Padding::Same), ("symmetric", Padding::Symmetric), ("valid", Padding::Valid)];
    choices.into_iter().find(|(name, _)| a.flag(name)).map(|(_, padding)| padding)
}

fn residual(a: &Arguments, default: Residual) -> Residual {
    match (a.flag("residual"), a.flag("no_residual")) {
        (_, true) => Residual::Never,
        (true, false) => Residual::Always,
        (false, false) => default,
    }
}

fn conv(a: &Arguments, stride: usize, otherwise: Width) -> Conv {
    Conv {
        width: width(a).unwrap_or(otherwise),
        kernel: a.kernel("k").unwrap_or([1, 1]),
        stride,
        dilation: a.count("d").unwrap_or(1),
        groups: a.count("g").unwrap_or(1),
        norm: a.flag("bn"),
        bias: a.flag("bias"),
        activation: a.activation("act").unwrap_or_default(),
        padding: padding(a),
    }
}

fn depthwise(a: &Arguments, stride: usize) -> Depthwise {
    Depthwise {
        kernel: a.kernel("k").unwrap_or([3, 3]),
        stride,
        dilation: a.count("d").unwrap_or(1),
        multiplier: a.count("m").unwrap_or(1),
        norm: a.flag("bn"),
        bias: a.flag("bias"),
        activation: a.activation("act").unwrap_or_default(),
        padding: padding(a),
    }
}

fn squeeze_excite(a: &Arguments) -> SqueezeExcite {
    let default = SqueezeExcite::default();
    SqueezeExcite {
        ratio: a.number("r").unwrap_or(default.ratio),
        activation: a.activation("act").unwrap_or(default.activation),
        gate: a.activation("gate").unwrap_or(default.gate),
    }
}

/// The activation of a block: its own, or the network's.
fn activation(builder: &Builder, a: &Arguments) -> Activation {
    a.activation("act").unwrap_or(builder.settings().activation)
}

fn separable(b: &mut Builder, a: &Arguments, stride: usize) {
    let default = Separable::new(scaled(a));
    let kernel = a.kernel("k").unwrap_or(default.kernel);
    b.separable(Separable { kernel, stride, activation: activation(b, a), ..default });
}

fn inverted_residual(b: &mut Builder, a: &Arguments, stride: usize) {
    let default = InvertedResidual::new(a.number("t").unwrap_or(1.0), scaled(a));
    b.inverted_residual(InvertedResidual {
        kernel: a.kernel("k").unwrap_or(default.kernel),
        stride,
        squeeze: a.group("se").map(|gate| squeeze_excite(&gate)),
        activation: activation(b, a),
        residual: residual(a, default.residual),
        ..default
    });
}

fn fused_inverted_residual(b: &mut Builder, a: &Arguments, stride: usize) {
    let default = FusedInvertedResidual::new(a.number("t").unwrap_or(1.0), scaled(a));
    let count = a.count("g").map(Groups::Count);
    b.fused_inverted_residual(FusedInvertedResidual {
        kernel: a.kernel("k").unwrap_or(default.kernel),
        stride,
        groups: count.or(a.count("gs").map(Groups::OfSize)).unwrap_or(default.groups),
        activation: activation(b, a),
        residual: residual(a, default.residual),
        ..default
    });
}

fn uib(b: &mut Builder, a: &Arguments, stride: usize) {
    let default = Uib::new(a.number("t").unwrap_or(1.0), scaled(a));
    let strided = match a.word("stride_at") {
        Some("start") => Some(Strided::Start),
        Some("middle") => Some(Strided::Middle),
        _ => None,
    };
    b.uib(Uib {
        start: a.kernel("start"),
        middle: a.kernel("middle"),
        stride,
        strided,
        activation: activation(b, a),
        layer_scale: a.flag("layer_scale"),
        residual: residual(a, default.residual),
        ..default
    });
}

fn mqa(b: &mut Builder, a: &Arguments, _stride: usize) {
    let default = Mqa::default();
    b.mqa(Mqa {
        heads: a.count("h").unwrap_or(default.heads),
        key: a.count("k").unwrap_or(default.key),
        value: a.count("v").unwrap_or(default.value),
        kv_stride: a.count("kv").unwrap_or(1),
        query_stride: a.count("q").unwrap_or(1),
        layer_scale: a.flag("layer_scale"),
        residual: residual(a, default.residual),
    });
}

fn dense(b: &mut Builder, a: &Arguments, _stride: usize) {
    let classes = a.number("classes").unwrap_or(b.settings().classes as f64);
    b.dense(Width::Exact(classes), !a.flag("no_bias"), a.activation("act").unwrap_or_default());
}
