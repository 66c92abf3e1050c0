//! The doors of a module: `run` and its kin, for inputs in the caller's memory, in the arena, or row by row.

use super::api::{array, element, idents, needs_cpu, results, supported};
use super::{ModuleOptions, runtime_path};
use crate::plan::{Arrival, Plan, Port, Space};
use mobilec_targets::{Arch, Isa};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

/// `run`, or `run_observed` where it is asked for, and how inputs are handed over.
pub fn run(plan: &Plan, options: &ModuleOptions) -> TokenStream {
    let supported = supported(plan);
    let doors = match &plan.arrives {
        Some(arrival) => by_rows(plan, arrival, options.observe),
        None if plan.inputs_in_arena() => in_arena(plan, options.observe),
        None => borrowed(plan, options.observe),
    };
    quote! { #supported #doors }
}

/// Name, observer and documentation of the function that runs everything.
fn signature(plan: &Plan, observe: bool) -> TokenStream {
    let inputs = idents(&plan.inputs, "input");
    let input_types = plan.inputs.iter().map(|port| array(&port.ty));
    let (result, _) = results(plan);
    let panics = panics(plan);
    if observe {
        return quote! {
            /// Runs the network and shows each layer's number and value as it is made.
            #panics
            pub fn run_observed<'a>(
                arena: &'a mut Arena, #(#inputs: &#input_types,)* observer: &mut dyn FnMut(usize, &[u8])
            ) -> #result
        };
    }
    quote! {
        /// Runs the network. It cannot fail and allocates nothing.
        #panics
        pub fn run<'a>(arena: &'a mut Arena, #(#inputs: &#input_types),*) -> #result
    }
}

