//! `mobilec report`

use super::model::{self, ModelArguments, PlanArguments, show_notes};
use clap::Args;
use mobilec::Result;
use mobilec::driver::{self, Compiled, Options};
use mobilec::plan::{Plan, Space, Step};
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
            let (fused, fusions) = driver::optimize(&imported)?;
            let notes = fusions.iter().filter(|_| self.explain).map(|note| format!("{note}\n"));
            return super::print(&notes.chain([fused.text()]).collect::<String>());
        }
        let compiled = driver::compile(
            &source,
            &Options { objective: self.plan.objective()?, ..Options::new(target, "net") },
        )?;
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

/// Sum of what inputs or outputs occupy.
fn port_bytes(ports: &[mobilec::plan::Port]) -> usize {
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
    let inputs = port_bytes(&plan.inputs);
    json!({
        "model": model, "target": plan.target.name, "macs": plan.macs(), "parameters": compiled.parameters(),
        "weight_bytes": plan.weights.len(), "flash_bytes": plan.weights.len(),
        "peak_ram_bytes": plan.arena_bytes + inputs, "input_bytes": inputs,
        "output_bytes": port_bytes(&plan.outputs), "arena_bytes": plan.arena_bytes,
        "arena_lower_bound_bytes": plan.arena_lower_bound_bytes,
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
         RAM    {} arena (no plan of these buffers needs less than {}), {} input, {} output inside the arena\n",
        compiled.fused.name,
        plan.target.name,
        plan.layers.len(),
        plan.macs(),
        compiled.parameters(),
        kib(plan.weights.len()),
        kib(plan.arena_bytes),
        kib(plan.arena_lower_bound_bytes),
        kib(port_bytes(&plan.inputs)),
        kib(port_bytes(&plan.outputs)),
    );
    format!("{table}\n{sums}")
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
