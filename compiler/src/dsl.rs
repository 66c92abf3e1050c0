//! The language in which a MobileNet is described.

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
