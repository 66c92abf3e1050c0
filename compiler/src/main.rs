//! The `mobilec` command. Exit status 1 for the user's problem, 2 for wrong usage.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
