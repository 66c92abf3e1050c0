//! Arguments and dispatch; one file a command.
//!
//! What is for people goes to standard error; standard output holds the result: one JSON object with
//! `--json`, a table or a list otherwise.

mod bench;
mod check;
mod compile;
mod export;
mod model;
mod quantize;
mod report;
mod run;
mod samples;
mod targets;
mod zoo;

use clap::{Parser, Subcommand};
use mobilec::{Error, Result};
use std::process::ExitCode;

/// Compiles MobileNets, from ONNX or from a dozen lines of text, to standalone Rust modules.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write NAME.rs and NAME.weights.bin
    Compile(compile::Compile),
    /// Compile, build with cargo, and run on a picture or a tensor
    Run(run::Run),
    /// Compare the emitted code with the reference interpreter, layer by layer
    Check(check::Check),
    /// Measure latency and the share of the core's peak
    Bench(bench::Bench),
    /// Show layers, MACs, parameters, flash, peak RAM and the kernel chosen for each layer
    Report(report::Report),
    /// List the networks of the MobileNet family, or print one
    Zoo(zoo::Zoo),
    /// Write a network of the zoo, or of a .mobilec file, as ONNX
    Export(export::Export),
    /// Make a network of 8-bit integers from one of floats, by means of calibration samples
    Quantize(quantize::Quantize),
    /// List what code can be generated for
    Targets(targets::Targets),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Compile(command) => command.execute(),
        Command::Run(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Bench(command) => command.execute(),
        Command::Report(command) => command.execute(),
        Command::Zoo(command) => command.execute(),
        Command::Export(command) => command.execute(),
        Command::Quantize(command) => command.execute(),
        Command::Targets(command) => command.execute(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                Error::Usage(_) => ExitCode::from(2),
                Error::Problems { .. } | Error::Io { .. } => ExitCode::FAILURE,
            }
        }
    }
}

/// Prints one JSON object.
fn print_json(value: &serde_json::Value) -> Result {
    print(&format!("{value:#}\n"))
}

/// Prints to standard output. A reader that has gone away ends the program quietly.
fn print(text: &str) -> Result {
    use std::io::{ErrorKind, Write as _};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io("standard output", error)),
        _ => Ok(()),
    }
}
