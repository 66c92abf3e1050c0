use mobilec::graph::Graph;
use mobilec::onnx::{ImportOptions, import};
use mobilec::{fusions, passes};
use std::collections::BTreeMap;
fn hist(g: &Graph) -> String {
    let mut m: BTreeMap<String, usize> = BTreeMap::new();
    for id in g.order() {
        let d = format!("{:?}", g.op(id));
        let n = d.split(['(', ' ']).next().unwrap().to_owned();
        if n != "Constant" {
            *m.entry(n).or_default() += 1;
        }
    }
    m.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ")
}
fn main() {
    let verbose = std::env::var("V").is_ok();
    for path in std::env::args().skip(1) {
        let Ok(bytes) = std::fs::read(&path) else {
            println!("{path}: cannot read");
            continue;
        };
        let t = std::time::Instant::now();
        let imported = match import(&path, bytes.into(), &ImportOptions::default()) {
            Ok(i) => i,
            Err(e) => {
                println!("{path}: IMPORT {e}");
                continue;
            }
        };
        let mut g = imported.graph;
        if std::env::var("I").is_ok() {
            println!("{}", g.text());
        }
        println!("== {path}\n  imported: {}", hist(&g));
        let before = g.clone();
        let t1 = std::time::Instant::now();
        match passes::canonicalize(&mut g) {
            Ok(notes) => {
                for n in notes {
                    println!("  note {n}")
                }
            }
            Err(f) => {
                println!("  CANON FAULT {f}");
                if verbose {
                    println!("{}", g.text())
                }
                continue;
            }
        }
        println!("  canonical: {}", hist(&g));
        if std::env::var("C").is_ok() {
            println!("{}", g.text());
        }
        let t2 = std::time::Instant::now();
        match fusions::fuse(&mut g) {
            Ok(notes) => {
                let mut m: BTreeMap<String, usize> = BTreeMap::new();
                for n in notes {
                    match n.outcome {
                        fusions::Outcome::Fired => *m.entry(n.fusion.into()).or_default() += 1,
                        _ => println!("  {n}"),
                    }
                }
                println!("  fired {m:?}");
            }
            Err(f) => {
                println!("  FUSE FAULT {f}");
                if verbose {
                    println!("{}", g.text())
                }
                continue;
            }
        }
        println!(
            "  fused: {}   macs {} ({:?} import, {:?} canon, {:?} fuse)",
            hist(&g),
            g.macs(),
            t1 - t,
            t2 - t1,
            t2.elapsed()
        );
        if verbose {
            println!("{}", g.text());
        }
        if std::env::var("CHECK").is_ok() {
            use mobilec::reference::{Array, run};
            let inputs: Vec<Array> = before
                .inputs()
                .iter()
                .map(|&n| {
                    let ty = before.ty(n);
                    let mut s = 12345u64;
                    let v: Vec<f64> = (0..ty.elements())
                        .map(|_| {
                            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                            ((s >> 33) as f64 / (1u64 << 30) as f64) - 1.0
                        })
                        .collect();
                    if ty.dtype.is_float() {
                        Array::float(ty.shape.clone(), v)
                    } else {
                        Array::int(
                            ty.dtype,
                            ty.shape.clone(),
                            v.iter().map(|v| ((v + 1.0) * 127.0) as i64).collect(),
                        )
                    }
                })
                .collect();
            let t = std::time::Instant::now();
            let a = run(&before, &inputs).unwrap();
            let b = run(&g, &inputs).unwrap();
            for ((name, x), (_, y)) in before.outputs().iter().zip(g.outputs()) {
                let (x, y) = (a[x].to_floats(), b[y].to_floats());
                let m = x.iter().fold(0f64, |m, v| m.max(v.abs()));
                let d = x.iter().zip(&y).fold(0f64, |m, (a, b)| m.max((a - b).abs()));
                println!(
                    "  CHECK {name}: max {m:.4} diff {d:.3e} rel {:.2e} {}  {:?}",
                    d / m,
                    if d / m > 1e-4 || !(d / m).is_finite() { "BAD" } else { "ok" },
                    t.elapsed()
                );
            }
        }
    }
}
