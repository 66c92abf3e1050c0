//! Every kind of layer that the zoo contains, once, against the core's peak:
//!
//!     cargo bench -p mobilec-tests --bench zoo -- [--target x86-64-avx512] [FILTER]
//!
//! All networks of the zoo are planned for the target; layers that sum products and have the same kernel, shape and
//! epilogue are measured once, their maps held whole and their weights near. `FILTER` is a part of a kernel's path or of
//! a layer's description.

mod layers;
mod peak;

use layers::Case;
use mobilec_targets::Target;
use std::collections::BTreeMap;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut targets, mut filter) = (Vec::new(), String::new());
    while let Some(argument) = arguments.next() {
        if argument == "--target" {
            let name = arguments.next().unwrap_or_default();
            let Some(target) = mobilec_targets::by_name(&name) else { return eprintln!("no target {name}") };
            targets.push(target);
        } else {
            filter = argument;
        }
    }
    if targets.is_empty() {
        targets = here();
    }
    if targets.is_empty() {
        println!("this CPU has neither AVX2 nor AVX-512; --target portable measures plain Rust");
    }
    for target in targets {
        measure(target, &filter);
    }
}

/// The targets that this CPU runs and that have kernels of their own.
fn here() -> Vec<&'static Target> {
    let all = [&mobilec_targets::X86_64_AVX2, &mobilec_targets::X86_64_AVX512];
    all.into_iter().filter(|target| peak::of(target).is_some()).collect()
}

fn measure(target: &'static Target, filter: &str) {
    let cases: Vec<Case> =
        layers::of_zoo(target).into_iter().filter(|case| case.name().contains(filter)).collect();
    println!("{}: {} kinds of layers", target.name, cases.len());
    println!(
        "{:40} {:68} {:>9} {:>9} {:>9}  peak",
        "kernel", "layer (of how many networks)", "MACs", "µs", "GFLOP/s"
    );
    let mut bench = layers::Bench::new();
    let mut of_kernel: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for case in &cases {
        let Some(peak) = peak::of(target) else { return println!("this CPU does not run {}", target.name) };
        let Some(seconds) = bench.seconds(case) else {
            println!("{:40} {}: no kernel of this CPU", case.kernel, case.layer());
            continue;
        };
        let flops = 2.0 * case.macs as f64;
        println!(
            "{:40} {:68} {:9} {:9.1} {:9.1} {:4.0} %",
            case.kernel,
            case.layer(),
            case.macs,
            seconds * 1e6,
            flops / seconds / 1e9,
            100.0 * flops / seconds / peak
        );
        let [least, taken] = of_kernel.entry(case.kernel).or_default();
        *least += flops / peak;
        *taken += seconds;
    }
    println!("share of the peak, of all layers of a kernel together");
    for (kernel, [least, taken]) in of_kernel {
        println!("{kernel:40} {:4.0} %", 100.0 * least / taken);
    }
}

/// Seconds of the fastest of up to 100 runs within 20 ms, at least 3.
fn fastest(mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    for round in 0..100 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        if round >= 2 && begin.elapsed().as_secs_f64() > 0.02 {
            break;
        }
    }
    best
}
