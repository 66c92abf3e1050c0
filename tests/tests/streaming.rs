//! Row streaming on random networks: the same bits as layer by layer, whatever the bands, the memory and the
//! way in; and the checker, which must pass every plan and refuse every damaged one.

use mobilec::Input;
use mobilec::driver::{self, Compiled, Model, Options};
use mobilec::onnx::ImportOptions;
use mobilec::plan::check::check;
use mobilec::plan::{Bands, Inputs, Objective, Plan, Space};
use mobilec::tensor::DType;
use mobilec_tests::batch;
use mobilec_tests::emitted::target;
use mobilec_tests::here;
use mobilec_tests::networks::{Random, text};

/// The random network of a number.
fn network(seed: u64) -> Model {
    let text = text(seed);
    let mut model = Model::text(format!("network {seed}:\n{text}\n"), text.clone(), Vec::new());
    // Pictures of one or three channels come as pixels in every other network.
    model.pixels = match seed % 2 {
        0 if text.contains(", 3], padding") => Some(Input::rgb8().imagenet()),
        0 if text.contains(", 1], padding") => Some(Input::grey8()),
        _ => None,
    };
    model
}

/// A compiled network; an error of the model is a bug of the generator.
fn compile(model: &Model, on: &str, objective: Objective, inputs: Inputs, name: &str) -> Compiled {
    let options = Options { objective, inputs, ..Options::new(target(on), name) };
    driver::compile(model, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Ways to run one network, the first of them layer by layer.
fn ways(layer_by_layer: &Plan, smallest: &Plan) -> Vec<(Objective, Inputs)> {
    let (least, most) = (smallest.arena_bytes, layer_by_layer.arena_bytes);
    let within = |share: usize| Objective::Speed { cap: least + most.saturating_sub(least) * share / 4 };
    vec![
        (Objective::Memory, Inputs::Arena),
        (Objective::Memory, Inputs::Rows),
        (within(1), Inputs::Arena),
        (within(3), Inputs::Borrowed),
        (Objective::Speed { cap: usize::MAX }, Inputs::Rows),
        (Objective::Speed { cap: usize::MAX }, Inputs::Borrowed),
    ]
}

fn input(plan: &Plan) -> Vec<u8> {
    let mut random = Random::new(7);
    let ty = &plan.inputs[0].ty;
    match ty.dtype {
        DType::U8 => (0..ty.elements()).map(|_| random.below(256) as u8).collect(),
        _ => (0..ty.elements())
            .flat_map(|_| (random.below(2001) as f32 / 1000.0 - 1.0).to_le_bytes())
            .collect(),
    }
}

fn every_way_gives_the_same_bits(name: &str, on: &str, models: &[Model]) {
    let mut cases: Vec<(Compiled, Vec<u8>)> = Vec::new();
    let mut told: Vec<(usize, String)> = Vec::new();
    for model in models {
        let of = cases.len();
        let plain =
            compile(model, on, Objective::LayerByLayer, Inputs::Borrowed, &format!("net{}", cases.len()));
        let smallest = compile(model, on, Objective::Memory, Inputs::Arena, "net");
        let ways = ways(&plain.plan, &smallest.plan);
        let bytes = input(&plain.plan);
        cases.push((plain, bytes.clone()));
        told.push((of, String::new()));
        for (objective, inputs) in ways {
            let compiled = compile(model, on, objective, inputs, &format!("net{}", cases.len()));
            cases.push((compiled, bytes.clone()));
            told.push((of, format!("{}, {objective:?}, {inputs:?}", model.name)));
        }
    }
    let streamed =
        cases.iter().filter(|(c, _)| c.plan.regions.iter().any(|r| r.bands > 1 && r.steps.len() > 1));
    assert!(streamed.count() * 3 > cases.len(), "few of the plans stream");
    let outputs = batch::run(name, &cases);
    for (at, (of, way)) in told.iter().enumerate() {
        assert!(!outputs[at].is_empty() && outputs[at] == outputs[*of], "{way}\n{}", cases[at].0.plan.text());
    }
}

#[test]
fn portable_code_gives_the_same_bits() {
    every_way_gives_the_same_bits("rows-portable", "portable", &(0..12).map(network).collect::<Vec<_>>());
}

#[test]
fn avx2_code_gives_the_same_bits() {
    if std::env::consts::ARCH == "x86_64" {
        every_way_gives_the_same_bits(
            "rows-avx2",
            "x86-64-avx2",
            &(100..112).map(network).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn networks_of_the_family_give_the_same_bits() {
    let names = ["zoo:MobileNetV2?alpha=0.35&rho=96", "zoo:MobileNetV3Small?rho=96"];
    let models =
        names.map(|name| mobilec::files::zoo(name, &here(), ImportOptions::default()).expect("it is there"));
    every_way_gives_the_same_bits("rows-family", "portable", &models);
}

/// Plans of many networks; compiling one checks it.
fn plans() -> impl Iterator<Item = Plan> {
    (200..320).map(|seed| {
        let (objective, inputs) = match seed % 4 {
            0 => (Objective::Memory, Inputs::Rows),
            1 => (Objective::Memory, Inputs::Arena),
            2 => (Objective::Speed { cap: usize::MAX }, Inputs::Rows),
            _ => (Objective::Speed { cap: usize::MAX }, Inputs::Borrowed),
        };
        compile(&network(seed), "portable", objective, inputs, "net").plan
    })
}

/// `damage` is told the plan and a number that counts up until it answers `None`.
fn every_damage_is_refused(what: &str, damage: impl Fn(&Plan, usize) -> Option<Vec<Plan>>) {
    let mut count = 0;
    for plan in plans() {
        check(&plan).expect("it passed when it was made");
        for damaged in (0..).map_while(|at| damage(&plan, at)).flatten() {
            count += 1;
            assert!(check(&damaged).is_err(), "{what} passes:\n{}\nof\n{}", damaged.text(), plan.text());
        }
    }
    assert!(count > 100, "{what}: {count}");
}

#[test]
fn a_ring_that_is_a_row_short_is_refused() {
    every_damage_is_refused("a short ring", |plan, at| {
        let buffer = plan.buffers.get(at)?;
        let mut plan = plan.clone();
        let ring = buffer.rows > 1 && buffer.rows < buffer.height;
        plan.buffers[at].rows -= usize::from(ring);
        Some(ring.then_some(plan).into_iter().collect())
    });
}

#[test]
fn a_step_that_does_not_wait_for_its_rows_is_refused() {
    every_damage_is_refused("a step without waiting", |plan, at| {
        let (region, _) = plan.steps().nth(at)?;
        let first = plan.steps().position(|(r, _)| r == region)?;
        let of_region = &plan.regions[region];
        let step = &of_region.steps[at - first];
        // The rows of its operand's lower half are not there in the first band.
        let waits = of_region.steps[..at - first].iter().any(|before| {
            let reads = step.reads.iter().any(|read| read.buffer == before.write);
            reads && before.bands.end(0) * 2 < before.bands.total
        });
        if !waits {
            return Some(Vec::new());
        }
        let mut plan = plan.clone();
        let bands = &mut plan.regions[region].steps[at - first].bands;
        *bands = Bands::whole(bands.total);
        Some(vec![plan])
    });
}

#[test]
fn a_value_that_lies_where_the_call_that_reads_it_writes_is_refused() {
    every_damage_is_refused("a shifted value", |plan, at| {
        let (_, step) = plan.steps().nth(at)?;
        let Space::Arena(to) = plan.buffer(step.write).space else { return Some(Vec::new()) };
        let operands = step.reads.iter().filter(|read| {
            let buffer = plan.buffer(read.buffer);
            matches!(buffer.space, Space::Arena(_)) && read.buffer != step.write
        });
        let shifted = operands.flat_map(|read| {
            // One element off: not even a kernel that goes element by element may do that.
            let bytes = plan.buffer(read.buffer).ty.dtype.bytes();
            [Some(to + bytes), to.checked_sub(bytes)].into_iter().flatten().map(|at| {
                let mut plan = plan.clone();
                plan.buffers[read.buffer.0].space = Space::Arena(at);
                plan
            })
        });
        Some(shifted.collect())
    });
}

#[test]
fn an_arena_that_is_a_byte_short_is_refused() {
    every_damage_is_refused("a short arena", |plan, at| {
        let used = plan.buffers.iter().filter_map(|buffer| match buffer.space {
            Space::Arena(start) => Some(start + buffer.bytes()),
            Space::Input(_) | Space::Weights(_) => None,
        });
        let mut plan = plan.clone();
        plan.arena_bytes = used.max()?.saturating_sub(1);
        (at == 0).then(|| vec![plan])
    });
}
