//! `model!` and `include_model!`: compile a network where the macro stands.
//!
//! Thin on purpose: parse, call the compiler, give tokens or `compile_error!`. A `build.rs` with
//! [`mobilec::Build`] is the door for large models: it reads the weights from a file, where a macro must
//! hand them to the compiler as tokens.

mod include;
mod model;

use mobilec::build;
use mobilec::driver::{self, Model, Options};
use mobilec::ops::quantization::Rounding;
use mobilec::plan::{Inputs, Objective};
use mobilec_targets::{PORTABLE, Target, X86_64, by_name};
use proc_macro2::TokenStream;
use quote::quote;
use std::path::{Path, PathBuf};

/// Compiles an ONNX file and puts the module's items here: `run`, `Arena`, `Input`, `Output`, …
///
/// ```ignore
/// mod classifier {
///     mobilec_macros::include_model!("models/digits.onnx");
/// }
/// let mut arena = classifier::Arena::new();
/// let scores = classifier::run(&mut arena, &pixels);
/// ```
///
/// The path is relative to the crate's folder. `target = "x86-64-avx2"` names a target of `mobilec targets`;
/// a macro cannot see what cargo builds for, so without it there is one module for 64-bit x86 (the best
/// instruction set is found when running) and a portable one for everything else.
/// `input_shape = "NAME=1,3,224,224"` fixes an input with symbolic dimensions. `max_ram = "128K"` or `"min"`
/// limits the arena, and `inputs = "arena"` or `"rows"` says how pictures are handed over
/// ([`Build::inputs`](mobilec::Build::inputs)). `rounding = "onnx"` or `"tflite"` is the rule by which a quantised
/// model's integers are rounded.
///
/// # Errors
///
/// Every problem of the model, under the path.
#[proc_macro]
pub fn include_model(tokens: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let arguments = syn::parse_macro_input!(tokens as include::Arguments);
    arguments.expand().unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Describes a network in the [model language](mobilec::dsl), compiles it and puts it into a module.
///
/// ```ignore
/// mobilec_macros::model! {
///     /// Is there a person in the picture?
///     pub mod person(input = [96, 96, 3], classes = 2, activation = relu6, seed = 1) {
///         conv 3x3 c8 s2 bn relu6;
///         inverted_residual t1 c8;
///         inverted_residual t6 c16 n2 s2;
///         global_avg_pool;
///         dense classes;
///     }
/// }
/// let mut arena = person::Arena::new();
/// let scores = person::run(&mut arena, &pixels);
/// ```
///
/// The module has what [`include_model!`] puts in place. `weights = "net.safetensors"`, relative to the
/// crate's folder, names trained weights; `seed = 1` asks for random ones. `target = "x86-64-avx2"` is as
/// there.
///
/// # Errors
///
/// Everything that is wrong, each under the token that is at fault.
#[proc_macro]
pub fn model(tokens: proc_macro::TokenStream) -> proc_macro::TokenStream {
    model::expand(&tokens.into()).unwrap_or_else(|errors| model::all_of(&errors)).into()
}

/// The folder of the crate that is built, which files are relative to.
fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default()
}

/// Without this, cargo would not notice that a file has changed; no byte of it reaches the binary.
fn watch(path: &Path) -> TokenStream {
    let file = path.to_string_lossy().into_owned();
    quote! { const _: &[u8] = include_bytes!(#file); }
}

fn target(name: &str) -> mobilec::Result<&'static Target> {
    by_name(name).ok_or_else(|| build::unknown_target(name))
}

/// The items of a model's module; without a target, of two.
fn items(model: &Model, target: Option<&'static Target>, planned: Planned) -> mobilec::Result<TokenStream> {
    if let Some(target) = target {
        return module(model, target, planned);
    }
    let (x86, portable) = (module(model, &X86_64, planned)?, module(model, &PORTABLE, planned)?);
    Ok(quote! {
        #[cfg(target_arch = "x86_64")]
        mod family { #x86 }
        #[cfg(not(target_arch = "x86_64"))]
        mod family { #portable }
        pub use family::*;
    })
}

/// What was said about memory and rounding.
#[derive(Clone, Copy, Default)]
struct Planned {
    objective: Option<Objective>,
    inputs: Inputs,
    rounding: Rounding,
}

fn module(model: &Model, target: &'static Target, planned: Planned) -> mobilec::Result<TokenStream> {
    let options = Options::new(target, "model");
    let objective = planned.objective.unwrap_or(options.objective);
    let Planned { inputs, rounding, .. } = planned;
    let options = Options { inline_weights: true, objective, inputs, rounding, ..options };
    let source = driver::compile(model, &options)?.module().source;
    source
        .parse()
        .map_err(|error| mobilec::Error::Usage(format!("the emitted module does not parse: {error}")))
}
