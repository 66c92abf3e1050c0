//! What the user of a module sees: constants with units, and types.

use super::{names, runtime_path};
use crate::plan::{Plan, Port, Space};
use crate::tensor::{DType, TensorType};
use mobilec_targets::{Arch, Isa};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

/// A clear word where the module is built for a CPU that it cannot run on.
pub fn guard(plan: &Plan) -> TokenStream {
    match plan.target.arch {
        Arch::Portable => TokenStream::new(),
        Arch::X86_64 if !needs_cpu(plan) => TokenStream::new(),
        Arch::X86_64 => {
            let message =
                format!("this module was generated for {}; generate one for this CPU", plan.target.name);
            quote! {
                #[cfg(not(target_arch = "x86_64"))]
                compile_error!(#message);
            }
        }
    }
}

/// Sizes.
pub fn constants(plan: &Plan) -> TokenStream {
    let ram = Literal::usize_unsuffixed(plan.arena_bytes);
    let flash = Literal::usize_unsuffixed(plan.weights.len());
    let macs = Literal::u64_unsuffixed(plan.macs());
    // Only inputs that stay in the caller's memory are passed as bytes.
    let bytes_of = (!plan.inputs_in_arena()).then(|| quote! { , bytes_of });
    let bands = plan.arrives.is_some().then(|| quote! { Bands, });
    quote! {
        use ::mobilec_runtime::{Aligned, #bands Layer #bytes_of};

        /// Bytes of [`Arena`], all the memory that [`run`] writes to but for a little stack.
        pub const RAM_BYTES: usize = #ram;
        /// Bytes of the weights; code comes on top.
        pub const FLASH_BYTES: usize = #flash;
        /// Multiply-adds of one inference.
        pub const MACS: u64 = #macs;
    }
}

/// The table of the network.
pub fn layers(plan: &Plan) -> TokenStream {
    let rows = plan.layers.iter().map(|layer| {
        let (name, operation, macs) = (&layer.name, &layer.operation, Literal::u64_unsuffixed(layer.macs));
        let output = layer.output.to_string();
        quote! { Layer::new(#name, #operation, #output, #macs) }
    });
    quote! {
        /// The layers in the order in which they run.
        pub static LAYERS: &[Layer] = &[#(#rows),*];
    }
}

/// The Rust type of a port's elements; `bool` travels as `u8`.
pub(super) fn element(dtype: DType) -> Ident {
    match dtype {
        DType::Bool => format_ident!("u8"),
        DType::F32 | DType::I8 | DType::U8 | DType::I32 | DType::I64 => format_ident!("{}", dtype.rust()),
    }
}

pub(super) fn array(ty: &TensorType) -> TokenStream {
    let (element, len) = (element(ty.dtype), Literal::usize_unsuffixed(ty.elements()));
    quote! { [#element; #len] }
}

/// Identifiers of inputs or outputs.
pub(super) fn idents(ports: &[Port], prefix: &str) -> Vec<Ident> {
    names::distinct(ports.iter().map(|port| port.name.as_str()), prefix)
}

/// Shapes, and the types `Arena`, `Input` and `Output`.
pub fn ports(plan: &Plan) -> TokenStream {
    let inputs = port_types(&plan.inputs, "input");
    let outputs = port_types(&plan.outputs, "output");
    let all = (plan.outputs.len() != 1).then(|| {
        let idents = idents(&plan.outputs, "output");
        let docs = plan.outputs.iter().map(port_doc);
        let types = plan.outputs.iter().map(|port| array(&port.ty));
        quote! {
            /// The results of one run, in the arena.
            #[derive(Clone, Copy, Debug)]
            pub struct Outputs<'a> { #(#[doc = #docs] pub #idents: &'a #types),* }
        }
    });
    quote! {
        /// The memory of a run. A `static`, or on the heap: `Arena::boxed()` with the runtime's feature `alloc`.
        pub type Arena = ::mobilec_runtime::Arena<RAM_BYTES>;
        #inputs
        #outputs
        #all
    }
}

fn port_doc(port: &Port) -> String {
    let name: String = port.name.chars().filter(|c| !c.is_control()).collect();
    format!(" `{}`: `{}`, row-major.", name.replace('`', "'"), port.ty)
}

fn port_types(ports: &[Port], kind: &str) -> TokenStream {
    let idents = idents(ports, kind);
    let single = ports.len() == 1;
    let items = ports.iter().zip(&idents).map(|(port, ident)| {
        let shout = kind.to_ascii_uppercase();
        let (shape, alias) = if single {
            (format_ident!("{shout}_SHAPE"), Some(format_ident!("{}", camel(kind))))
        } else {
            (format_ident!("{shout}_{}_SHAPE", names::shouting(ident)), None)
        };
        let doc = port_doc(port);
        let rank = Literal::usize_unsuffixed(port.ty.rank());
        let dims = port.ty.shape.iter().map(|&d| Literal::usize_unsuffixed(d));
        let array = array(&port.ty);
        let alias = alias.map(|alias| quote! { #[doc = #doc] pub type #alias = #array; });
        let shape_doc = format!(" Shape of `{ident}`.");
        quote! {
            #alias
            #[doc = #shape_doc]
            pub const #shape: [usize; #rank] = [#(#dims),*];
        }
    });
    quote! { #(#items)* }
}

fn camel(kind: &str) -> String {
    let mut letters = kind.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

pub(super) fn results(plan: &Plan) -> (TokenStream, TokenStream) {
    let views: Vec<TokenStream> = plan
        .outputs
        .iter()
        .map(|port| {
            let at = match plan.buffer(port.buffer).space {
                Space::Arena(at) => at,
                Space::Input(_) | Space::Weights(_) => 0,
            };
            let (element, at) = (element(port.ty.dtype), Literal::usize_unsuffixed(at));
            let len = Literal::usize_unsuffixed(port.ty.elements());
            quote! { arena.view::<#element, #at, #len>() }
        })
        .collect();
    if let [view] = &views[..] {
        return (quote! { &'a Output }, view.clone());
    }
    let idents = idents(&plan.outputs, "output");
    (quote! { Outputs<'a> }, quote! { let arena = &*arena; Outputs { #(#idents: #views),* } })
}

pub(super) fn needs_cpu(plan: &Plan) -> bool {
    !plan.variants.contains(&Isa::Portable)
}

pub(super) fn supported(plan: &Plan) -> TokenStream {
    if !needs_cpu(plan) {
        return TokenStream::new();
    }
    let detections = plan.variants.iter().filter_map(|isa| isa.token()).map(|path| {
        let path = runtime_path(path);
        quote! { ::mobilec_runtime::#path::detect().is_some() }
    });
    let doc = format!(" Whether this CPU can run the module: {}.", plan.target.about);
    quote! {
        #[doc = #doc]
        pub fn is_supported() -> bool { #(#detections)||* }
    }
}
