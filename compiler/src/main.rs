//! The `mobilec` command.

fn main() {}
