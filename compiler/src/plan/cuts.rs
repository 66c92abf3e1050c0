//! Where to cut the network into regions, and how many rows a band has.
//!
//! A dynamic program over the cut points: the fewest estimated cycles of all plans in which no region
//! needs more than a cap of bytes; with no cap given for a memory-bound target, the least cap for which
//! there is a plan at all.

use super::arena::{self, Item, Overlay};
use super::stream::{Layers, Streamed};
use super::{Bands, BufferId, Space, Step};
use crate::plan::request::Rows;
use mobilec_targets::{Shape, Target};
use std::collections::BTreeSet;
use std::ops::Range;

/// A region of the plan to be.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Its layers.
    pub layers: Range<usize>,
    /// How it runs.
    pub streamed: Streamed,
}

/// What a plan is chosen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Objective {
    /// Every layer by itself, whole.
    #[default]
    LayerByLayer,
    /// The fewest cycles within so many bytes of arena.
    Speed {
        /// Bytes.
        cap: usize,
    },
    /// The least arena.
    Memory,
}

/// Longest region, in layers: bounds the work of the planner.
const LONGEST: usize = 40;

/// Chooses regions; `None` when no plan stays within the cap.
pub fn choose(layers: &Layers<'_>, target: &Target, objective: Objective) -> Option<Vec<Cut>> {
    let count = layers.steps.len();
    if objective == Objective::LayerByLayer {
        let whole = |layer: usize| layers.stream(layer..layer + 1, usize::MAX);
        return (0..count).map(|at| whole(at).map(|streamed| Cut { layers: at..at + 1, streamed })).collect();
    }
    let candidates = candidates(layers, target);
    match objective {
        Objective::Speed { cap } => cheapest(count, &candidates, cap),
        Objective::LayerByLayer | Objective::Memory => {
            let mut caps: Vec<usize> = candidates.iter().map(|c| c.bytes).collect();
            caps.sort_unstable();
            caps.dedup();
            let at = caps.partition_point(|&cap| cheapest(count, &candidates, cap).is_none());
            caps.get(at).and_then(|&cap| cheapest(count, &candidates, cap))
        }
    }
}

struct Candidate {
    cut: Cut,
    cycles: f64,
    bytes: usize,
}

/// Every run of layers that streams, with every band height that is worth a look.
fn candidates(layers: &Layers<'_>, target: &Target) -> Vec<Candidate> {
    let count = layers.steps.len();
    let mut out = Vec::new();
    for start in 0..count {
        for end in start + 1..=count.min(start + LONGEST) {
            if end > start + 1 && !layers.streams(end - 1) {
                break;
            }
            let total = layers.steps[end - 1].last().map_or(1, |step| step.bands.total);
            let mut any = false;
            for band in heights(total) {
                if let Some(streamed) = layers.stream(start..end, band) {
                    any = true;
                    out.push(Candidate {
                        cycles: cycles(layers, start..end, &streamed, target),
                        bytes: bytes(layers, start..end, &streamed, target),
                        cut: Cut { layers: start..end, streamed },
                    });
                }
            }
            if !any || !layers.streams(start) {
                break;
            }
        }
    }
    out
}

/// Band heights from one row to all.
fn heights(total: usize) -> Vec<usize> {
    let mut heights: Vec<usize> =
        [1, 2, 3, 4, 7, 8, 14, 16, 28, 56].into_iter().filter(|&rows| rows < total).collect();
    heights.push(total.max(1));
    heights
}

/// The dynamic program: least cycles up to each cut point.
fn cheapest(count: usize, candidates: &[Candidate], cap: usize) -> Option<Vec<Cut>> {
    let mut best: Vec<Option<(f64, usize)>> = vec![None; count + 1];
    best[0] = Some((0.0, usize::MAX));
    let mut by_start: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (i, candidate) in candidates.iter().enumerate().filter(|(_, c)| c.bytes <= cap) {
        by_start[candidate.cut.layers.start].push(i);
    }
    for start in 0..count {
        let Some((so_far, _)) = best[start] else { continue };
        for &i in &by_start[start] {
            let candidate = &candidates[i];
            let total = so_far + candidate.cycles;
            let slot = &mut best[candidate.cut.layers.end];
            if slot.is_none_or(|(least, _)| total < least) {
                *slot = Some((total, i));
            }
        }
    }
    let mut cuts = Vec::new();
    let mut at = count;
    while at > 0 {
        let (_, i) = best[at]?;
        cuts.push(candidates[i].cut.clone());
        at = candidates[i].cut.layers.start;
    }
    cuts.reverse();
    Some(cuts)
}

