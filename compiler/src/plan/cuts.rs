//! Where to cut the network into regions, and how many rows a band has.
//!
//! A dynamic program over the cut points: the fewest estimated cycles of all plans in which no region needs
//! more than a cap of bytes. What a region needs is counted in [`memory`](super::memory), without offsets;
//! where offsets then need more than is allowed, the cap is lowered.

use super::memory;
use super::stream::{Layers, Streamed, Take};
use super::{Bands, BufferId, Step};
use crate::plan::request::Rows;
use mobilec_targets::{Shape, Target};
use std::collections::BTreeMap;
use std::ops::Range;

/// A region of the plan to be.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Its layers.
    pub layers: Range<usize>,
    /// How it runs.
    pub streamed: Streamed,
    /// Bytes that it needs at least.
    pub bytes: usize,
    /// Estimated cycles.
    cycles: f64,
}

/// Longest region, in layers, whose band heights are varied: bounds the work of the planner.
const LONGEST: usize = 16;

/// All regions that there could be.
pub struct Candidates {
    all: Vec<Cut>,
    by_start: Vec<Vec<usize>>,
}

impl Candidates {
    /// For layers one by one; regions of several layers and bands with `streaming`, and where rows of the
    /// input arrive one by one.
    pub fn new(layers: &Layers<'_>, target: &Target, streaming: bool) -> Self {
        let mut all = Vec::new();
        for start in 0..layers.steps.len() {
            let mut alone = 0.0;
            let mut add = |range: Range<usize>, streamed: Streamed| {
                let mut cycles = cycles(layers, range.clone(), &streamed, target);
                if range.len() == 1 {
                    // By itself a layer gains nothing by bands, even where the estimate of its tiles says so.
                    alone = f64::max(alone, if streamed.count == 1 { cycles } else { 0.0 });
                    cycles = cycles.max(alone);
                }
                let bytes = memory::bytes(layers, range.clone(), &streamed, target.align);
                all.push(Cut { layers: range, streamed, bytes, cycles });
            };
            if let Some(streamed) = layers.whole(start) {
                add(start..start + 1, streamed);
            }
            if streaming || start == 0 && layers.arrives.is_some() {
                streamed(layers, start, &mut add);
            }
        }
        Self::of(all, layers.steps.len())
    }

    fn of(all: Vec<Cut>, layers: usize) -> Self {
        let mut by_start = vec![Vec::new(); layers];
        for (i, cut) in all.iter().enumerate() {
            by_start[cut.layers.start].push(i);
        }
        Self { all, by_start }
    }

    /// Of the regions of the same layers only the one that needs least, and of several the fastest.
    pub fn leanest(&self) -> Self {
        let mut best: BTreeMap<(usize, usize), &Cut> = BTreeMap::new();
        for cut in &self.all {
            let slot = best.entry((cut.layers.start, cut.layers.end)).or_insert(cut);
            if (cut.bytes, cut.cycles) < (slot.bytes, slot.cycles) {
                *slot = cut;
            }
        }
        Self::of(best.into_values().cloned().collect(), self.by_start.len())
    }

    /// What regions need, each number once, in ascending order.
    pub fn caps(&self) -> Vec<usize> {
        let mut caps: Vec<usize> = self.all.iter().map(|cut| cut.bytes).collect();
        caps.sort_unstable();
        caps.dedup();
        caps
    }

    /// The fewest cycles. `None` when no plan stays within the cap.
    pub fn cheapest(&self, cap: usize) -> Option<Vec<Cut>> {
        self.least(cap, |cut| cut.cycles)
    }

    /// The dynamic program: the least sum of what regions cost up to each cut point. `None` when no plan stays
    /// within the cap.
    pub fn least(&self, cap: usize, cost: impl Fn(&Cut) -> f64) -> Option<Vec<Cut>> {
        let count = self.by_start.len();
        let mut best: Vec<Option<(f64, usize)>> = vec![None; count + 1];
        best[0] = Some((0.0, usize::MAX));
        for start in 0..count {
            let Some((so_far, _)) = best[start] else { continue };
            for (i, cut) in self.by_start[start].iter().map(|&i| (i, &self.all[i])) {
                let total = so_far + cost(cut);
                let slot = &mut best[cut.layers.end];
                if cut.bytes <= cap && slot.is_none_or(|(least, _)| total < least) {
                    *slot = Some((total, i));
                }
            }
        }
        let mut cuts = Vec::new();
        let mut at = count;
        while at > 0 {
            let (_, i) = best[at]?;
            cuts.push(self.all[i].clone());
            at = self.all[i].layers.start;
        }
        cuts.reverse();
        Some(cuts)
    }
}

