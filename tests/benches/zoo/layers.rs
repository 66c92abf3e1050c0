//! The zoo's layers as steps of the runtime.

use super::fastest;
use mobilec::driver::{self, Options};
use mobilec::files;
use mobilec::onnx::ImportOptions;
use mobilec::ops::activation::Activation as Function;
use mobilec::plan::Step;
use mobilec::plan::request::{Arg, MapShape};
use mobilec_runtime::steps::{
    Activation, Conv2d, Depthwise, Epilogue, Map, Place, PlanarConv2d, Pointwise, Prefetch,
};
use mobilec_runtime::{Arena, Memory, bytes_of};
use mobilec_targets::{Family, Target};
use std::collections::BTreeMap;
use std::ops::Range;

/// One kind of layer.
pub struct Case {
    pub kernel: &'static str,
    pub macs: u64,
    /// What it computes, for people.
    description: String,
    /// Networks that have it.
    networks: usize,
    step: Kind,
    rows: usize,
}

impl Case {
    /// Its line.
    pub fn layer(&self) -> String {
        format!("{} ({})", self.description, self.networks)
    }

    /// What a filter looks at.
    pub fn name(&self) -> String {
        format!("{} {}", self.kernel, self.description)
    }
}

/// A step of a family that sums products.
enum Kind {
    Pointwise(Pointwise),
    Conv2d(Conv2d),
    PlanarConv2d(PlanarConv2d),
    Depthwise(Depthwise),
}

