//! The functions of one instruction set: a region a function, a step a line.

use super::{ModuleOptions, format, names, runtime_path};
use crate::ops::activation::Activation;
use crate::ops::epilogue::Epilogue;
use crate::ops::quantization::{Requantize, Rounding};
use crate::plan::request::{Arg, MapShape, Operand, Rows};
use crate::plan::{Bands, BufferId, Layer, Plan, Region, Space, Step};
use crate::tensor::DType;
use mobilec_targets::{Arch, Isa};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeSet;
use std::ops::Range;

/// `mod avx2 { … }`
pub fn variant(plan: &Plan, at: usize, isa: Isa, options: &ModuleOptions) -> TokenStream {
    let emit = Emit { plan, at, isa, observe: options.observe };
    let module = format_ident!("{}", isa.module());
    let idents = region_idents(plan);
    let functions: Vec<TokenStream> = plan
        .regions
        .iter()
        .zip(&idents)
        .enumerate()
        .map(|(at, (region, ident))| emit.function(at, region, ident))
        .collect();
    let run = emit.run(&idents);
    let imports = imports(plan, at, isa, &functions);
    let cfg = match plan.target.arch {
        Arch::Portable => TokenStream::new(),
        _ if isa == Isa::Portable => TokenStream::new(),
        Arch::X86_64 => quote! { #[cfg(target_arch = "x86_64")] },
    };
    let doc = format!(" The network in kernels for {isa:?}.");
    quote! {
        #[doc = #doc]
        #cfg
        mod #module {
            #imports

            #run

            #(#functions)*
        }
    }
}

fn region_idents(plan: &Plan) -> Vec<Ident> {
    let digits = plan.regions.len().to_string().len();
    plan.regions
        .iter()
        .enumerate()
        .map(|(i, region)| {
            format_ident!("r{:0digits$}_{}", i, names::snake(names::leaf(&region.name).as_str(), "region"))
        })
        .collect()
}

