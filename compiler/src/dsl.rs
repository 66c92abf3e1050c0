//! The language in which a MobileNet is described.
//!
//! One front end reads the macro `model!`, files `NAME.mobilec` and the [zoo](crate::zoo); programs that
//! generate networks call the [`Builder`] behind it.
//!
//! ```
//! let text = "
//!     mod person(input = [96, 96, 3], alpha = 0.5, classes = 2, activation = relu6, seed = 1) {
//!         conv 3x3 c32 s2 bn relu6;
//!         inverted_residual t1 c16;
//!         inverted_residual t6 c24 n2 s2;
//!         tap p2;
//!         inverted_residual t6 c32 n3 s2 se(r = 0.25);
//!         global_avg_pool;
//!         dense classes;
//!     }";
//! let network = mobilec::dsl::describe("person", text, &[]).unwrap().network;
//! assert_eq!(network.graph.ty(network.graph.outputs()[0].1).shape, [1, 2]);
//!
//! let mistake = text.replace("c24", "c24 q2");
//! let error = mobilec::dsl::describe("person", &mistake, &[]).err().unwrap().to_string();
//! assert!(error.contains("`inverted_residual` has no `q`"), "{error}");
//! ```
//!
//! A statement is a word, its arguments in any order, and `;`. `name: word …;` gives the layer a name, by
//! which [weights](crate::weights) are found. Behind `=` a number may be
//! an expression: `c = in * 2`.
//!
//! | word | arguments | is |
//! |---|---|---|
//! | `conv`, `pointwise` | `3x3`, `c32` channels, `s2` stride, `d2` dilation, `g4` groups, `bn`, `bias`, an activation, a padding | convolution; `pointwise` is 1×1 |
//! | `depthwise` | `3x3`, `s2`, `d2`, `m2` multiplier, `bn`, `bias`, … | a kernel for each channel |
//! | `separable` | `c64`, `s2` | V1: depthwise and pointwise |
//! | `inverted_residual` | `t6` expansion, `c24`, `5x5`, `s2`, `se(r = 0.25, relu, gate = hard_sigmoid)` | V2 and V3 |
//! | `fused_inverted_residual` | `t4`, `c24`, `3x3`, `s2`, `g4` or `gs32` | EdgeTPU, V4 |
//! | `uib` | `t4`, `c96`, `start = 3x3`, `middle = 5x5`, `s2`, `stride_at = start`, `layer_scale` | V4 |
//! | `mqa` | `h4` heads, `k64`, `v64`, `kv2` and `q2` down-sampling, `layer_scale` | V4: multi-query attention |
//! | `squeeze_excite`, `global_avg_pool`, `dense classes`, `activate relu`, `batch_norm`, `layer_scale`, `softmax` | | single layers |
//! | `repeat 3 { … }`, `residual { … }` | `if_fits` | groups of statements |
//! | `tap p3;`, `output p3;` | | names the present value; makes it a result |
//!
//! `n3` repeats a block, with its stride in the first only. `c` follows alpha unless the layer is `fixed`;
//! `max1` follows only alphas above 1. `residual` and `no_residual` overrule whether a block adds its input.
//! `block NAME(a, b = 3) { … }` before `mod` defines a word of your own.
//!
//! Options: `input = [height, width, channels]`, `rho` for its side, `alpha`, `divisor` and `min_width`
//! (how widths are rounded), `classes`, `layout = nhwc | nchw`, `padding = same | symmetric | valid`,
//! `bn_eps`, `activation` of blocks, `output_stride` (strides beyond it become dilations), `outputs = [p3, p4]`
//! (taps), `weights = "FILE"` with `names = own | torchvision | timm`, or `seed = 1`; `target` for the macro.
//!
//! # What depthwise-separable convolutions save
//!
//! With outputs of height H and width W, kernels K×K, M input and N output channels:
//!
//! | | multiply-adds | weights |
//! |---|---|---|
//! | convolution | H·W·K²·M·N | K²·M·N |
//! | depthwise and pointwise | H·W·M·(K² + N) | M·(K² + N) |
//! | of that | 1/K² + 1/N is left | 1/K² + 1/N is left |
//!
//! For 224×224×3, N = 64 and K = 3 that is 86,704,128 against 10,988,544 multiply-adds; for K = 3, M = 128
//! and N = 256 it is 294,912 against 33,920 weights.

