//! `mobilec compile`

use super::model::{ModelArguments, PlanArguments, show_notes, target};
use clap::Args;
use mobilec::driver::{self, Options};
use mobilec::error::Fault;
use mobilec::{Error, Result, files};
use std::fs;
use std::path::PathBuf;

/// Writes a module and its weights.
#[derive(Args)]
pub struct Compile {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    plan: PlanArguments,
    /// What to generate code for; see `mobilec targets`
    #[arg(long, value_name = "T")]
    target: String,
    /// The folder to write to
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
    /// The module's name; the model's file name without it
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// Write nothing; fail when what is there differs
    #[arg(long)]
    check: bool,
    /// Show what every fusion and every kernel choice was made of
    #[arg(long)]
    explain: bool,
}

impl Compile {
    /// Compiles, and writes or compares.
    pub fn execute(&self) -> Result {
        let target = target(&self.target)?;
        let model = self.model.open()?;
        let name = match &self.name {
            Some(name) => identifier(name)?,
            None => from_file_name(&model.name),
        };
        let command = format!(
            "mobilec compile {} --target {} --name {name}{}",
            self.model.words(),
            target.name,
            self.plan.words()
        );
        let options = Options { command, ..self.plan.options(target, &name)? };
        let compiled = driver::compile(&model, &options)?;
        show_notes(&compiled);
        if self.explain {
            for note in &compiled.fusions {
                eprintln!("{note}");
            }
            eprint!("{}", compiled.plan.explain());
        }
        let module = compiled.module();
        let files = [
            (self.out.join(format!("{name}.weights.bin")), module.weights),
            (self.out.join(format!("{name}.rs")), module.source.into_bytes()),
        ];
        if self.check {
            return compare(&files);
        }
        fs::create_dir_all(&self.out).map_err(|error| Error::io(&self.out, error))?;
        for (path, bytes) in &files {
            files::write(path, bytes)?;
            eprintln!("wrote {} ({} bytes)", path.display(), bytes.len());
        }
        Ok(())
    }
}

fn compare(files: &[(PathBuf, Vec<u8>)]) -> Result {
    for (path, bytes) in files {
        let old = fs::read(path).map_err(|error| Error::io(path, error))?;
        if old != *bytes {
            let line = old.split(|&b| b == b'\n').zip(bytes.split(|&b| b == b'\n')).position(|(a, b)| a != b);
            let at = line.filter(|_| path.extension().is_some_and(|e| e == "rs"));
            let at = at.map_or(String::new(), |line| format!(" from line {} on", line + 1));
            return Err(Error::whole(
                format!("{} is not what this model compiles to", path.display()),
                Fault::model(format!("it differs{at}")).help("run the same command without --check"),
            ));
        }
    }
    Ok(())
}

fn identifier(name: &str) -> Result<String> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(name.to_owned())
    } else {
        Err(Error::Usage(format!("--name {name}: it must be a Rust identifier, such as mobilenet_v2")))
    }
}

/// `MobileNet-v2.onnx`, `zoo:MobileNet_V2?alpha=0.5` → `mobilenet_v2`
fn from_file_name(file: &str) -> String {
    let file = file.split_once('?').map_or(file, |(front, _)| front);
    let file = file.strip_prefix("zoo:").unwrap_or(file);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, "model_");
    }
    name
}
