//! `model!`: the module of a network that is described in place.

use super::{Planned, items, root, target, watch};
use mobilec::driver::Model;
use mobilec::dsl::{self, Description};
use mobilec::files;
use proc_macro2::TokenStream;
use quote::quote;
use syn::Error;

/// The module, with the attributes and the visibility that it was given.
pub(super) fn expand(tokens: &TokenStream) -> Result<TokenStream, Vec<Error>> {
    let Description { source, options, .. } = dsl::describe_tokens(tokens.clone(), &[])?;
    let at = |option: &str| options.span(option).unwrap_or(source.name.span());
    let under = |option: &str, error: mobilec::Error| vec![Error::new(at(option), error)];
    let target = options.target.as_deref().map(target).transpose();
    let target = target.map_err(|error| under("target", error))?;
    // What is left that can go wrong are the weights.
    let error = |error| under("weights", error);
    let model = Model::text(source.name.to_string(), tokens.to_string(), Vec::new());
    let model = files::with_weights(model, &root()).map_err(error)?;
    let items = items(&model, target, Planned::default()).map_err(error)?;
    let watch = options.weights.file.iter().map(|file| watch(&root().join(file)));
    let (attributes, visibility, name) = (&source.docs, &source.visibility, &source.name);
    Ok(quote! {
        #(#attributes)*
        #[allow(missing_docs, dead_code, non_snake_case, reason = "a module offers more than every user needs")]
        #visibility mod #name { #(#watch)* #items }
    })
}

/// Every error, each under its tokens.
pub(super) fn all_of(errors: &[Error]) -> TokenStream {
    errors.iter().map(Error::to_compile_error).collect()
}