fn panics(plan: &Plan) -> Option<TokenStream> {
    needs_cpu(plan).then(|| {
        let lines = [
            "",
            " # Panics",
            "",
            &format!(" On another CPU than {}; see [`is_supported`].", plan.target.about),
            " Never when the build assumes these instructions anyway.",
        ];
        quote! { #(#[doc = #lines])* }
    })
}

fn borrowed(plan: &Plan, observe: bool) -> TokenStream {
    let signature = signature(plan, observe);
    let inputs = idents(&plan.inputs, "input");
    let dispatch = dispatch(plan, "run", observe, &TokenStream::new());
    let (_, value) = results(plan);
    quote! {
        #signature {
            let inputs = [#(bytes_of(#inputs)),*];
            let m = &mut arena.memory(&WEIGHTS.0, &inputs);
            #dispatch
            #value
        }
    }
}

fn in_arena(plan: &Plan, observe: bool) -> TokenStream {
    let signature = signature(plan, observe);
    let inputs = idents(&plan.inputs, "input");
    let dispatch = dispatch(plan, "run", observe, &TokenStream::new());
    let (result, value) = results(plan);
    let writers: Vec<_> = match &inputs[..] {
        [_] => vec![format_ident!("input_mut")],
        _ => inputs.iter().map(|input| format_ident!("{input}_mut")).collect(),
    };
    let accessors = plan.inputs.iter().zip(&inputs).zip(&writers).map(|((port, input), writer)| {
        let (array, view) = (array(&port.ty), view_mut(plan, port));
        let doc = format!(
            " Where `{input}` lies in the arena: fill it and call [`run_in_place`], which writes over it."
        );
        quote! {
            #[doc = #doc]
            pub fn #writer(arena: &mut Arena) -> &mut #array { #view }
        }
    });
    let copies = quote! { #(*#writers(arena) = *#inputs;)* };
    let run = quote! {
        let m = &mut arena.memory(&WEIGHTS.0, &[]);
        #dispatch
        #value
    };
    if observe {
        return quote! { #(#accessors)* #signature { #copies #run } };
    }
    let panics = panics(plan);
    quote! {
        #(#accessors)*
        #signature { #copies run_in_place(arena) }

        /// Runs the network on what was written to its input in the arena.
        #panics
        pub fn run_in_place<'a>(arena: &'a mut Arena) -> #result { #run }
    }
}

fn view_mut(plan: &Plan, port: &Port) -> TokenStream {
    let (element, at) = (element(port.ty.dtype), Literal::usize_unsuffixed(offset(plan, port)));
    let len = Literal::usize_unsuffixed(port.ty.elements());
    quote! { arena.view_mut::<#element, #at, #len>() }
}

fn offset(plan: &Plan, port: &Port) -> usize {
    match plan.buffer(port.buffer).space {
        Space::Arena(at) => at,
        Space::Input(_) | Space::Weights(_) => 0,
    }
}

fn by_rows(plan: &Plan, arrival: &Arrival, observe: bool) -> TokenStream {
    let Some(port) = plan.inputs.first() else { return TokenStream::new() };
    let buffer = plan.buffer(arrival.buffer);
    let element = element(port.ty.dtype);
    let bytes = Literal::usize_unsuffixed(buffer.row_bytes);
    let len = Literal::usize_unsuffixed(buffer.row_bytes / port.ty.dtype.bytes());
    let [height, held] = [buffer.height, buffer.rows].map(Literal::usize_unsuffixed);
    let at = offset(plan, port);
    let base = Literal::usize_unsuffixed(at);
    let base = (at > 0).then(|| quote! { #base + });
    let bands = Literal::usize_unsuffixed(plan.regions.first().map_or(0, |region| region.bands));
    let arrivals = super::steps::bands(&arrival.bands);
    let signature = signature(plan, observe);
    let (result, value) = results(plan);
    let (first, rest) = (
        dispatch(plan, "first", observe, &quote! { , bands }),
        dispatch(plan, "rest", observe, &TokenStream::new()),
    );
    let observer = observe.then(|| quote! { , observer });
    let observer_type = observe.then(|| quote! { , observer: &mut dyn FnMut(usize, &[u8]) });
    let input = idents(&plan.inputs, "input");
    let panics = panics(plan);
    let finish = (!observe).then(|| {
        quote! {
            /// The result, when all rows of the picture were pushed.
            pub fn finish(self) -> Option<#result> {
                if self.pushed == HEIGHT { Some(self.complete()) } else { None }
            }
        }
    });
    let last = observe.then(|| quote! { observer });
    let visible = if observe {
        TokenStream::new()
    } else {
        quote! { pub }
    };
    let start = (!observe).then(|| {
        quote! {
            /// Starts a picture, whose rows are to be pushed from top to bottom.
            pub fn rows(arena: &mut Arena) -> Rows<'_> { Rows { arena, pushed: 0, band: 0 } }
        }
    });
    quote! {
        /// Rows of a picture.
        pub const HEIGHT: usize = #height;
        /// One row of the picture: its pixels from left to right, the channels of each side by side.
        pub type Row = [#element; #len];

        #start

        /// A picture that arrives row by row. The arena holds only those that are still needed.
        #visible struct Rows<'a> { arena: &'a mut Arena, pushed: usize, band: usize }

        impl<'a> Rows<'a> {
            /// Takes the next row and computes what can be computed with it; rows behind the last one of the
            /// picture are ignored.
            #panics
            #visible fn push_row(&mut self, row: &Row #observer_type) {
                if self.pushed == HEIGHT { return; }
                self.arena.write(#base self.pushed % #held * #bytes, row);
                self.pushed += 1;
                let first = self.band;
                while self.band < #bands && #arrivals.end(self.band) <= self.pushed { self.band += 1; }
                let bands = first..self.band;
                let m = &mut self.arena.memory(&WEIGHTS.0, &[]);
                #first
            }

            #finish

            fn complete(self #observer_type) -> #result {
                let arena = self.arena;
                let m = &mut arena.memory(&WEIGHTS.0, &[]);
                #rest
                #value
            }
        }

        #signature {
            let (rows, _) = #(#input)*.as_chunks();
            let mut picture = Rows { arena, pushed: 0, band: 0 };
            for row in rows { picture.push_row(row #observer); }
            picture.complete(#last)
        }
    }
}

/// The first instruction set that the CPU has.
fn dispatch(plan: &Plan, function: &str, observe: bool, more: &TokenStream) -> TokenStream {
    let observer = observe.then(|| quote! { , observer });
    let function = format_ident!("{function}");
    let mut chain = if needs_cpu(plan) {
        let name = plan.target.name;
        quote! { ::mobilec_runtime::unsupported_cpu(#name) }
    } else {
        quote! { portable::#function(m #more #observer) }
    };
    let guarded = plan.target.arch != Arch::Portable && plan.variants.contains(&Isa::Portable);
    for isa in plan.variants.iter().rev() {
        let Some(path) = isa.token() else { continue };
        let (path, module) = (runtime_path(path), format_ident!("{}", isa.module()));
        chain = if guarded {
            quote! {
                #[cfg(target_arch = "x86_64")]
                let cpu = ::mobilec_runtime::#path::detect();
                #[cfg(target_arch = "x86_64")]
                if let Some(cpu) = cpu { #module::#function(cpu, m #more #observer); } else { #chain; }
                #[cfg(not(target_arch = "x86_64"))]
                portable::#function(m #more #observer)
            }
        } else {
            quote! {
                match ::mobilec_runtime::#path::detect() {
                    Some(cpu) => #module::#function(cpu, m #more #observer),
                    None => #chain,
                }
            }
        };
    }
    quote! { #chain; }
}