mod arguments;
mod ast;
mod builder;
mod layers;
mod lower;
mod network;
mod options;
mod parse;
mod scale;
mod settings;
mod text;
mod words;

pub use ast::Source;
pub use builder::{Builder, LAST, Misfit};
pub use layers::{
    Conv, Depthwise, FusedInvertedResidual, Groups, InvertedResidual, Mqa, Padding, Residual, Separable,
    SqueezeExcite, Strided, Uib,
};
pub use network::{BatchNorm, Block, Kind, Network, Parameter, Part};
pub use options::{Options, WeightsOptions};
pub use scale::{MAX_CHANNELS, Scaling, Width, make_divisible};
pub use settings::{Layout, Settings};
pub use text::describe;

use proc_macro2::TokenStream;

/// A network, and the options that it was built with.
#[derive(Clone)]
pub struct Description {
    /// The syntax tree.
    pub source: Source,
    /// Its options, and those from outside.
    pub options: Options,
    /// The network; weights are still to come.
    pub network: Network,
}

/// The file of weights that a text names, as far as it can be read.
pub fn weights_file(text: &str, overrides: &[(String, String)]) -> Option<String> {
    let mut errors = Vec::new();
    let source = parse::parse(text::tokens(text).ok()?, &mut errors)?;
    Options::read(&source, overrides, &mut errors).weights.file.filter(|_| errors.is_empty())
}

/// Reads and builds a network from tokens; `overrides` are options from outside, by name.
///
/// # Errors
///
/// Everything that is wrong, each under the token that is at fault.
pub fn describe_tokens(
    tokens: TokenStream,
    overrides: &[(String, String)],
) -> Result<Description, Vec<syn::Error>> {
    let mut errors = Vec::new();
    let Some(source) = parse::parse(tokens, &mut errors) else { return Err(errors) };
    let options = Options::read(&source, overrides, &mut errors);
    match lower::build(&source, &options, &mut errors) {
        Some(network) => Ok(Description { source, options, network }),
        None => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiply-adds and weights.
    fn costs(input: [usize; 3], body: &str) -> (u64, usize) {
        let text = format!("mod net(input = {input:?}) {{ {body} }}");
        let network = describe("net", &text, &[]).unwrap().network;
        (network.graph.macs(), network.count_parameters())
    }

    #[test]
    fn separable_convolutions_cost_what_the_formulas_say() {
        let [h, w, k, m, n] = [224, 224, 3, 3, 64];
        let (macs, _) = costs([h, w, m], "conv 3x3 c64;");
        let (separable, _) = costs([h, w, m], "depthwise 3x3; pointwise c64;");
        assert_eq!(macs, (h * w * k * k * m * n) as u64);
        assert_eq!(separable, (h * w * m * (k * k + n)) as u64);
        assert_eq!((macs, separable), (86_704_128, 10_988_544));
        let left = separable as f64 / macs as f64;
        assert!((left - (1.0 / 9.0 + 1.0 / 64.0)).abs() < 1e-12, "{left}");
        let (_, weights) = costs([8, 8, 128], "conv 3x3 c256;");
        let (_, separable) = costs([8, 8, 128], "depthwise 3x3; pointwise c256;");
        assert_eq!((weights, separable), (294_912, 33_920));
    }

    #[test]
    fn every_error_is_found_at_once_and_none_that_follows_from_another() {
        let text = "mod net(input = [8, 8, 3], widths = 2) {
            conv 3x3 c8 q1;
            conv 3x3 c9 g4;
            dens classes;
        }";
        let error = describe("net", text, &[]).err().unwrap().to_string();
        for told in ["no option `widths`", "`conv` has no `q`", "there is no `dens`"] {
            assert!(error.contains(told), "{error}");
        }
        assert!(!error.contains("groups"), "{error}");
    }
}
