//! `mobilec check`

mod float;

use super::model::{self, ModelArguments, PlanArguments};
use super::samples::InputArguments;
use clap::Args;
use float::Floats;
use mobilec::driver::Compiled;
use mobilec::error::Fault;
use mobilec::graph::NodeId;
use mobilec::reference::{self, Array};
use mobilec::samples::Sample;
use mobilec::tensor::{Tensor, TensorType};
use mobilec::{Error, Result, files};
use serde_json::json;
use std::path::PathBuf;

/// Compares the emitted code with the reference interpreter.
#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    plan: PlanArguments,
    #[command(flatten)]
    input: InputArguments,
    /// Compare the first output with this tensor as well
    #[arg(long, value_name = "G.npy")]
    expect: Option<PathBuf>,
    /// For a quantised model: say how far its outputs are from those of this one, which it was made from
    #[arg(long, value_name = "M.onnx")]
    float: Option<String>,
    /// What to generate code for
    #[arg(long, default_value = "native", value_name = "T")]
    target: String,
    /// Largest error that passes, as a share of the largest absolute reference value of the tensor
    #[arg(long, default_value_t = 1e-4, value_name = "X")]
    tolerance: f64,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// How far two tensors are apart.
#[derive(Clone, Copy, Debug, Default)]
struct Difference {
    max: f64,
    mean: f64,
    /// Largest absolute value of the reference.
    scale: f64,
    /// Elements that differ, of integer tensors.
    mismatched: usize,
    integer: bool,
    /// No bit may differ.
    exact: bool,
    /// The reference is a quantised network's integer arithmetic.
    quantized: bool,
}

impl Difference {
    fn between(got: &Tensor, want: &[f64]) -> Self {
        let got_values = got.to_f64();
        let mut result = Self { integer: !got.ty.dtype.is_float(), ..Self::default() };
        for (g, w) in got_values.iter().zip(want) {
            let same = g == w || (g.is_nan() && w.is_nan());
            let error = if same { 0.0 } else { (g - w).abs() };
            // A NaN on one side only is as wrong as can be.
            result.max = if error.is_nan() { f64::INFINITY } else { result.max.max(error) };
            result.mean += error / want.len().max(1) as f64;
            result.scale = if w.is_finite() { result.scale.max(w.abs()) } else { result.scale };
            result.mismatched += usize::from(!same);
        }
        result
    }

    fn relative(&self) -> f64 {
        if self.max == 0.0 { 0.0 } else { self.max / self.scale.max(f64::MIN_POSITIVE) }
    }

    /// Floats within the tolerance, integers that are rounded floats within one step; what integer operators
    /// make without any difference.
    fn passes(&self, tolerance: f64) -> bool {
        match (self.exact, self.integer) {
            (true, _) => self.mismatched == 0,
            (false, true) => self.max <= 1.0,
            (false, false) => self.relative() <= tolerance,
        }
    }
}

/// Each layer's name and difference, and each output's difference.
type Differences = (Vec<(String, Difference)>, Vec<Difference>);

impl Check {
    /// Compares every layer and every output.
    pub fn execute(&self) -> Result {
        let target = model::target(&self.target)?;
        let source = self.model.open()?;
        let compiled = model::compile(&source, target, &self.plan, true)?;
        let samples = self.input.load_or_random(&compiled.plan.inputs)?;
        let want = self.expect.as_deref().map(files::read_npy).transpose()?;
        let program = model::build(&compiled, true)?;
        let mut floats = self.floats(&compiled)?;
        let mut ok = true;
        let mut objects = Vec::new();
        for (at, sample) in samples.iter().enumerate() {
            let observed = program.observe(&sample.bytes())?;
            let (layers, outputs) = Self::compare(&compiled, sample, &observed)?;
            let expected = self.expected(&compiled, &observed, want.as_ref(), at)?;
            let worst = outputs.iter().chain(&expected).chain(layers.iter().map(|(_, d)| d));
            let passes = worst.clone().all(|difference| difference.passes(self.tolerance));
            ok &= passes;
            let mut object = self.object(&source.name, passes, &layers, &outputs, expected.as_ref());
            if let Some(floats) = &mut floats {
                object["float"] = floats.compare(sample, &observed_outputs(&compiled, &observed)?)?;
            }
            if self.json {
                objects.push(object);
            } else {
                self.show(sample, passes, &layers, &outputs, expected.as_ref())?;
            }
        }
        if let Some(floats) = &floats {
            eprint!("{}", floats.text());
        }
        if self.json {
            let single = if objects.len() == 1 { objects.pop() } else { None };
            super::print_json(&single.unwrap_or(objects.into()))?;
        }
        if ok {
            return Ok(());
        }
        let message = "the emitted code differs from the reference by more than --tolerance allows";
        Err(Error::whole(format!("{} does not pass", source.name), Fault::bug(message)))
    }

    fn floats(&self, compiled: &Compiled) -> Result<Option<Floats>> {
        let Some(float) = &self.float else { return Ok(None) };
        let source = self.model.beside(float).open()?;
        Floats::build(&source, compiled).map(Some)
    }

