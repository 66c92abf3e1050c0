//! `mobilec run`

use super::model::{self, ModelArguments, PlanArguments};
use super::samples::InputArguments;
use clap::Args;
use mobilec::plan::Port;
use mobilec::samples::Sample;
use mobilec::tensor::{Tensor, TensorType};
use mobilec::{Error, Result, files};
use serde_json::json;
use std::path::PathBuf;

/// Compiles, builds and runs.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    plan: PlanArguments,
    #[command(flatten)]
    input: InputArguments,
    /// Write the output here, as .npy; of a model with several, NAME.npy for each beside it
    #[arg(long, value_name = "G.npy")]
    output: Option<PathBuf>,
    /// What to generate code for
    #[arg(long, default_value = "native", value_name = "T")]
    target: String,
    /// How many of the largest scores to print
    #[arg(long, default_value_t = 5, value_name = "K")]
    top: usize,
    /// A file with the name of one class a line
    #[arg(long, value_name = "L")]
    labels: Option<PathBuf>,
    /// One JSON object on standard output; an array where there are several samples
    #[arg(long)]
    json: bool,
}

/// Outputs of one sample, and how long it took.
struct Outcome {
    name: String,
    outputs: Vec<Tensor>,
    milliseconds: f64,
}

impl Run {
    /// Runs every sample.
    pub fn execute(&self) -> Result {
        let target = model::target(&self.target)?;
        let labels = self.labels()?;
        let source = self.model.open()?;
        let compiled = model::compile(&source, target, &self.plan, false)?;
        let samples = self.input.load(&compiled.plan.inputs)?;
        let program = model::build(&compiled, false)?;
        let input: Vec<u8> = samples.iter().flat_map(Sample::bytes).collect();
        let (bytes, nanoseconds) = program.run(&input)?;
        let mut rest = &bytes[..];
        let outcomes: Vec<Outcome> = samples
            .iter()
            .zip(nanoseconds)
            .map(|(sample, ns)| Outcome {
                name: sample.name.clone(),
                outputs: take(&mut rest, &compiled.plan.outputs),
                milliseconds: ns as f64 / 1e6,
            })
            .collect();
        self.write(&outcomes, &compiled.plan.outputs)?;
        if self.json {
            let mut objects: Vec<serde_json::Value> = outcomes
                .iter()
                .map(|o| self.object(o, &source.name, &compiled.plan.outputs, &labels))
                .collect();
            let single = if objects.len() == 1 { objects.pop() } else { None };
            return super::print_json(&single.unwrap_or(objects.into()));
        }
        outcomes.iter().try_for_each(|outcome| super::print(&self.text(outcome, &labels)))
    }

    fn labels(&self) -> Result<Vec<String>> {
        let Some(path) = &self.labels else { return Ok(Vec::new()) };
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn write(&self, outcomes: &[Outcome], ports: &[Port]) -> Result {
        let Some(path) = &self.output else { return Ok(()) };
        for (i, port) in ports.iter().enumerate() {
            let tensors: Vec<&Tensor> = outcomes.iter().map(|outcome| &outcome.outputs[i]).collect();
            let tensor = stack(&tensors, &port.ty);
            let path = if ports.len() == 1 {
                path.clone()
            } else {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                path.with_file_name(format!("{stem}.{}.npy", port.name.replace(['/', '\\'], "_")))
            };
            files::write(&path, &files::npy_bytes(&tensor)?)?;
        }
        Ok(())
    }

    fn object(&self, outcome: &Outcome, model: &str, ports: &[Port], labels: &[String]) -> serde_json::Value {
        let outputs: Vec<serde_json::Value> = ports
            .iter()
            .map(|port| json!({ "name": port.name, "shape": port.ty.shape, "dtype": port.ty.dtype.rust() }))
            .collect();
        let top: Vec<serde_json::Value> = self
            .top(outcome)
            .into_iter()
            .map(|(index, score)| json!({ "index": index, "label": labels.get(index), "score": score }))
            .collect();
        json!({
            "model": model, "target": self.target, "input": outcome.name, "outputs": outputs, "top": top,
            "latency_ms": outcome.milliseconds,
        })
    }

    fn text(&self, outcome: &Outcome, labels: &[String]) -> String {
        let mut text = format!("{} ({:.3} ms)\n", outcome.name, outcome.milliseconds);
        for (index, score) in self.top(outcome) {
            text += &format!("{index:6} {score:12.5}  {}\n", labels.get(index).map_or("", String::as_str));
        }
        text
    }

    /// The largest elements of the first output.
    fn top(&self, outcome: &Outcome) -> Vec<(usize, f32)> {
        let Some(first) = outcome.outputs.first() else { return Vec::new() };
        let mut scores: Vec<(usize, f32)> = first.to_f32().into_iter().enumerate().collect();
        scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scores.truncate(self.top);
        scores
    }
}

/// The outputs of one sample from the front of a program's bytes.
fn take(rest: &mut &[u8], ports: &[Port]) -> Vec<Tensor> {
    ports
        .iter()
        .map(|port| {
            let (head, tail) = rest.split_at(port.ty.bytes().min(rest.len()));
            *rest = tail;
            let empty = || Tensor::from_f32(port.ty.shape.clone(), &[]);
            Tensor::new(port.ty.clone(), head.to_vec().into()).unwrap_or_else(empty)
        })
        .collect()
}

/// One tensor as it is; several along a leading dimension, in place of a leading 1.
fn stack(tensors: &[&Tensor], ty: &TensorType) -> Tensor {
    if let [single] = tensors {
        return (*single).clone();
    }
    let item = ty.shape.strip_prefix(&[1]).unwrap_or(&ty.shape);
    let shape: Vec<usize> = std::iter::once(tensors.len()).chain(item.iter().copied()).collect();
    let bytes: Vec<u8> = tensors.iter().flat_map(|tensor| tensor.bytes().to_vec()).collect();
    let empty = || Tensor::from_f32(ty.shape.clone(), &[]);
    Tensor::new(TensorType::new(ty.dtype, shape), bytes.into()).unwrap_or_else(empty)
}