/// Every run of layers from `start` on that streams, with every band height that is worth a look.
fn streamed(layers: &Layers<'_>, start: usize, add: &mut impl FnMut(Range<usize>, Streamed)) {
    let paces = layers.paces(start);
    for (at, &pace) in paces.iter().enumerate() {
        let range = start..start + at + 1;
        // Rows of the input that later regions need would have to be kept.
        let arrives = layers.arrives.filter(|_| start == 0);
        if arrives.is_some_and(|input| layers.usage.last[input.0] >= range.end) {
            continue;
        }
        add(range.clone(), layers.stream(range.clone(), &paces, Take::ONE));
        let total = layers.steps[range.end - 1].last().map_or(1, |step| step.bands.total);
        if range.len() > LONGEST {
            continue;
        }
        for take in heights(total).into_iter().filter_map(|band| layers.take(pace, band)) {
            if take != Take::ONE {
                add(range.clone(), layers.stream(range.clone(), &paces, take));
            }
        }
    }
}

/// Band heights of the last layer, below all rows.
fn heights(total: usize) -> Vec<usize> {
    [1, 2, 3, 4, 7, 8, 14, 16, 28, 56].into_iter().filter(|&rows| rows < total).collect()
}

/// Checking a step and starting its loops.
const CALL_CYCLES: f64 = 120.0;
/// A call in a band in which nothing is to be made.
const EMPTY_CALL_CYCLES: f64 = 40.0;
/// Cycles to read a byte from the second level cache or beyond, over what the kernels' estimates assume (data
/// in the first level): 211, 117 and 88 GB/s measured on a Zen core at 3.7 GHz.
const L2_CYCLES_PER_BYTE: f64 = 0.014;
const L3_CYCLES_PER_BYTE: f64 = 0.0245;

/// Estimated cycles: the kernels', band by band, and the memory traffic that they do not see.
fn cycles(layers: &Layers<'_>, range: Range<usize>, streamed: &Streamed, target: &Target) -> f64 {
    let steps: Vec<&Step> = layers.steps[range].iter().flatten().collect();
    let row_bytes = |id: BufferId| layers.buffers[id.0].row_bytes;
    // What passes through the caches between two uses of a row: all rings, and the weights of all steps.
    let rings: usize = streamed.rings.iter().map(|(&id, ring)| ring.rows * row_bytes(id)).sum();
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
        let (cycles, calls) = kernel_cycles(step, bands, streamed.count, target);
        total += cycles;
        for id in step.reads.iter().map(|read| read.buffer).chain([step.write]) {
            let buffer = &layers.buffers[id.0];
            let set = if streamed.rings.contains_key(&id) { rings + weights } else { buffer.bytes() };
            total += traffic(buffer.height * buffer.row_bytes, set);
        }
        let again = if streamed.count > 1 { rings + weights } else { usize::MAX };
        total += traffic(constants(step) * calls, again);
    }
    total
}

/// The first variant's kernel over all bands, and how many of them make rows.
fn kernel_cycles(step: &Step, bands: &Bands, count: usize, target: &Target) -> (f64, usize) {
    let Some(choice) = step.kernels.first() else { return (0.0, 0) };
    if count == 1 || matches!(step.request.rows, Rows::Whole) {
        return (choice.cycles + CALL_CYCLES, 1);
    }
    let shape = step.request.shape;
    let call = |rows: usize| {
        let m = shape.m * rows / step.bands.total.max(1);
        (choice.kernel.cycles)(&Shape { m: m.max(1), ..shape }, target) + CALL_CYCLES
    };
    let rows = (bands.rows / bands.per.max(1)).clamp(1, bands.total.max(1));
    let (full, rest) = (bands.total / rows, bands.total % rows);
    let calls = full + usize::from(rest > 0);
    let mut cycles = full as f64 * call(rows) + count.saturating_sub(calls) as f64 * EMPTY_CALL_CYCLES;
    if rest > 0 {
        cycles += call(rest);
    }
    (cycles, calls)
}