    /// Each layer against the fused graph. The outputs against the graph as imported; those of a quantised
    /// network, which is rounded elsewhere than its literal meaning in real numbers, against the fused one.
    fn compare(compiled: &Compiled, sample: &Sample, observed: &[(usize, Vec<u8>)]) -> Result<Differences> {
        let arrays: Vec<Array> = sample.tensors.iter().map(Array::from).collect();
        let refused = |fault| Error::whole("the reference interpreter refuses the input", fault);
        let fused = reference::run(&compiled.fused, &arrays).map_err(refused)?;
        let exact = reference::exact(&compiled.fused);
        let quantized = reference::is_quantized(&compiled.fused);
        let imported = if quantized {
            fused.clone()
        } else {
            reference::run(&compiled.imported, &arrays).map_err(refused)?
        };
        let between = |got: &Tensor, want: &Array, node: NodeId| Difference {
            exact: quantized && exact.contains(&node),
            quantized,
            ..Difference::between(got, &want.to_floats())
        };
        let mut layers = Vec::new();
        for (at, layer) in compiled.plan.layers.iter().enumerate() {
            let Some(want) = fused.get(&layer.node) else { continue };
            let value =
                observed.iter().rev().find(|(number, _)| *number == at).map(|(_, value)| value.clone());
            let got = as_tensor(value.unwrap_or_default(), &layer.output)?;
            layers.push((layer.name.clone(), between(&got, want, layer.node)));
        }
        let values = observed_outputs(compiled, observed)?;
        let graph = if quantized { &compiled.fused } else { &compiled.imported };
        let outputs = graph.outputs().iter().zip(values);
        let outputs = outputs.filter_map(|((_, node), got)| Some(between(&got, imported.get(node)?, *node)));
        let outputs = outputs.collect();
        Ok((layers, outputs))
    }

    /// The first output of sample `at` against its part of the expected tensor.
    fn expected(
        &self,
        compiled: &Compiled,
        observed: &[(usize, Vec<u8>)],
        want: Option<&Tensor>,
        at: usize,
    ) -> Result<Option<Difference>> {
        let (Some(want), Some(path)) = (want, &self.expect) else { return Ok(None) };
        let Some(got) = observed_outputs(compiled, observed)?.into_iter().next() else { return Ok(None) };
        let count = got.ty.elements();
        let values = want.to_f64();
        match values.get(at * count..(at + 1) * count) {
            Some(part) if want.ty.dtype == got.ty.dtype => Ok(Some(Difference::between(&got, part))),
            _ => Err(Error::whole(
                path.display().to_string(),
                Fault::model(format!("it holds {}, the output is {}", want.ty, got.ty)),
            )),
        }
    }

    fn object(
        &self,
        model: &str,
        ok: bool,
        layers: &[(String, Difference)],
        outputs: &[Difference],
        expected: Option<&Difference>,
    ) -> serde_json::Value {
        let all = || outputs.iter().chain(expected);
        let max = |f: fn(&Difference) -> f64| all().map(f).fold(0.0, f64::max);
        let rows: Vec<serde_json::Value> = layers
            .iter()
            .map(|(name, d)| {
                json!({ "name": name, "max_abs_error": d.max, "mean_abs_error": d.mean, "max_rel_error": d.relative() })
            })
            .collect();
        json!({
            "model": model, "target": self.target, "ok": ok,
            "max_abs_error": max(|d| d.max), "max_rel_error": max(Difference::relative),
            "layers": rows,
            "mismatched_bytes": all().filter(|d| d.integer).map(|d| d.mismatched).sum::<usize>(),
        })
    }

    fn show(
        &self,
        sample: &Sample,
        ok: bool,
        layers: &[(String, Difference)],
        outputs: &[Difference],
        expected: Option<&Difference>,
    ) -> Result {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(["layer", "max error", "mean error", "of largest", ""]);
        let row = |name: &str, d: &Difference| {
            let verdict = if d.passes(self.tolerance) { "" } else { "differs" };
            [
                name.to_owned(),
                format!("{:.3e}", d.max),
                format!("{:.3e}", d.mean),
                format!("{:.1e}", d.relative()),
                verdict.to_owned(),
            ]
        };
        for (name, difference) in layers {
            table.add_row(row(name, difference));
        }
        for difference in outputs {
            let what = if difference.quantized {
                "(output, against integer arithmetic)"
            } else {
                "(output, against the model as imported)"
            };
            table.add_row(row(what, difference));
        }
        if let Some(difference) = expected {
            table.add_row(row("(output, against --expect)", difference));
        }
        let first = layers.iter().find(|(_, d)| !d.passes(self.tolerance));
        let diverges =
            first.map_or(String::new(), |(name, _)| format!("; {name} is the first layer that diverges"));
        let verdict = if ok { "agrees".to_owned() } else { format!("differs{diverges}") };
        super::print(&format!("{table}\n{}: {verdict}\n", sample.name))
    }
}

fn as_tensor(bytes: Vec<u8>, ty: &TensorType) -> Result<Tensor> {
    Tensor::new(ty.clone(), bytes.into()).ok_or_else(|| {
        Error::whole("the program shows a layer wrongly", Fault::bug(format!("a value of {ty}")))
    })
}

/// The outputs, each from the last layer that made it.
fn observed_outputs(compiled: &Compiled, observed: &[(usize, Vec<u8>)]) -> Result<Vec<Tensor>> {
    let plan = &compiled.plan;
    plan.outputs
        .iter()
        .map(|port| {
            let node = plan.buffer(port.buffer).node;
            let layer = plan.layers.iter().position(|layer| layer.node == node);
            let value = observed.iter().rev().find(|(number, _)| Some(*number) == layer);
            as_tensor(value.map(|(_, value)| value.clone()).unwrap_or_default(), &port.ty)
        })
        .collect()
}
