//! The benchmark against other engines (`tests/peers`): its rounds and tables, with peers made up for it. The
//! engines themselves are only installed by hand.

use mobilec_tests::{here, skip};
use std::process::Command;

#[test]
fn rounds_and_tables_of_the_benchmark() {
    let python = std::env::var_os("MOBILEC_PYTHON").unwrap_or_else(|| "python3".into());
    let ran = Command::new(&python).arg(here().join("peers/run.py")).arg("--self-test").output();
    let Ok(ran) = ran else {
        return skip("rounds_and_tables_of_the_benchmark", "there is no python3");
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("\nOK"), "{said}");
}
