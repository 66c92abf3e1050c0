//! `mobilec bench`

use super::model::{self, ModelArguments, PlanArguments};
use super::samples::InputArguments;
use clap::Args;
use mobilec::driver::Compiled;
use mobilec::harness::Timing;
use mobilec::samples::Sample;
use mobilec::{Error, Result};
use serde_json::json;

/// Measures latency.
#[derive(Args)]
pub struct Bench {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    plan: PlanArguments,
    #[command(flatten)]
    input: InputArguments,
    /// What to generate code for
    #[arg(long, default_value = "native", value_name = "T")]
    target: String,
    /// Threads; emitted code uses one
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    /// Seconds to measure for
    #[arg(long, default_value_t = 2.0, value_name = "S")]
    seconds: f64,
    /// Also measure each layer by itself
    #[arg(long)]
    profile: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What was measured, in the units that are shown.
struct Figures {
    min_ms: f64,
    median_ms: f64,
    gflops: f64,
    peak_gflops: f64,
}

impl Figures {
    fn new(timing: &Timing, macs: u64) -> Self {
        let mut sorted = timing.nanoseconds.clone();
        sorted.sort_unstable();
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0) as f64 / 1e6;
        let min_ms = at(0);
        Self {
            min_ms,
            median_ms: at(sorted.len() / 2),
            gflops: gflops(macs, min_ms * 1e6),
            peak_gflops: timing.peak_gflops,
        }
    }

    fn share(&self) -> f64 {
        share(self.gflops, self.peak_gflops)
    }
}

/// Two floating-point operations a multiply-add.
fn gflops(macs: u64, nanoseconds: f64) -> f64 {
    if nanoseconds > 0.0 { 2.0 * macs as f64 / nanoseconds } else { 0.0 }
}

fn share(gflops: f64, peak: f64) -> f64 {
    if peak > 0.0 { gflops / peak } else { 0.0 }
}

impl Bench {
    /// Measures and prints.
    pub fn execute(&self) -> Result {
        if self.threads != 1 {
            return Err(Error::Usage("--threads: emitted code runs on one thread".into()));
        }
        if !(self.seconds > 0.0 && self.seconds <= 3600.0) {
            return Err(Error::Usage("--seconds must be more than 0 and at most 3600".into()));
        }
        let target = model::target(&self.target)?;
        let source = self.model.open()?;
        let compiled = model::compile(&source, target, &self.plan, false)?;
        let samples = self.input.load_or_random(&compiled.plan.inputs)?;
        let input = samples.first().map(Sample::bytes).unwrap_or_default();
        let timing = model::build(&compiled, false)?.time(&input, self.seconds, false)?;
        let figures = Figures::new(&timing, compiled.plan.macs());
        let layers = if self.profile { self.profile(&source, &input)? } else { Vec::new() };
        if self.json {
            return super::print_json(&self.object(&source.name, &compiled, &figures, &layers));
        }
        self.show(&compiled, &figures, &layers, timing.nanoseconds.len())
    }

    /// Least nanoseconds of each layer, from a build that stops the clock behind every layer.
    fn profile(&self, source: &mobilec::driver::Model, input: &[u8]) -> Result<Vec<u64>> {
        let compiled = model::compile(source, model::target(&self.target)?, &self.plan, true)?;
        Ok(model::build(&compiled, true)?.time(input, self.seconds, true)?.layers)
    }

    fn object(
        &self,
        model: &str,
        compiled: &Compiled,
        figures: &Figures,
        layers: &[u64],
    ) -> serde_json::Value {
        let mut object = json!({
            "model": model, "target": compiled.plan.target.name, "threads": self.threads,
            "macs": compiled.plan.macs(), "min_ms": figures.min_ms, "median_ms": figures.median_ms,
            "gflops": figures.gflops, "peak_gflops": figures.peak_gflops, "peak_share": figures.share(),
        });
        if self.profile {
            let rows: Vec<serde_json::Value> = rows(compiled, layers)
                .map(|(name, kernel, macs, ns)| {
                    json!({
                        "name": name, "kernel": kernel, "macs": macs, "min_us": ns as f64 / 1e3,
                        "peak_share": share(gflops(macs, ns as f64), figures.peak_gflops),
                    })
                })
                .collect();
            object["layers"] = rows.into();
        }
        object
    }

    fn show(&self, compiled: &Compiled, figures: &Figures, layers: &[u64], runs: usize) -> Result {
        let mut text = String::new();
        if self.profile {
            let mut table = comfy_table::Table::new();
            table.load_preset(comfy_table::presets::NOTHING);
            table.set_header(["layer", "kernel", "MACs", "µs", "GFLOP/s", "of peak"]);
            for (name, kernel, macs, ns) in rows(compiled, layers) {
                let rate = gflops(macs, ns as f64);
                let of_peak = share(rate, figures.peak_gflops) * 100.0;
                table.add_row([
                    name,
                    kernel,
                    macs.to_string(),
                    format!("{:.1}", ns as f64 / 1e3),
                    format!("{rate:.1}"),
                    format!("{of_peak:.0} %"),
                ]);
            }
            text += &format!("{table}\n");
        }
        text += &format!(
            "{} on {}, 1 thread: min {:.3} ms, median {:.3} ms of {runs} runs; {:.1} GFLOP/s",
            compiled.fused.name, compiled.plan.target.name, figures.min_ms, figures.median_ms, figures.gflops
        );
        if figures.peak_gflops > 0.0 {
            text += &format!(", {:.1} % of the core's {:.1}", figures.share() * 100.0, figures.peak_gflops);
        }
        super::print(&format!("{text}\n"))
    }
}

/// Name, kernel, MACs and nanoseconds of each layer.
fn rows<'a>(
    compiled: &'a Compiled,
    times: &'a [u64],
) -> impl Iterator<Item = (String, String, u64, u64)> + 'a {
    compiled.plan.layers.iter().enumerate().zip(times).map(|((at, layer), &ns)| {
        let step = compiled.plan.steps().find(|(_, step)| step.layer == at).map(|(_, step)| step);
        let kernel = step.and_then(|step| step.kernels.first()).map_or("", |choice| choice.kernel.path);
        (layer.name.clone(), kernel.to_owned(), layer.macs, ns)
    })
}
