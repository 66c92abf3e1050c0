//! Networks of the zoo with the weights of networks that timm and torchvision have as well, loaded by their
//! names from what PyTorch's exporters write and from the models' own parameters in safetensors files: the
//! same graph, and the same outputs.
//!
//! `MOBILEC_EXPORTS` names the folder that `exporters/export.py` wrote.

use mobilec::driver::{self, Compiled, Options};
use mobilec::files;
use mobilec::graph::Graph;
use mobilec::onnx::ImportOptions;
use mobilec::tensor::Tensor;
use mobilec_tests::emitted::{assert_close, npy, open, target};
use mobilec_tests::{batch, folder, skip};
use std::path::{Path, PathBuf};

/// A network of the zoo, and what it is called elsewhere.
struct Counterpart {
    zoo: &'static str,
    names: &'static str,
    bn_eps: &'static str,
    export: &'static str,
}

const fn timm(zoo: &'static str, export: &'static str) -> Counterpart {
    Counterpart { zoo, names: "timm", bn_eps: "1e-5", export }
}

const fn torchvision(zoo: &'static str, bn_eps: &'static str, export: &'static str) -> Counterpart {
    Counterpart { zoo, names: "torchvision", bn_eps, export }
}

const ALL: &[Counterpart] = &[
    torchvision("MobileNetV2", "1e-5", "tv_mobilenet_v2"),
    torchvision("MobileNetV3Small", "1e-3", "tv_mobilenet_v3_small"),
    torchvision("MobileNetV3Large", "1e-3", "tv_mobilenet_v3_large"),
    timm("MobileNetV1", "timm_mobilenetv1_100"),
    timm("MobileNetV3Large", "timm_mobilenetv3_large_100"),
    timm("MobileNetEdgeTPUV2S", "timm_mobilenet_edgetpu_v2_s"),
    timm("MobileNetV4ConvSmall", "timm_mobilenetv4_conv_small"),
    timm("MobileNetV4ConvMedium", "timm_mobilenetv4_conv_medium"),
    timm("MobileNetV4HybridMedium", "timm_mobilenetv4_hybrid_medium"),
];

const EXPORTERS: &[&str] = &["ts11", "ts13", "ts17", "dynamo18", "dynamo20"];

/// A counterpart with the weights of one file.
struct Loaded {
    /// The file of weights.
    weights: String,
    /// The export whose input and output are used, `FOLDER/MODEL.EXPORTER`.
    export: PathBuf,
    compiled: Compiled,
}

impl Counterpart {
    /// As it is compiled with the weights of a file; `module` is what it is called in the batch.
    fn load(&self, weights: String, export: PathBuf, module: String) -> Loaded {
        let Self { zoo, names, bn_eps, .. } = self;
        let side = npy(&export.with_added_extension("input.npy")).ty.shape[3];
        let word = format!(
            "zoo:{zoo}?weights={weights}&names={names}&bn_eps={bn_eps}&padding=symmetric&layout=nchw&rho={side}"
        );
        let folder = export.parent().expect("a folder");
        let model = files::zoo(&word, folder, ImportOptions::default());
        let model = model.unwrap_or_else(|error| panic!("{error}"));
        let options = Options::new(target("x86-64-avx2"), module);
        let compiled = driver::compile(&model, &options);
        let compiled = compiled.unwrap_or_else(|error| panic!("{weights}: {error}"));
        Loaded { weights, export, compiled }
    }
}

/// All counterparts with the weights of every export that is there, and with their parameters; compiled as
/// `net0`, `net1` …
fn load_all(folder: &Path) -> Vec<Loaded> {
    let mut all = Vec::new();
    for counterpart in ALL {
        let name = counterpart.export;
        let exports: Vec<PathBuf> = EXPORTERS
            .iter()
            .map(|exporter| folder.join(format!("{name}.{exporter}")))
            .filter(|export| export.with_added_extension("onnx").exists())
            .collect();
        let Some(first) = exports.first().cloned() else { panic!("no export of {name} is there") };
        for export in exports {
            let file = export.with_added_extension("onnx");
            let weights = file.file_name().expect("a name").to_string_lossy().into_owned();
            all.push(counterpart.load(weights, export, format!("net{}", all.len())));
        }
        all.push(counterpart.load(format!("{name}.safetensors"), first, format!("net{}", all.len())));
    }
    all
}

/// The text of a graph without names. Weights stay in it.
fn anonymous(graph: &Graph) -> Vec<String> {
    let text = graph.text();
    let lines = text.lines().filter(|line| !line.starts_with("return"));
    let nameless = lines.map(|line| line.rsplit_once(')').map_or(line, |(operation, _)| operation));
    nameless.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Without what the weights' values are.
fn without_hashes(lines: Vec<String>) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.split(' ').filter(|word| !word.contains('#')).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_language_gives_what_exporters_give() {
    let Some(folder) = folder("MOBILEC_EXPORTS") else {
        return skip("counterparts", "MOBILEC_EXPORTS names no folder");
    };
    let all = load_all(&folder);
    for Loaded { weights, export, compiled } in &all {
        let imported = driver::import(&open(&export.with_added_extension("onnx"), &[]));
        let imported = imported.unwrap_or_else(|error| panic!("{weights}: {error}")).0;
        let (fused, _) = driver::optimize(&imported).unwrap_or_else(|error| panic!("{weights}: {error}"));
        // Before layout: how planes are read is a matter of the plan, not of who described the network.
        let (described, _) =
            driver::optimize(&compiled.imported).unwrap_or_else(|error| panic!("{weights}: {error}"));
        let (mut ours, mut theirs) = (anonymous(&described), anonymous(&fused));
        if weights.ends_with(".safetensors") {
            // The exporter has folded the batch-norms in single precision, we in double.
            (ours, theirs) = (without_hashes(ours), without_hashes(theirs));
        }
        assert_eq!(ours.len(), theirs.len(), "{weights}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{weights}");
        }
    }
    let cases = all.iter().map(|Loaded { export, compiled, .. }| {
        (compiled, npy(&export.with_added_extension("input.npy")).bytes().to_vec())
    });
    let cases: Vec<(&Compiled, Vec<u8>)> = cases.collect();
    for (Loaded { weights, export, compiled }, outputs) in all.iter().zip(batch::run("counterparts", &cases))
    {
        let got = Tensor::new(compiled.plan.outputs[0].ty.clone(), outputs.into()).expect("one output");
        assert_close(weights, &got, &npy(&export.with_added_extension("output.npy")), 1e-4);
    }
}
