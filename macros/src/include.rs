//! `include_model!`: the arguments, and the module of an ONNX file.

use super::{Planned, items, root, target, watch};
use mobilec::files;
use mobilec::onnx::ImportOptions;
use mobilec_targets::Target;
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token};

pub(super) struct Arguments {
    path: LitStr,
    target: Option<&'static Target>,
    import: ImportOptions,
    plan: Planned,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self {
            path: input.parse()?,
            target: None,
            import: ImportOptions::default(),
            plan: Planned::default(),
        };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            let value: LitStr = input.parse()?;
            arguments.set(&key, &value)?;
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn set(&mut self, key: &Ident, value: &LitStr) -> Result<()> {
        let error = |message: &dyn std::fmt::Display| Error::new(value.span(), message);
        if key == "target" {
            self.target = Some(target(&value.value()).map_err(|message| error(&message))?);
        } else if key == "input_shape" {
            let given = shape(&value.value());
            let (name, shape) = given.ok_or_else(|| error(&"it takes NAME=1,3,224,224"))?;
            self.import.input_shapes.insert(name, shape);
        } else if key == "max_ram" {
            self.plan.objective = Some(value.value().parse().map_err(|message: String| error(&message))?);
        } else if key == "inputs" {
            self.plan.inputs = value.value().parse().map_err(|message: String| error(&message))?;
        } else if key == "rounding" {
            self.plan.rounding = value.value().parse().map_err(|message: String| error(&message))?;
        } else {
            let known = "there are target, input_shape, max_ram, inputs and rounding";
            return Err(Error::new(key.span(), known));
        }
        Ok(())
    }

    pub(super) fn expand(&self) -> Result<TokenStream> {
        let error = |error: mobilec::Error| Error::new(self.path.span(), error);
        let path = root().join(self.path.value());
        let model = files::model(&path, self.import.clone()).map_err(error)?;
        let (watch, items) = (watch(&path), items(&model, self.target, self.plan).map_err(error)?);
        Ok(quote! { #watch #items })
    }
}

fn shape(text: &str) -> Option<(String, Vec<usize>)> {
    let (name, dims) = text.rsplit_once('=')?;
    let dims = dims.split(',').map(|d| d.trim().parse().ok()).collect::<Option<Vec<usize>>>()?;
    (!name.is_empty()).then(|| (name.to_owned(), dims))
}
