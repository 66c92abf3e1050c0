//! `mobilec quantize`

use super::model::ModelArguments;
use super::samples::note_normalization;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mobilec::quantize::{
    Activations, LayerNoise, Method, Options, Progress, Quantized, Quantizer, Step, WeightRange,
};
use mobilec::samples::{self, Sample};
use mobilec::{Error, Result, files, harness};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Makes a network of 8-bit integers: standard ONNX with QuantizeLinear and DequantizeLinear.
#[derive(Args)]
pub struct Quantize {
    #[command(flatten)]
    model: ModelArguments,
    /// Samples of what the network will see: a folder of pictures and tensors, or a .npy or .npz file
    #[arg(long, value_name = "DIR_OR_NPZ")]
    calibrate: PathBuf,
    /// The file to write
    #[arg(long, value_name = "Q.onnx")]
    out: PathBuf,
    /// For pictures: imagenet, tf, unit, none, or MEAN/DEVIATION with a number for each channel
    #[arg(long, value_name = "HOW")]
    normalize: Option<String>,
    /// How the range of a value is chosen from what calibration shows: min-max, entropy, percentile (99.99)
    /// or percentile=99.9
    #[arg(long, default_value = "percentile", value_name = "METHOD")]
    method: String,
    /// In what activations are stored
    #[arg(long, value_enum, default_value = "u8")]
    activations: Stored,
    /// Which integers weights take
    #[arg(long, value_enum, default_value = "paired", value_name = "RANGE")]
    weights: Integers,
    /// A step to leave out; may be given twice
    #[arg(long, value_enum, value_name = "STEP")]
    without: Vec<Left>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stored {
    U8,
    I8,
}

#[derive(Clone, Copy, ValueEnum)]
enum Integers {
    /// No two of a channel add up to more than 128: ONNX Runtime on x86 without VNNI adds products in 16 bits
    Paired,
    /// All from -127 to 127
    Full,
}

#[derive(Clone, Copy, ValueEnum)]
enum Left {
    /// Bringing channels between two layers to the same reach
    Equalization,
    /// Taking back the mean shift of rounded weights
    BiasCorrection,
}

impl Quantize {
    /// Quantises and writes.
    pub fn execute(&self) -> Result {
        let options = self.options()?;
        let quantizer = Quantizer::new(&self.model.open()?)?;
        let samples = self.samples(&quantizer)?;
        let bar = ProgressBar::new(samples.len() as u64);
        bar.enable_steady_tick(Duration::from_millis(100));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{bar:40}] {pos}/{len} {eta}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let mut show = |Progress { what, samples: (done, all) }: Progress| {
            bar.set_message(what);
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let quantized = quantizer.run(&samples, &options, &harness::cache_dir(), &mut show);
        bar.finish_and_clear();
        let quantized = quantized?;
        for note in &quantized.notes {
            eprintln!("note: {note}");
        }
        files::write(&self.out, &quantized.onnx)?;
        if self.json {
            super::print_json(&self.object(&quantized, samples.len()))?;
        } else {
            super::print(&table(&quantized.layers))?;
        }
        eprintln!("wrote {} ({} bytes)", self.out.display(), quantized.onnx.len());
        Ok(())
    }

    fn options(&self) -> Result<Options> {
        let activations = match self.activations {
            Stored::U8 => Activations::U8,
            Stored::I8 => Activations::I8,
        };
        let without = self.without.iter().map(|left| match left {
            Left::Equalization => Step::Equalization,
            Left::BiasCorrection => Step::BiasCorrection,
        });
        let weights = match self.weights {
            Integers::Paired => WeightRange::Paired,
            Integers::Full => WeightRange::Full,
        };
        Ok(Options { activations, weights, method: method(&self.method)?, without: without.collect() })
    }

    fn samples(&self, quantizer: &Quantizer) -> Result<Vec<Sample>> {
        let inputs = quantizer.inputs();
        if let ([input], None) = (&inputs[..], &self.normalize)
            && let Some(first) = samples::files_of(&self.calibrate)?.first()
        {
            note_normalization(first, input.ty);
        }
        samples::of_path(&self.calibrate, &inputs, self.normalize.as_deref())
    }

    fn object(&self, quantized: &Quantized, samples: usize) -> serde_json::Value {
        let layers: Vec<serde_json::Value> = quantized
            .layers
            .iter()
            .map(|layer| {
                json!({
                    "name": layer.name, "operation": layer.operation, "weights_db": layer.weights_db,
                    "value_db": layer.value_db,
                })
            })
            .collect();
        json!({
            "model": self.model.words(), "out": self.out.display().to_string(), "samples": samples,
            "method": self.method, "bytes": quantized.onnx.len(), "equalized": quantized.equalized,
            "layers": layers,
        })
    }
}

/// `min-max`, `entropy`, `percentile`, `percentile=99.9`
fn method(text: &str) -> Result<Method> {
    let (word, number) = text.split_once('=').unwrap_or((text, "99.99"));
    let percent = number.parse().ok().filter(|percent| (50.0..=100.0).contains(percent));
    match (word, percent) {
        ("min-max", _) if word == text => Ok(Method::MinMax),
        ("entropy", _) if word == text => Ok(Method::Entropy),
        ("percentile", Some(percent)) => Ok(Method::Percentile(percent)),
        _ => Err(Error::Usage(format!(
            "--method {text}: it takes min-max, entropy, percentile, or percentile=P with P from 50 to 100"
        ))),
    }
}

/// One decimal; nothing of nothing.
fn decibels(ratio: Option<f64>) -> String {
    ratio.map_or(String::new(), |db| format!("{db:.1}"))
}

fn table(layers: &[LayerNoise]) -> String {
    use comfy_table::CellAlignment::Right;
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["value", "operation", "weights dB", "value dB"]);
    for layer in layers {
        table.add_row([
            layer.name.clone(),
            layer.operation.clone(),
            decibels(layer.weights_db),
            decibels(layer.value_db),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(Right);
    }
    format!(
        "{table}\n\nsignal to noise: of the weights alone, and of the value with everything before it in 8 bits\n"
    )
}
