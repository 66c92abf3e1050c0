//! `mobilec report`

use super::model::{self, ModelArguments, PlanArguments, show_notes};
use clap::Args;
use mobilec::Result;
use mobilec::driver::{self, Compiled, Options};
use mobilec::plan::{Inputs, Objective, Plan, Port, Space, Step};
use mobilec::tensor::DType;
use mobilec_targets::Target;
use serde_json::json;

/// Shows what a compiled model is made of.
#[derive(Args)]
pub struct Report {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    plan: PlanArguments,
    /// What to generate code for
    #[arg(long, default_value = "native", value_name = "T")]
    target: String,
    /// Plan as if the network were quantised, one byte for every float, and for the smallest arena unless
    /// --max-ram or --layer-by-layer say otherwise: an estimate
    #[arg(long, value_name = "i8")]
    assume_dtype: Option<Assumed>,
    /// Show what every fusion and every kernel choice was made of
    #[arg(long)]
    explain: bool,
    /// Show the fused graph instead, one line an operator
    #[arg(long)]
    graph: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

impl Report {
    /// Compiles and prints; nothing is built.
    pub fn execute(&self) -> Result {
        let target = model::target(&self.target)?;
        let source = self.model.open()?;
        if self.graph {
            let (imported, _) = driver::import(&source)?;
            let (fused, fusions) = driver::optimize_with(&imported, self.plan.rounding)?;
            let notes = fusions.iter().filter(|_| self.explain).map(|note| format!("{note}\n"));
            return super::print(&notes.chain([fused.text()]).collect::<String>());
        }
        let compiled = driver::compile(&source, &self.options(target)?)?;
        show_notes(&compiled);
        if self.json {
            return super::print_json(&object(&source.name, &compiled));
        }
        let mut text = table(&compiled);
        if self.explain {
            for note in &compiled.fusions {
                text += &format!("{note}\n");
            }
            text += &compiled.plan.explain();
        }
        super::print(&text)
    }
}

impl Report {
    /// An estimate of memory is of the smallest plan, unless something else is asked for.
    fn options(&self, target: &'static Target) -> Result<Options> {
        let options = self.plan.options(target, "net")?;
        let Some(Assumed::I8) = self.assume_dtype else { return Ok(options) };
        let options = Options { assume: Some(DType::I8), ..options };
        Ok(match (self.plan.objective()?, options.inputs) {
            (Some(_), _) => options,
            (None, Inputs::Rows) => Options { objective: Objective::Memory, ..options },
            (None, Inputs::Borrowed | Inputs::Arena) => {
                Options { objective: Objective::Memory, inputs: Inputs::Arena, ..options }
            }
        })
    }
}

/// Types that a plan can be made for before a network is of them.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Assumed {
    /// One byte.
    I8,
}

/// Bytes of memory by what they are for.
struct Ram {
    /// The arena, and inputs that lie outside of it.
    peak: usize,
    /// Inputs; of one that arrives row by row, the rows that are held.
    input: usize,
    output: usize,
    /// Inside the arena.
    input_inside: bool,
}

impl Ram {
    fn of(plan: &Plan) -> Self {
        let input: usize = plan.inputs.iter().map(|port| plan.buffer(port.buffer).bytes()).sum();
        let outside = |port: &Port| matches!(plan.buffer(port.buffer).space, Space::Input(_));
        let outside: usize =
            plan.inputs.iter().filter(|port| outside(port)).map(|port| port.ty.bytes()).sum();
        Self {
            peak: plan.arena_bytes + outside,
            input,
            output: port_bytes(&plan.outputs),
            input_inside: outside == 0,
        }
    }

    /// What is neither input nor output: no less than 0, as outputs may lie where inputs were.
    fn rest(&self) -> usize {
        self.peak.saturating_sub(self.input + self.output)
    }
}

/// Sum of what inputs or outputs occupy.
fn port_bytes(ports: &[Port]) -> usize {
    ports.iter().map(|port| port.ty.bytes()).sum()
}

fn object(model: &str, compiled: &Compiled) -> serde_json::Value {
    let plan = &compiled.plan;
    let layers: Vec<serde_json::Value> = plan
        .steps()
        .filter(|(_, step)| step.part.0 == 0)
        .map(|(region, step)| {
            let layer = &plan.layers[step.layer];
            json!({
                "name": layer.name, "operation": layer.operation, "region": region,
                "input": layer.input.shape, "output": layer.output.shape, "macs": layer.macs,
                "kernel": kernel(step), "weight_bytes": weight_bytes(step),
            })
        })
        .collect();
    let ram = Ram::of(plan);
    json!({
        "model": model, "target": plan.target.name, "macs": plan.macs(), "parameters": compiled.parameters(),
        "weight_bytes": plan.weights.len(), "flash_bytes": plan.weights.len(),
        "peak_ram_bytes": ram.peak, "input_bytes": ram.input, "output_bytes": ram.output,
        "other_bytes": ram.rest(), "input_inside_arena": ram.input_inside, "arena_bytes": plan.arena_bytes,
        "arena_lower_bound_bytes": plan.arena_lower_bound_bytes,
        "assumed_dtype": plan.assumed.map(|dtype| dtype.to_string()),
        "regions": plan.regions.len(), "layers": layers,
    })
}

fn kernel(step: &Step) -> String {
    let paths: Vec<&str> = step.kernels.iter().map(|choice| choice.kernel.path).collect();
    paths.join(" | ")
}

fn weight_bytes(step: &Step) -> usize {
    step.weights.first().map_or(0, |ranges| ranges.iter().map(ExactSizeIterator::len).sum())
}

fn table(compiled: &Compiled) -> String {
    let plan = &compiled.plan;
    let ram = Ram::of(plan);
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["layer", "operation", "output", "MACs", "weights", "arena", "kernel"]);
    for (_, step) in plan.steps() {
        let layer = &plan.layers[step.layer];
        table.add_row([
            layer.name.clone(),
            layer.operation.clone(),
            layer.output.to_string(),
            layer.macs.to_string(),
            weight_bytes(step).to_string(),
            place(plan, step),
            kernel(step),
        ]);
    }
    let sums = format!(
        "{} for {}: {} layers, {} MACs, {} parameters\n\
         flash  {} (weights; code comes on top)\n\
         RAM    {} at the peak: {} arena (no plan of these buffers needs less than {}) with {} output{}{} input{}\n",
        compiled.fused.name,
        plan.target.name,
        plan.layers.len(),
        plan.macs(),
        compiled.parameters(),
        kib(plan.weights.len()),
        kib(ram.peak),
        kib(plan.arena_bytes),
        kib(plan.arena_lower_bound_bytes),
        kib(ram.output),
        if ram.input_inside { " and " } else { " inside, " },
        kib(ram.input),
        if ram.input_inside { " inside" } else { "" },
    );
    let estimate = plan.assumed.map_or(String::new(), |dtype| {
        format!("estimate: planned as if every float were {dtype}; this network is not quantised\n")
    });
    format!("{table}\n{}\n{sums}{estimate}", plan.drawing())
}

fn place(plan: &Plan, step: &Step) -> String {
    let buffer = plan.buffer(step.write);
    match buffer.space {
        Space::Arena(at) => format!("{at}..{}", at + buffer.bytes()),
        Space::Input(_) | Space::Weights(_) => String::new(),
    }
}

fn kib(bytes: usize) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}
