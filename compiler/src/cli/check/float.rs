//! `check --float`: a quantised network beside the network of floats that it was made from.

use crate::cli::model;
use mobilec::driver::{self, Compiled, Model, Options};
use mobilec::error::Fault;
use mobilec::harness::{self, Program};
use mobilec::plan::Port;
use mobilec::quantize::Power;
use mobilec::samples::Sample;
use mobilec::tensor::Tensor;
use mobilec::{Error, Result};
use serde_json::{Value, json};

/// The network of floats as a program, and what was found so far.
pub struct Floats {
    name: String,
    program: Program,
    outputs: Vec<Port>,
    samples: usize,
    /// For each output all samples' noise, and how many have their largest element at the same place.
    found: Vec<(Power, usize)>,
}

impl Floats {
    /// Compiles the network of floats for this machine and builds it.
    ///
    /// # Errors
    ///
    /// A network whose inputs or outputs are others than those of the quantised one.
    pub fn build(source: &Model, quantized: &Compiled) -> Result<Self> {
        let compiled = driver::compile(source, &Options::new(harness::native(), harness::MODULE_NAME))?;
        let (here, there) = (&compiled.plan, &quantized.plan);
        fits(&source.name, "inputs", &here.inputs, &there.inputs)?;
        fits(&source.name, "outputs", &here.outputs, &there.outputs)?;
        let program = model::build(&compiled, false)?;
        let outputs = compiled.plan.outputs;
        let found = vec![(Power::default(), 0); outputs.len()];
        Ok(Self { name: source.name.clone(), program, outputs, samples: 0, found })
    }

    /// Compares the quantised network's outputs for a sample; one object an output.
    ///
    /// # Errors
    ///
    /// The program could not be run.
    pub fn compare(&mut self, sample: &Sample, quantized: &[Tensor]) -> Result<Value> {
        let (bytes, _) = self.program.run(&sample.bytes())?;
        let mut rest = &bytes[..];
        let mut rows = Vec::new();
        self.samples += 1;
        for ((port, stored), (total, same)) in self.outputs.iter().zip(quantized).zip(&mut self.found) {
            let (head, tail) = rest.split_at(port.ty.bytes().min(rest.len()));
            rest = tail;
            let float = Tensor::new(port.ty.clone(), head.to_vec().into()).map(|tensor| tensor.to_f64());
            let (float, stored) = (float.unwrap_or_default(), stored.to_f64());
            let mut power = Power::default();
            float.iter().zip(&stored).for_each(|(&float, &stored)| power.add(float, stored));
            *total += power;
            let agrees = largest(&float) == largest(&stored);
            *same += usize::from(agrees);
            rows.push(json!({ "name": port.name, "snr_db": power.decibels(), "same_top": agrees }));
        }
        Ok(rows.into())
    }

    /// One line an output.
    pub fn text(&self) -> String {
        let line = |(port, (power, same)): (&Port, &(Power, usize))| {
            let noise =
                power.decibels().map_or("0 throughout".into(), |db| format!("{db:.1} dB signal to noise"));
            format!(
                "{} against {}: {noise}, the largest element is the same in {same} of {} samples\n",
                port.name, self.name, self.samples
            )
        };
        self.outputs.iter().zip(&self.found).map(line).collect()
    }
}

fn fits(name: &str, what: &str, floats: &[Port], quantized: &[Port]) -> Result {
    if floats.iter().map(|port| &port.ty).eq(quantized.iter().map(|port| &port.ty)) {
        return Ok(());
    }
    let types = |ports: &[Port]| ports.iter().map(|port| port.ty.to_string()).collect::<Vec<_>>().join(", ");
    let message =
        format!("its {what} are {}, those of the quantised network {}", types(floats), types(quantized));
    let fault = Fault::model(message).help("--float takes the network that the quantised one was made from");
    Err(Error::whole(format!("the outputs cannot be compared with {name}"), fault))
}

/// Where the largest element is; of equal ones the first.
fn largest(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}