/// What the region needs while it runs: what it reads and writes, its rings, and what lies over it.
pub fn bytes(layers: &Layers<'_>, range: Range<usize>, streamed: &Streamed, target: &Target) -> usize {
    let mut ids: BTreeSet<BufferId> = BTreeSet::new();
    for step in layers.steps[range.clone()].iter().flatten() {
        ids.extend(step.reads.iter().map(|read| read.buffer).chain([step.write]));
    }
    ids.extend((0..layers.buffers.len()).map(BufferId).filter(|id| {
        let (writer, last) = (layers.usage.writer[id.0], layers.usage.last[id.0]);
        writer != usize::MAX && writer < range.start && last >= range.start
    }));
    let ids: Vec<BufferId> =
        ids.into_iter().filter(|id| matches!(layers.buffers[id.0].space, Space::Arena(_))).collect();
    let items: Vec<Item> = ids
        .iter()
        .map(|id| {
            let buffer = &layers.buffers[id.0];
            let rows = streamed.rings.get(id).copied().unwrap_or(buffer.height);
            Item { bytes: rows * buffer.row_bytes, live: (0, 0) }
        })
        .collect();
    let overlays = overlays(layers, range, streamed, &ids);
    arena::estimate(&items, &overlays, target.align)
}

/// Pairs of `ids` of which the one may follow the other through the same bytes.
pub fn overlays(
    layers: &Layers<'_>,
    range: Range<usize>,
    streamed: &Streamed,
    ids: &[BufferId],
) -> Vec<Overlay> {
    let mut overlays = Vec::new();
    for (below, &result) in ids.iter().enumerate() {
        for (above, &operand) in ids.iter().enumerate().filter(|(_, operand)| **operand != result) {
            if let Some(distance) = layers.distance(range.clone(), streamed, result, operand) {
                overlays.push(Overlay { below, above, distance });
            }
        }
    }
    overlays
}

/// Checking a step and starting its loops.
const CALL_CYCLES: f64 = 120.0;
/// Cycles to read a byte from the second level cache or beyond, over what the kernels' estimates assume (data
/// in the first level): 211, 117 and 88 GB/s measured on a Zen core at 3.7 GHz.
const L2_CYCLES_PER_BYTE: f64 = 0.014;
const L3_CYCLES_PER_BYTE: f64 = 0.0245;

/// Estimated cycles: the kernels', band by band, and the memory traffic that they do not see.
fn cycles(layers: &Layers<'_>, range: Range<usize>, streamed: &Streamed, target: &Target) -> f64 {
    let steps: Vec<&Step> = layers.steps[range].iter().flatten().collect();
    let held = |id: BufferId| {
        let buffer = &layers.buffers[id.0];
        streamed.rings.get(&id).copied().unwrap_or(buffer.height) * buffer.row_bytes
    };
    // What passes through the caches between two uses of a row: all rings, and the weights of all steps.
    let rings: usize = streamed.rings.keys().map(|&id| held(id)).sum();
    let constants =
        |step: &Step| step.weights.first().map_or(0, |w| w.iter().map(ExactSizeIterator::len).sum());
    let weights: usize = steps.iter().map(|step| constants(step)).sum();
    let traffic = |bytes: usize, set: usize| {
        let rate = match set {
            _ if set <= target.l1_bytes => 0.0,
            _ if set <= target.l2_bytes => L2_CYCLES_PER_BYTE,
            _ => L3_CYCLES_PER_BYTE,
        };
        bytes as f64 * rate
    };
    let mut total = 0.0;
    for (step, bands) in steps.iter().zip(&streamed.bands) {
        total += kernel_cycles(step, bands, target);
        for id in step.reads.iter().map(|read| read.buffer).chain([step.write]) {
            let buffer = &layers.buffers[id.0];
            let set = if streamed.rings.contains_key(&id) { rings + weights } else { buffer.bytes() };
            total += traffic(buffer.height * buffer.row_bytes, set);
        }
        let again = if streamed.count > 1 { rings + weights } else { usize::MAX };
        total += traffic(constants(step) * streamed.count, again);
    }
    total
}

/// The first variant's kernel over all bands, each with its own number of positions.
fn kernel_cycles(step: &Step, bands: &Bands, target: &Target) -> f64 {
    let Some(choice) = step.kernels.first() else { return 0.0 };
    if bands.count == 1 || matches!(step.request.rows, Rows::Whole) {
        return choice.cycles + CALL_CYCLES;
    }
    let shape = step.request.shape;
    let mut known: Option<(usize, f64)> = None;
    (0..bands.count)
        .map(|band| {
            let rows = bands.rows(band).len();
            if rows == 0 {
                return CALL_CYCLES;
            }
            match known {
                Some((same, cycles)) if same == rows => cycles,
                _ => {
                    let m = shape.m * rows / step.bands.total.max(1);
                    let cycles =
                        (choice.kernel.cycles)(&Shape { m: m.max(1), ..shape }, target) + CALL_CYCLES;
                    known = Some((rows, cycles));
                    cycles
                }
            }
        })
        .sum()
}
