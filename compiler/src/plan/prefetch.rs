//! Which steps ask for the weights of later ones.
//!
//! A layer of a single position, such as a classifier or the two of a squeeze-and-excite, uses each weight once, so it
//! takes as long as the weights take to come. A matrix product of many positions before it leaves the memory idle; it
//! can ask for them meanwhile, up to what the level 2 cache holds until they are used.
//!
//! Measured on a Granite Rapids core, which gets 31 GB/s from its level 3 cache: MobileNetV3's take 2 % less time with
//! AVX-512, networks without squeeze-and-excite the same. With AVX2, where everything else takes twice as long, it made
//! no difference.

use super::{Region, Step};
use mobilec_targets::{Family, Isa, Target};
use std::ops::Range;

/// Bytes that are worth being asked for.
const LEAST: usize = 8 << 10;

/// Bytes between the weights of two layers that are passed over as if they were weights: a bias.
const GAP: usize = 8 << 10;

/// Bytes that come from beyond the level 2 cache in an estimated cycle, a product's own weights among them.
const BYTES_A_CYCLE: f64 = 2.0;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Says for every step what it asks for.
pub fn assign(regions: &mut [Region], target: &Target) {
    let mut steps: Vec<&mut Step> = regions.iter_mut().flat_map(|region| &mut region.steps).collect();
    let variants = steps.first().map_or(0, |step| step.kernels.len());
    for at in 0..variants {
        // The last step that can ask, and the weights that are read once since.
        let mut host: Option<(usize, usize)> = None;
        let mut wanted = 0..0;
        for next in 0..=steps.len() {
            let weights = steps.get(next).and_then(|step| read_once(step, at));
            match weights {
                Some(weights) if wanted.is_empty() => wanted = weights,
                Some(weights) if (wanted.end..=wanted.end + GAP).contains(&weights.start) => {
                    wanted.end = weights.end;
                }
                _ => {}
            }
            let room = steps.get(next).map_or(0, |step| room(step, at, target));
            if room >= LEAST || next == steps.len() {
                if let Some((host, room)) = host.filter(|_| wanted.len() >= LEAST) {
                    wanted.end = wanted.end.min(wanted.start + room);
                    steps[host].prefetch[at] = wanted.clone();
                }
                host = Some((next, room));
                wanted = 0..0;
            }
        }
    }
}

/// The weights of a layer of a single position.
fn read_once(step: &Step, at: usize) -> Option<Range<usize>> {
    let single = step.request.family == Family::Pointwise && step.request.shape.m == 1;
    step.weights[at].first().filter(|_| single).cloned()
}

/// Bytes that a step can ask for: in the time that it takes, by the tiles that its own columns leave, and as many as
/// the level 2 cache holds.
fn room(step: &Step, at: usize, target: &Target) -> usize {
    let (choice, shape, bands) = (&step.kernels[at], &step.request.shape, &step.bands);
    let [height, width] = choice.kernel.tile;
    if step.request.family != Family::Pointwise || choice.kernel.isa != Isa::Avx512 {
        return 0;
    }
    let own = step.weights[at].first().map_or(0, Range::len);
    // Positions that are computed at a time, and how often.
    let m = (bands.rows / bands.per.max(1)).clamp(1, bands.total.max(1)) * shape.width;
    // One tile asks for the product's next columns; a step of another's depth for as many bytes as it reads of them.
    let free = m.div_ceil(height).saturating_sub(1);
    let slots = free * shape.k * width * size_of::<f32>() * (shape.n / width) * (shape.m / m.max(1));
    let time = (choice.cycles * BYTES_A_CYCLE) as usize;
    slots.min(time.saturating_sub(own)).min(target.l2_bytes) / LINE * LINE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{self, Model, Options};
    use mobilec_targets::{X86_64, X86_64_AVX2, X86_64_AVX512};

    const TEXT: &str = "mod net(input = [28, 28, 32], seed = 1) {
        conv 1x1 c512 relu;
        global_avg_pool;
        dense 128;
        dense 256;
    }";

    /// For each instruction set: which layer asks for which.
    fn asked(target: &'static Target) -> Vec<Vec<(String, Vec<String>)>> {
        let model = Model::text("net", TEXT, Vec::new());
        let plan = driver::compile(&model, &Options::new(target, "net")).expect("it compiles").plan;
        let name = |step: &Step| plan.layers[step.layer].operation.clone();
        let of = |at: usize| {
            let asks = plan.steps().filter(|(_, step)| !step.prefetch[at].is_empty());
            let asks = asks.map(|(_, step)| {
                let bytes = &step.prefetch[at];
                let holds = |step: &Step| step.weights[at].first().is_some_and(|w| bytes.contains(&w.start));
                (
                    name(step),
                    plan.steps().filter(|(_, step)| holds(step)).map(|(_, step)| name(step)).collect(),
                )
            });
            asks.collect()
        };
        (0..plan.variants.len()).map(of).collect()
    }

    #[test]
    fn a_product_of_many_positions_asks_for_the_dense_layers_behind_it() {
        let both = vec![("conv2d 1x1 relu".to_owned(), vec!["dense".to_owned(); 2])];
        assert_eq!(asked(&X86_64_AVX512), std::slice::from_ref(&both));
        assert_eq!(asked(&X86_64_AVX2), [vec![]]);
        assert_eq!(asked(&X86_64), [both, vec![], vec![]]);
    }

    #[test]
    fn no_more_is_asked_for_than_the_level_2_cache_holds() {
        let model = Model::text("net", TEXT.replace("dense 128", "dense 4096"), Vec::new());
        let plan = driver::compile(&model, &Options::new(&X86_64_AVX512, "net")).expect("it compiles").plan;
        let asked: usize = plan.steps().map(|(_, step)| step.prefetch[0].len()).sum();
        assert!(asked > 0 && asked <= X86_64_AVX512.l2_bytes, "{asked}");
    }
}
