//! What the compiler makes of the digits network, as text: graphs, plans and emitted modules.
//!
//! A change here is a change of what users get; `cargo insta review` shows and accepts it.

use mobilec::driver::{self, Compiled, Options};
use mobilec_tests::emitted::{open, target};
use mobilec_tests::here;

fn digits(name: &str) -> Compiled {
    let model = open(&here().join("digits/digits.onnx"), &[]);
    let command = format!("mobilec compile digits.onnx --target {name} --name digits");
    let options = Options { command, ..Options::new(target(name), "digits") };
    driver::compile(&model, &options).expect("it compiles")
}

#[test]
fn imported_graph() {
    insta::assert_snapshot!(digits("portable").imported.text());
}

#[test]
fn fused_graph() {
    insta::assert_snapshot!(digits("portable").fused.text());
}

#[test]
fn fusions_that_fired_and_were_refused() {
    let notes: Vec<String> = digits("portable").fusions.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(notes.join("\n"));
}

#[test]
fn plan_for_every_target() {
    let plans: Vec<String> = mobilec_targets::ALL.iter().map(|t| digits(t.name).plan.text()).collect();
    insta::assert_snapshot!(plans.join("\n"));
}

#[test]
fn module_for_avx2() {
    insta::assert_snapshot!(digits("x86-64-avx2").module().source);
}

#[test]
fn interface_of_a_module_for_any_x86() {
    let source = digits("x86-64").module().source;
    insta::assert_snapshot!(
        source.lines().take_while(|line| !line.starts_with("mod ")).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for target in mobilec_targets::ALL {
        assert_eq!(digits(target.name).module(), digits(target.name).module());
    }
}
