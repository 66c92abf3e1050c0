//! `include_model!`: compile an ONNX network where the macro stands.
//!
//! Thin on purpose: parse, call the compiler, give tokens or `compile_error!`. A `build.rs` with
//! [`mobilec::Build`] is the door for large models: it reads the weights from a file, where a macro must
//! hand them to the compiler as tokens.

use mobilec::driver::{self, Model, Options};
use mobilec::onnx::ImportOptions;
use mobilec::{build, files};
use mobilec_targets::{PORTABLE, Target, X86_64, by_name};
use proc_macro2::TokenStream;
use quote::quote;
use std::path::PathBuf;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitStr, Token};

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
/// `input_shape = "NAME=1,3,224,224"` fixes an input with symbolic dimensions.
///
/// # Errors
///
/// Every problem of the model, under the path.
#[proc_macro]
pub fn include_model(tokens: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let arguments = syn::parse_macro_input!(tokens as Arguments);
    arguments.expand().unwrap_or_else(syn::Error::into_compile_error).into()
}

struct Arguments {
    path: LitStr,
    target: Option<(LitStr, &'static Target)>,
    import: ImportOptions,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self { path: input.parse()?, target: None, import: ImportOptions::default() };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            let value: LitStr = input.parse()?;
            arguments.set(&key, value)?;
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn set(&mut self, key: &Ident, value: LitStr) -> syn::Result<()> {
        if key == "target" {
            let name = value.value();
            let target =
                by_name(&name).ok_or_else(|| syn::Error::new(value.span(), build::unknown_target(&name)))?;
            self.target = Some((value, target));
            Ok(())
        } else if key == "input_shape" {
            let (name, shape) = shape(&value.value())
                .ok_or_else(|| syn::Error::new(value.span(), "it takes NAME=1,3,224,224"))?;
            self.import.input_shapes.insert(name, shape);
            Ok(())
        } else {
            Err(syn::Error::new(key.span(), "there are target and input_shape"))
        }
    }

    fn expand(&self) -> syn::Result<TokenStream> {
        let error = |error: mobilec::Error| syn::Error::new(self.path.span(), error);
        let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        let path = root.join(self.path.value());
        let model = files::model(&path, self.import.clone()).map_err(error)?;
        // Without this, cargo would not notice that the model has changed; no byte of it reaches the binary.
        let file = path.to_string_lossy().into_owned();
        let watch = quote! { const _: &[u8] = include_bytes!(#file); };
        let items = match self.target {
            Some((_, target)) => module(&model, target).map_err(error)?,
            None => {
                let (x86, portable) = (module(&model, &X86_64), module(&model, &PORTABLE));
                let (x86, portable) = (x86.map_err(error)?, portable.map_err(error)?);
                quote! {
                    #[cfg(target_arch = "x86_64")]
                    mod family { #x86 }
                    #[cfg(not(target_arch = "x86_64"))]
                    mod family { #portable }
                    pub use family::*;
                }
            }
        };
        Ok(quote! { #watch #items })
    }
}

fn module(model: &Model, target: &'static Target) -> mobilec::Result<TokenStream> {
    let options = Options { inline_weights: true, ..Options::new(target, "model") };
    let source = driver::compile(model, &options)?.module().source;
    source
        .parse()
        .map_err(|error| mobilec::Error::Usage(format!("the emitted module does not parse: {error}")))
}

fn shape(text: &str) -> Option<(String, Vec<usize>)> {
    let (name, dims) = text.rsplit_once('=')?;
    let dims = dims.split(',').map(|d| d.trim().parse().ok()).collect::<Option<Vec<usize>>>()?;
    (!name.is_empty()).then(|| (name.to_owned(), dims))
}
