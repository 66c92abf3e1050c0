//! How much memory the smallest plans of networks need, one byte an element.
//!
//! The limits are 5 % above a plain dynamic program over cut points with three rows a ring, a region's output
//! over its consumed input rows, and the head pooled while it streams.

use mobilec::driver::{self, Model, Options};
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

/// The smallest plan, one byte an element, of a network of the zoo.
fn smallest(network: &str, inputs: Inputs) -> Plan {
    smallest_of(
        &mobilec::files::zoo(network, &here(), ImportOptions::default()).expect("it is in the zoo"),
        inputs,
    )
}

fn smallest_of(model: &Model, inputs: Inputs) -> Plan {
    let options = Options {
        objective: Objective::Memory,
        inputs,
        assume: Some(DType::I8),
        ..Options::new(target("portable"), "net")
    };
    driver::compile(model, &options).expect("it compiles").plan
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

/// Names of the layers of each region.
fn regions(plan: &Plan) -> Vec<Vec<&str>> {
    let name = |layer: usize| plan.layers[layer].name.as_str();
    plan.regions.iter().map(|region| region.steps.iter().map(|step| name(step.layer)).collect()).collect()
}

#[test]
fn the_head_is_pooled_while_it_streams() {
    let text = "mod net(input = [32, 32, 8], seed = 1) {
        mix: depthwise 3x3 relu;
        wide: pointwise c512 relu;
        pool: global_avg_pool;
        dense 4;
    }";
    let plan = smallest_of(&Model::text("net", text, Vec::new()), Inputs::Arena);
    assert!(regions(&plan).iter().any(|layers| layers.ends_with(&["wide", "pool"])), "{}", plan.text());
    // The map of 512 channels would be 512 KiB; picture, a row of it and the sums are 25.
    assert!(plan.arena_bytes < 32 << 10, "{}", plan.text());
}

#[test]
fn squeeze_and_excite_holds_one_map_and_no_scaled_copy() {
    let text = "mod net(input = [32, 32, 8], seed = 1) {
        inverted_residual t8 c8 se(r = 0.25);
    }";
    let plan = smallest_of(&Model::text("net", text, Vec::new()), Inputs::Arena);
    // The map that is squeezed is 64 KiB and must exist whole, the block's input 8, its result 8.
    assert!(plan.arena_bytes < 84 << 10, "{}", plan.text());
}
