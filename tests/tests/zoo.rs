//! The networks of the zoo: their parameters and multiply-adds, against a count that shares nothing with
//! this one.

use mobilec::dsl::{Kind, Network};
use mobilec::ops::Op;
use mobilec::zoo::{self, VARIANTS};
use serde_json::Value;

/// Counted from the networks' published tables by an independent program.
fn expected(list: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(mobilec_tests::here().join("zoo/expected.json")).expect("the file");
    let mut all: Value = serde_json::from_str(&text).expect("JSON");
    match all[list].take() {
        Value::Array(rows) => rows,
        other => panic!("{list} is {other}"),
    }
}

fn build(name: &str, options: &[(&str, &Value)]) -> Network {
    let options: Vec<(String, String)> =
        options.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    let entry = zoo::by_name(name).unwrap_or_else(|error| panic!("{error}"));
    entry.describe(&options).unwrap_or_else(|error| panic!("{error}")).network
}

#[test]
fn parameters_and_macs_of_every_variant() {
    let rows = expected("networks");
    assert_eq!(rows.len(), 110);
    assert_eq!(rows.len(), VARIANTS.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let name = row["name"].as_str().expect("a name");
        let known = |v: &zoo::Variant| v.name == name && row["alpha"] == v.alpha && row["rho"] == v.rho;
        assert!(VARIANTS.iter().any(known), "{row}");
        let network = build(name, &[("alpha", &row["alpha"]), ("rho", &row["rho"])]);
        let found = (network.count_parameters() as u64, network.graph.macs());
        if (Some(found.0), Some(found.1)) != (row["parameters"].as_u64(), row["macs"].as_u64()) {
            wrong.push(format!("{row}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Stride and dilation of each block that has a kernel of several taps; attention's own do not count.
fn strides(network: &Network) -> Vec<Option<[usize; 2]>> {
    let mut blocks = vec![None; network.blocks.len()];
    for parameter in &network.parameters {
        let constant = match parameter.kind {
            Kind::Conv(node) | Kind::Depthwise(node) => node,
            Kind::Dense(_) | Kind::Bias(_) | Kind::Norm { .. } | Kind::LayerScale(_) => continue,
        };
        let window = match network.graph.op(network.graph.users(constant)[0]) {
            Op::Conv2d(op) => op.window,
            Op::Depthwise(op) => op.window,
            other => panic!("{other:?} has a convolution's weight"),
        };
        if window.taps() > 1 && network.blocks[parameter.block].word != "mqa" {
            let [stride, dilation] = blocks[parameter.block].unwrap_or([1, 1]);
            blocks[parameter.block] = Some([stride.max(window.stride[0]), dilation.max(window.dilation[0])]);
        }
    }
    let convolves = |word| !matches!(word, "global_avg_pool" | "dense");
    let placed = network.blocks.iter().zip(blocks).filter(|(block, _)| convolves(block.word));
    placed.map(|(_, placed)| placed).collect()
}

#[test]
fn output_strides_become_dilations_as_in_tensorflow() {
    for row in expected("output_strides") {
        let network =
            build(row["name"].as_str().expect("a name"), &[("output_stride", &row["output_stride"])]);
        let (found, wanted) = (strides(&network), row["blocks"].as_array().expect("blocks"));
        assert_eq!(found.len(), wanted.len(), "{row}");
        for (block, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!(found.is_none_or(|found| serde_json::json!(found) == *wanted), "block {block} of {row}");
        }
    }
}