/// A kernel of such a family.
pub enum Kernel {
    Pointwise(fn(&mut Memory<'_>, &Pointwise, Range<usize>)),
    Conv2d(fn(&mut Memory<'_>, &Conv2d, Range<usize>)),
    PlanarConv2d(fn(&mut Memory<'_>, &PlanarConv2d, Range<usize>)),
    Depthwise(fn(&mut Memory<'_>, &Depthwise, Range<usize>)),
}

// `kernel(path)`: the kernel of that path, where this CPU has its instruction set.
include!(concat!(env!("OUT_DIR"), "/layer_kernels.rs"));

/// All kinds of layers that the zoo's networks have on a target, by kernel and description.
pub fn of_zoo(target: &'static Target) -> Vec<Case> {
    let mut cases: BTreeMap<(&str, String), Case> = BTreeMap::new();
    for entry in mobilec::zoo::ALL {
        let model = files::zoo(entry.name, &mobilec_tests::here(), ImportOptions::default());
        let model = model.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        let compiled = driver::compile(&model, &Options::new(target, "net"));
        let plan = compiled.unwrap_or_else(|error| panic!("{}: {error}", entry.name)).plan;
        let mut seen = Vec::new();
        for (_, step) in plan.steps() {
            let Some(kind) = kind(step) else { continue };
            let layer = &plan.layers[step.layer];
            let description = format!("{}, {} → {}", layer.operation, layer.input, layer.output);
            let key = (step.kernels[0].kernel.path, description);
            let first = !seen.contains(&key);
            let case = cases.entry(key.clone()).or_insert_with(|| Case {
                kernel: key.0,
                macs: step.request.shape.macs(),
                description: key.1.clone(),
                networks: 0,
                step: kind,
                rows: step.bands.total,
            });
            case.networks += usize::from(first);
            seen.push(key);
        }
    }
    cases.into_values().collect()
}

/// Where maps and constants lie, in bytes; not at equal distances from 4 KiB boundaries.
const INPUT: usize = 0;
const OUTPUT: usize = (64 << 20) + 1088;
const RESIDUAL: usize = (128 << 20) + 2112;
const ARENA: usize = 192 << 20;
const WEIGHTS: usize = 64 << 20;
const BIAS: usize = WEIGHTS - (1 << 20);

/// The step with its maps held whole, where it is of a family that sums products of floats.
fn kind(step: &Step) -> Option<Kind> {
    let fields = Fields(&step.request.fields);
    Some(match step.request.family {
        Family::Pointwise => Kind::Pointwise(Pointwise {
            input: fields.map("input", INPUT)?,
            output: fields.map("output", OUTPUT)?,
            weights: 0,
            bias: BIAS,
            epilogue: fields.epilogue()?,
            prefetch: Prefetch::NONE,
        }),
        Family::Conv2d => Kind::Conv2d(Conv2d {
            input: fields.map("input", INPUT)?,
            output: fields.map("output", OUTPUT)?,
            kernel: fields.sizes("kernel")?,
            stride: fields.sizes("stride")?,
            dilation: fields.sizes("dilation")?,
            pad: fields.sizes("pad")?,
            groups: fields.size("groups")?,
            weights: 0,
            bias: BIAS,
            epilogue: fields.epilogue()?,
        }),
        Family::PlanarConv2d => Kind::PlanarConv2d(PlanarConv2d {
            input: Place::Arena(INPUT),
            size: fields.sizes("size")?,
            output: fields.map("output", OUTPUT)?,
            kernel: fields.sizes("kernel")?,
            stride: fields.sizes("stride")?,
            dilation: fields.sizes("dilation")?,
            pad: fields.sizes("pad")?,
            weights: 0,
            bias: BIAS,
            epilogue: fields.epilogue()?,
        }),
        Family::Depthwise => Kind::Depthwise(Depthwise {
            input: fields.map("input", INPUT)?,
            output: fields.map("output", OUTPUT)?,
            kernel: fields.sizes("kernel")?,
            stride: fields.sizes("stride")?,
            dilation: fields.sizes("dilation")?,
            pad: fields.sizes("pad")?,
            multiplier: fields.size("multiplier")?,
            weights: 0,
            bias: BIAS,
            epilogue: fields.epilogue()?,
        }),
        _ => return None,
    })
}

/// A request's fields by name.
struct Fields<'a>(&'a [(&'static str, Arg)]);

impl Fields<'_> {
    fn find(&self, name: &str) -> Option<&Arg> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, arg)| arg)
    }

    fn map(&self, name: &str, at: usize) -> Option<Map> {
        match self.find(name)? {
            Arg::Map(_, shape) => Some(whole(*shape, at)),
            _ => None,
        }
    }

    fn size(&self, name: &str) -> Option<usize> {
        match self.find(name)? {
            Arg::Usize(value) => Some(*value),
            _ => None,
        }
    }

    fn sizes<const N: usize>(&self, name: &str) -> Option<[usize; N]> {
        match self.find(name)? {
            Arg::Usizes(values) => values[..].try_into().ok(),
            _ => None,
        }
    }

    fn epilogue(&self) -> Option<Epilogue> {
        match self.find("epilogue")? {
            Arg::Epilogue(epilogue, residual) => Some(Epilogue {
                activation: activation(epilogue.activation)?,
                residual: residual.map(|(_, shape)| whole(shape, RESIDUAL)),
                after: activation(epilogue.after)?,
            }),
            _ => None,
        }
    }
}

fn whole(shape: MapShape, at: usize) -> Map {
    Map::whole(Place::Arena(at), [shape.height, shape.width, shape.channels])
}

/// The functions that the zoo's layers end in.
fn activation(function: Function) -> Option<Activation> {
    Some(match function {
        Function::Identity => Activation::Identity,
        Function::Clamp { lo, hi } => Activation::Clamp { lo, hi },
        Function::HardSwish => Activation::HardSwish,
        Function::HardSigmoid { alpha, beta } => Activation::HardSigmoid { alpha, beta },
        Function::Sigmoid => Activation::Sigmoid,
        Function::Silu => Activation::Silu,
        Function::Gelu => Activation::Gelu,
        _ => return None,
    })
}

/// Memory for one layer at a time.
pub struct Bench {
    arena: Box<Arena<ARENA>>,
    weights: &'static [f32],
}

impl Bench {
    /// Zeros to compute with, and weights on a 64-byte boundary as in a module.
    pub fn new() -> Self {
        let weights = vec![0.01_f32; WEIGHTS / size_of::<f32>() + 16].leak();
        let aligned = weights.as_ptr().align_offset(64);
        Self { arena: Arena::boxed(), weights: &weights[aligned..] }
    }

    /// Of the fastest run; `None` where this CPU has not the kernel's instruction set.
    pub fn seconds(&mut self, case: &Case) -> Option<f64> {
        let kernel = kernel(case.kernel)?;
        let mut memory = self.arena.memory(bytes_of(self.weights), &[]);
        let rows = 0..case.rows;
        Some(fastest(|| match (&kernel, &case.step) {
            (Kernel::Pointwise(run), Kind::Pointwise(step)) => run(&mut memory, step, rows.clone()),
            (Kernel::Conv2d(run), Kind::Conv2d(step)) => run(&mut memory, step, rows.clone()),
            (Kernel::PlanarConv2d(run), Kind::PlanarConv2d(step)) => run(&mut memory, step, rows.clone()),
            (Kernel::Depthwise(run), Kind::Depthwise(step)) => run(&mut memory, step, rows.clone()),
            _ => {}
        }))
    }
}
