//! How much memory the smallest plans of networks need, one byte an element.
//!
//! The limits are 5 % above a plain dynamic program over cut points with three rows a ring, a region's output
//! over its consumed input rows, and the head pooled while it streams.

use mobilec::driver::{self, Options};
use mobilec::onnx::ImportOptions;
use mobilec::plan::{Inputs, Objective, Plan};
use mobilec::tensor::DType;
use mobilec_tests::emitted::target;
use mobilec_tests::here;

/// Network; KiB with the picture stored, and with rows that arrive one by one.
const LIMITS: &[(&str, f64, f64)] = &[
    ("zoo:MobileNetV1?alpha=0.25&rho=96", 30.0, 22.0),
    ("zoo:MobileNetV2?alpha=0.35&rho=96", 34.0, 18.5),
    ("zoo:MobileNetV2?alpha=0.35&rho=144", 72.0, 31.0),
    ("zoo:MobileNetV2?alpha=0.5&rho=160", 88.0, 49.0),
    ("zoo:MobileNetV2?alpha=1.0&rho=224", 219.0, 140.0),
    ("zoo:MobileNetV1?alpha=1.0&rho=224", 334.0, 274.0),
];

/// The smallest plan, one byte an element.
fn smallest(network: &str, inputs: Inputs) -> Plan {
    let model = mobilec::files::zoo(network, &here(), ImportOptions::default()).expect("it is in the zoo");
    let options = Options {
        objective: Objective::Memory,
        inputs,
        assume: Some(DType::I8),
        ..Options::new(target("portable"), "net")
    };
    driver::compile(&model, &options).expect("it compiles").plan
}

#[test]
fn smallest_plans_stay_within_their_limits() {
    for &(network, stored, by_rows) in LIMITS {
        for (inputs, limit) in [(Inputs::Arena, stored), (Inputs::Rows, by_rows)] {
            let plan = smallest(network, inputs);
            let (peak, bound) = (kib(plan.arena_bytes), kib(plan.arena_lower_bound_bytes));
            println!(
                "{network} {inputs:?}: {peak:.1} KiB, of {limit}; no placement needs less than {bound:.1}"
            );
            assert!(bound <= peak && peak <= limit, "{network} {inputs:?}: {peak} KiB of {limit}");
            assert!(plan.inputs_in_arena());
        }
    }
}

fn kib(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}