/// What the functions name, so that nothing is imported in vain.
fn imports(plan: &Plan, at: usize, isa: Isa, functions: &[TokenStream]) -> TokenStream {
    let mut idents = BTreeSet::new();
    functions.iter().for_each(|tokens| collect(tokens.clone(), &mut idents));
    let step_types: BTreeSet<String> =
        plan.steps().map(|(_, step)| format!("{:?}", step.request.family)).collect();
    let used: Vec<Ident> = STEP_NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .filter(|name| idents.contains(name))
        .chain(step_types)
        .collect::<BTreeSet<String>>()
        .iter()
        .map(|name| format_ident!("{name}"))
        .collect();
    let folders: BTreeSet<&str> = plan
        .steps()
        .filter_map(|(_, step)| step.kernels[at].kernel.path.rsplit_once("::").map(|(folder, _)| folder))
        .collect();
    let folders = folders.into_iter().map(runtime_path);
    let token = isa.token().map(|path| {
        let path = runtime_path(path);
        quote! { use ::mobilec_runtime::#path; }
    });
    let bands = idents.contains("Bands").then(|| quote! { Bands, });
    let steps = (!used.is_empty()).then(|| quote! { use ::mobilec_runtime::steps::{#(#used),*}; });
    quote! {
        use ::mobilec_runtime::{#bands Memory};
        #(use ::mobilec_runtime::kernels::#folders;)*
        #steps
        #token
    }
}

/// Names below the runtime's `steps` that fields can hold.
const STEP_NAMES: &[&str] = &[
    "Activation",
    "BinaryOp",
    "Codes",
    "CompareOp",
    "Element",
    "Epilogue",
    "Map",
    "Place",
    "Pooling",
    "Prefetch",
    "ReduceOp",
    "Requantize",
    "UnaryOp",
];

fn collect(tokens: TokenStream, idents: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(ident) => {
                idents.insert(ident.to_string());
            }
            proc_macro2::TokenTree::Group(group) => collect(group.stream(), idents),
            proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => {}
        }
    }
}

struct Emit<'a> {
    plan: &'a Plan,
    at: usize,
    isa: Isa,
    observe: bool,
}

impl Emit<'_> {
    /// Of a function that runs steps; `more` stands behind the memory.
    fn parameters(&self, more: &TokenStream) -> TokenStream {
        let cpu = self.isa.token().map(|path| {
            let token = format_ident!("{}", path.rsplit("::").next().unwrap_or(path));
            quote! { cpu: #token, }
        });
        let observer = self.observe.then(|| quote! { , observer: &mut dyn FnMut(usize, &[u8]) });
        quote! { #cpu m: &mut Memory<'_> #more #observer }
    }

    fn arguments(&self, more: &TokenStream) -> TokenStream {
        let cpu = self.isa.token().map(|_| quote! { cpu, });
        let observer = self.observe.then(|| quote! { , observer });
        quote! { #cpu m #more #observer }
    }

    /// Calls of all regions; of the first by itself where rows of the input arrive.
    fn run(&self, regions: &[Ident]) -> TokenStream {
        let nothing = TokenStream::new();
        let (parameters, arguments) = (self.parameters(&nothing), self.arguments(&nothing));
        match regions {
            [first, rest @ ..] if self.plan.arrives.is_some() => {
                let (bands, given) = (self.parameters(&band_range()), self.arguments(&quote! { , bands }));
                let unused = rest.is_empty().then(|| quote! { let _ = (#arguments); });
                quote! {
                    /// Runs bands of the first region.
                    pub(super) fn first(#bands) { #first(#given); }

                    /// Runs every other region in order.
                    pub(super) fn rest(#parameters) { #unused #(#rest(#arguments);)* }
                }
            }
            _ => quote! {
                /// Runs every region in order.
                pub(super) fn run(#parameters) { #(#regions(#arguments);)* }
            },
        }
    }

    fn function(&self, at: usize, region: &Region, ident: &Ident) -> TokenStream {
        let arrives = at == 0 && self.plan.arrives.is_some();
        let parameters = self.parameters(&if arrives { band_range() } else { TokenStream::new() });
        let consts = region.steps.iter().enumerate().map(|(i, step)| self.constant(region, i, step));
        let calls: Vec<TokenStream> =
            region.steps.iter().enumerate().map(|(i, step)| self.call(region, i, step)).collect();
        let body = if arrives {
            let band = if region.bands == 1 {
                quote! { _ }
            } else {
                quote! { band }
            };
            quote! { for #band in bands { #(#calls)* } }
        } else if region.bands == 1 {
            quote! { #(#calls)* }
        } else {
            let bands = Literal::usize_unsuffixed(region.bands);
            quote! { for band in 0..#bands { #(#calls)* } }
        };
        let doc = format!(" {}", region_doc(self.plan, region));
        let unused = match (self.isa.token(), self.names_cpu(region)) {
            (Some(_), false) => quote! { let _ = cpu; },
            _ => TokenStream::new(),
        };
        quote! {
            #[doc = #doc]
            fn #ident(#parameters) {
                #(#consts)*
                #unused
                #body
            }
        }
    }

    fn names_cpu(&self, region: &Region) -> bool {
        region.steps.iter().any(|step| step.kernels[self.at].kernel.isa.token().is_some())
    }

    fn constant(&self, region: &Region, index: usize, step: &Step) -> TokenStream {
        let name = const_name(region, index, step);
        let family = format_ident!("{}", format!("{:?}", step.request.family));
        let mut weights = step.weights[self.at].iter();
        let mut reads = step.reads.iter();
        let fields = step.request.fields.iter().map(|(field, arg)| {
            let field = format_ident!("{field}");
            let value = self.arg(step, arg, &mut weights, &mut reads);
            quote! { #field: #value }
        });
        let rows = (region.bands > 1 && step.takes_rows()).then(|| {
            let (name, bands) = (rows_name(region, index), bands(&step.bands));
            quote! { const #name: Bands = #bands; }
        });
        quote! { const #name: #family = #family { #(#fields),* }; #rows }
    }

    fn call(&self, region: &Region, index: usize, step: &Step) -> TokenStream {
        let kernel = step.kernels[self.at].kernel;
        let path: Vec<&str> = kernel.path.rsplit("::").take(2).collect();
        let (function, folder) = match path[..] {
            [function, folder] => (format_ident!("{function}"), format_ident!("{folder}")),
            _ => (format_ident!("{}", kernel.path), format_ident!("kernels")),
        };
        let name = const_name(region, index, step);
        let cpu = kernel.isa.token().map(|_| {
            // The instruction set holds others whose kernels it uses.
            if kernel.isa == self.isa {
                quote! { cpu, }
            } else {
                quote! { cpu.into(), }
            }
        });
        let rows = step.takes_rows().then(|| {
            let rows = rows(region, index, step);
            quote! { , #rows }
        });
        let note =
            (region.steps.len() > 1).then(|| format::note(&step_note(&self.plan.layers[step.layer], step)));
        let observe = self.observe.then(|| self.observation(region, index, step)).flatten();
        quote! {
            #note
            #folder::#function(#cpu m, &#name #rows);
            #observe
        }
    }

    /// Shows the layer's value, once it is complete or, band by band, the rows that were made.
    fn observation(&self, region: &Region, index: usize, step: &Step) -> Option<TokenStream> {
        let buffer = self.plan.buffer(step.write);
        let (Space::Arena(at), true) = (buffer.space, step.part.0 + 1 == step.part.1) else { return None };
        let [layer, at, bytes] = [step.layer, at, buffer.bytes()].map(Literal::usize_unsuffixed);
        let whole = quote! { observer(#layer, m.bytes(#at, #bytes)); };
        Some(match step.request.rows {
            _ if region.bands == 1 => whole,
            Rows::Window { .. } => {
                let rows = rows(region, index, step);
                let [held, row_bytes] = [buffer.rows, buffer.row_bytes].map(Literal::usize_unsuffixed);
                quote! { for y in #rows { observer(#layer, m.bytes(#at + y % #held * #row_bytes, #row_bytes)); } }
            }
            Rows::Whole | Rows::Accumulate => {
                let last = Literal::usize_unsuffixed(region.bands - 1);
                quote! { if band == #last { #whole } }
            }
        })
    }

    fn arg<'s>(
        &self,
        step: &Step,
        arg: &Arg,
        weights: &mut impl Iterator<Item = &'s Range<usize>>,
        reads: &mut impl Iterator<Item = &'s crate::plan::Read>,
    ) -> TokenStream {
        let mut buffer = |operand: &Operand| match operand {
            Operand::Output => step.write,
            Operand::Input(_) => reads.next().map_or(step.write, |read| read.buffer),
        };
        match arg {
            Arg::Map(operand, shape) => self.map(buffer(operand), *shape),
            Arg::Place(operand, offset) => self.place(buffer(operand), *offset),
            Arg::Weights(_) => {
                let at = Literal::usize_unsuffixed(weights.next().map_or(0, |range| range.start));
                quote! { #at }
            }
            Arg::Prefetch => prefetch_tokens(&step.prefetch[self.at]),
            Arg::Usize(value) => {
                let value = Literal::usize_unsuffixed(*value);
                quote! { #value }
            }
            Arg::Int(value) => literal_i64(*value),
            Arg::F32(value) => literal_f32(*value),
            Arg::Bool(value) => quote! { #value },
            Arg::Usizes(values) => {
                let values = values.iter().map(|&v| Literal::usize_unsuffixed(v));
                quote! { [#(#values),*] }
            }
            Arg::Isizes(values) => {
                let values = values.iter().map(|&v| literal_i64(v as i64));
                quote! { [#(#values),*] }
            }
            Arg::Path(path) => runtime_path(path),
            Arg::Activation(activation) => activation_tokens(*activation),
            Arg::Codes { signed, zero_point } => codes_tokens(*signed, *zero_point),
            Arg::Requantize(requantize) => requantize_tokens(requantize),
            Arg::Epilogue(epilogue, residual) => {
                let residual = residual.map(|(position, shape)| {
                    let id = buffer(&Operand::Input(position));
                    self.map(id, shape)
                });
                epilogue_tokens(epilogue, residual)
            }
        }
    }

    fn map(&self, id: BufferId, shape: MapShape) -> TokenStream {
        let buffer = self.plan.buffer(id);
        let MapShape { height, width, channels, image } = shape;
        let image_bytes = height * width * channels * buffer.ty.dtype.bytes();
        let place = self.place(id, image * image_bytes);
        let rows = if buffer.rows == buffer.height { height } else { buffer.rows };
        let whole = rows == height;
        let [height, width, channels, rows] = [height, width, channels, rows].map(Literal::usize_unsuffixed);
        if whole {
            quote! { Map::whole(#place, [#height, #width, #channels]) }
        } else {
            quote! { Map::ring(#place, [#height, #width, #channels], #rows) }
        }
    }

    fn place(&self, id: BufferId, offset: usize) -> TokenStream {
        match self.plan.buffer(id).space {
            Space::Arena(at) => {
                let at = Literal::usize_unsuffixed(at + offset);
                quote! { Place::Arena(#at) }
            }
            Space::Weights(at) => {
                let at = Literal::usize_unsuffixed(at + offset);
                quote! { Place::Weights(#at) }
            }
            Space::Input(index) => {
                let (index, at) = (Literal::usize_unsuffixed(index), Literal::usize_unsuffixed(offset));
                quote! { Place::Input(#index, #at) }
            }
        }
    }
}

fn const_name(region: &Region, index: usize, step: &Step) -> Ident {
    let family = names::snake(&format!("{:?}", step.request.family), "step").to_ascii_uppercase();
    if region.steps.len() == 1 { format_ident!("{family}") } else { format_ident!("{family}_{index}") }
}

/// The rows of a call.
fn rows(region: &Region, index: usize, step: &Step) -> TokenStream {
    if region.bands == 1 {
        let total = Literal::usize_unsuffixed(step.bands.total);
        return quote! { 0..#total };
    }
    let name = rows_name(region, index);
    quote! { #name.rows(band) }
}

fn rows_name(region: &Region, index: usize) -> Ident {
    if region.steps.len() == 1 { format_ident!("ROWS") } else { format_ident!("ROWS_{index}") }
}

/// The bands that are to be run, as a parameter.
fn band_range() -> TokenStream {
    quote! { , bands: core::ops::Range<usize> }
}

/// `Bands::new(…)`
pub fn bands(bands: &Bands) -> TokenStream {
    let [rows, per, total] = [bands.rows, bands.per, bands.total].map(Literal::usize_unsuffixed);
    let ahead = literal_i64(bands.ahead as i64);
    quote! { Bands::new(#rows, #per, #ahead, #total) }
}

fn region_doc(plan: &Plan, region: &Region) -> String {
    let mut layers: Vec<&Layer> = region.steps.iter().map(|step| &plan.layers[step.layer]).collect();
    layers.dedup_by_key(|layer| layer.node);
    match (layers.first(), layers.last()) {
        (Some(first), Some(last)) => {
            let macs: u64 = layers.iter().map(|layer| layer.macs).sum();
            let operation = if layers.len() == 1 {
                format!("{}, ", format::clean(&first.operation))
            } else {
                String::new()
            };
            let bands = if region.bands > 1 { format!(", in {} bands", region.bands) } else { String::new() };
            format!(
                "{}: {operation}{} → {}, {macs} MACs{bands}",
                format::clean(&region.name),
                first.input,
                last.output
            )
        }
        _ => format::clean(&region.name),
    }
}

fn step_note(layer: &Layer, step: &Step) -> String {
    let part = match step.part {
        (_, 1) => String::new(),
        (part, parts) => format!(", part {} of {parts}", part + 1),
    };
    format!("{}: {}{part} → {}", format::clean(&layer.name), format::clean(&layer.operation), layer.output)
}

fn epilogue_tokens(epilogue: &Epilogue, residual: Option<TokenStream>) -> TokenStream {
    let activation = activation_tokens(epilogue.activation);
    let after = activation_tokens(epilogue.after);
    match residual {
        None => quote! { Epilogue::new(#activation) },
        Some(map) if epilogue.after == Activation::Identity => quote! { Epilogue::add(#activation, #map) },
        Some(map) => quote! { Epilogue { activation: #activation, residual: Some(#map), after: #after } },
    }
}

fn prefetch_tokens(bytes: &Range<usize>) -> TokenStream {
    if bytes.is_empty() {
        return quote! { Prefetch::NONE };
    }
    let [at, bytes] = [bytes.start, bytes.len()].map(Literal::usize_unsuffixed);
    quote! { Prefetch::new(#at, #bytes) }
}

fn codes_tokens(signed: bool, zero_point: i32) -> TokenStream {
    let (name, zero_point) =
        (format_ident!("{}", if signed { "i8" } else { "u8" }), literal_i64(zero_point.into()));
    quote! { Codes::#name(#zero_point) }
}

fn requantize_tokens(requantize: &Requantize) -> TokenStream {
    let codes = codes_tokens(requantize.to.dtype == DType::I8, requantize.to.zero_point);
    let [lo, hi] = requantize.range.map(|bound| literal_i64(bound.into()));
    match requantize.rounding {
        Rounding::Onnx => quote! { Requantize::onnx(#codes, [#lo, #hi]) },
        Rounding::Tflite => quote! { Requantize::tflite(#codes, [#lo, #hi]) },
    }
}

fn activation_tokens(activation: Activation) -> TokenStream {
    match activation {
        Activation::Identity => quote! { Activation::Identity },
        Activation::RELU => quote! { Activation::RELU },
        Activation::RELU6 => quote! { Activation::RELU6 },
        Activation::Clamp { lo, hi } => {
            let (lo, hi) = (literal_f32(lo), literal_f32(hi));
            quote! { Activation::Clamp { lo: #lo, hi: #hi } }
        }
        Activation::HardSwish => quote! { Activation::HardSwish },
        Activation::HardSigmoid { alpha, beta } => {
            let (alpha, beta) = (literal_f32(alpha), literal_f32(beta));
            quote! { Activation::HardSigmoid { alpha: #alpha, beta: #beta } }
        }
        Activation::Sigmoid => quote! { Activation::Sigmoid },
        Activation::Silu => quote! { Activation::Silu },
        Activation::Gelu => quote! { Activation::Gelu },
        Activation::GeluTanh => quote! { Activation::GeluTanh },
        Activation::Tanh => quote! { Activation::Tanh },
        Activation::LeakyRelu { alpha } => {
            let alpha = literal_f32(alpha);
            quote! { Activation::LeakyRelu { alpha: #alpha } }
        }
        Activation::Elu { alpha } => {
            let alpha = literal_f32(alpha);
            quote! { Activation::Elu { alpha: #alpha } }
        }
        Activation::Softplus => quote! { Activation::Softplus },
    }
}

fn literal_f32(value: f32) -> TokenStream {
    if value.is_nan() {
        quote! { f32::NAN }
    } else if value.is_infinite() {
        if value > 0.0 {
            quote! { f32::INFINITY }
        } else {
            quote! { f32::NEG_INFINITY }
        }
    } else {
        let magnitude = Literal::f32_unsuffixed(value.abs());
        if value.is_sign_negative() {
            quote! { -#magnitude }
        } else {
            quote! { #magnitude }
        }
    }
}

fn literal_i64(value: i64) -> TokenStream {
    let magnitude = Literal::u64_unsuffixed(value.unsigned_abs());
    if value < 0 {
        quote! { -#magnitude }
    } else {
        quote! { #magnitude }
    }
}
