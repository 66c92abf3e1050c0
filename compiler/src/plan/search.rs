//! Which plan: regions from the dynamic program, offsets for their buffers, and the cap that decides.

use super::arena::{self, Item, Placement};
use super::cuts::{Candidates, Cut};
use super::objective::Objective;
use super::stream::Layers;
use super::{Buffer, PlanOptions, Space, memory};
use crate::error::Fault;

/// Regions, and the buffers as they lie for them.
pub struct Found {
    /// The regions.
    pub cuts: Vec<Cut>,
    /// All buffers, with lifetimes and offsets.
    pub buffers: Vec<Buffer>,
    /// The arena.
    pub placement: Placement,
}

/// Caps that are tried where offsets need more than the sum of what is there at once.
const TRIES: usize = 12;

/// Chooses regions and offsets.
///
/// # Errors
///
/// No plan stays within the cap, or rows of the input cannot arrive one by one.
pub fn search(layers: &Layers<'_>, options: &PlanOptions) -> Result<Found, Fault> {
    let streaming = options.objective != Objective::LayerByLayer;
    let candidates = Candidates::new(layers, options.target, streaming);
    match options.objective {
        Objective::LayerByLayer => {
            candidates.cheapest(usize::MAX).map(|cuts| found(layers, cuts, options.target.align))
        }
        Objective::Speed { cap } => {
            within(layers, &candidates, cap, options).or_else(|| smallest(layers, &candidates, options))
        }
        Objective::Memory => smallest(layers, &candidates, options),
    }
    .ok_or_else(|| no_rows(layers))
    .and_then(|found| match options.objective {
        Objective::Speed { cap } if found.placement.bytes > cap => Err(too_large(layers, &found, cap)),
        Objective::Speed { .. } | Objective::LayerByLayer | Objective::Memory => Ok(found),
    })
}

/// The fastest plan of which the arena is not larger than the cap.
fn within(layers: &Layers<'_>, candidates: &Candidates, cap: usize, options: &PlanOptions) -> Option<Found> {
    let mut limit = cap;
    for _ in 0..TRIES {
        let found = found(layers, candidates.cheapest(limit)?, options.target.align);
        let over = found.placement.bytes.saturating_sub(cap);
        if over == 0 {
            return Some(found);
        }
        limit = limit.min(found.needed()).saturating_sub(over);
    }
    None
}

/// The plan with the smallest arena that is found, and of several the fastest.
///
/// Results that follow one another through the same bytes move the values in front of them up, one after the
/// other, which no region sees by itself: so of regions of the same layers the leanest is taken first.
fn smallest(layers: &Layers<'_>, candidates: &Candidates, options: &PlanOptions) -> Option<Found> {
    let leanest = candidates.leanest();
    let caps = leanest.caps();
    let first = caps.partition_point(|&cap| leanest.cheapest(cap).is_none());
    let mut best: Option<Found> = None;
    for &cap in caps.iter().skip(first).take(TRIES) {
        if best.as_ref().is_some_and(|best| best.placement.bytes <= cap) {
            break;
        }
        for cuts in [leanest.cheapest(cap)?, leanest.least(cap, |cut| cut.bytes as f64)?] {
            let found = found(layers, cuts, options.target.align);
            if best.as_ref().is_none_or(|best| found.placement.bytes < best.placement.bytes) {
                best = Some(found);
            }
        }
    }
    let best = best?;
    within(layers, candidates, best.placement.bytes, options).or(Some(best))
}

impl Found {
    /// What the neediest region needs before offsets.
    fn needed(&self) -> usize {
        self.cuts.iter().map(|cut| cut.bytes).max().unwrap_or(0)
    }
}

/// Lifetimes, sharing of bytes, and offsets.
fn found(layers: &Layers<'_>, cuts: Vec<Cut>, align: usize) -> Found {
    let mut buffers = layers.buffers.to_vec();
    for (id, ring) in cuts.iter().flat_map(|cut| &cut.streamed.rings) {
        buffers[id.0].rows = ring.rows;
    }
    memory::lifetimes(&mut buffers, layers, &cuts);
    let owner = memory::shared(&buffers, layers, &cuts);
    let owners: Vec<usize> = (0..buffers.len())
        .filter(|&i| owner[i] == i && matches!(buffers[i].space, Space::Arena(_)))
        .collect();
    let items: Vec<Item> = owners
        .iter()
        .map(|&o| {
            let live = (0..buffers.len()).filter(|&i| owner[i] == o).map(|i| buffers[i].live);
            let live = live.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0));
            Item { bytes: buffers[o].bytes(), live }
        })
        .collect();
    let following = memory::following(layers, &cuts);
    let overlays = memory::overlays(&following, &buffers, &owner, &owners);
    let placement = arena::place(&items, &overlays, align);
    for (o, offset) in owners.iter().zip(&placement.offsets) {
        for i in (0..buffers.len()).filter(|&i| owner[i] == *o) {
            buffers[i].space = Space::Arena(*offset);
        }
    }
    Found { cuts, buffers, placement }
}

/// The smallest plan, and the layers that make it so large.
fn too_large(layers: &Layers<'_>, found: &Found, cap: usize) -> Fault {
    let name = |layer: usize| {
        let write = layers.steps[layer].last().map(|step| step.write);
        write.map_or("", |id| layers.buffers[id.0].name.as_str())
    };
    let neediest = found.cuts.iter().max_by_key(|cut| cut.bytes);
    let from = neediest.map_or(String::new(), |cut| match cut.layers.end - cut.layers.start {
        1 => format!("; most is needed by {}", name(cut.layers.start)),
        n => format!(
            "; most is needed by the {n} layers from {} to {}",
            name(cut.layers.start),
            name(cut.layers.end - 1)
        ),
    });
    Fault::target(format!(
        "it needs at least {} bytes of arena, {cap} are allowed{from}",
        found.placement.bytes
    ))
    .help("allow more memory, or take a network of smaller width or resolution")
}

/// Why rows of the input cannot arrive one by one: without that there is always a plan.
fn no_rows(layers: &Layers<'_>) -> Fault {
    let Some(input) = layers.arrives.map(|id| &layers.buffers[id.0]) else {
        return Fault::bug("there is no plan");
    };
    let streamed = layers.paces(0).len();
    let last = layers.arrives.map_or(0, |id| layers.usage.last[id.0]);
    let blocking = layers.steps.get(streamed).and_then(|steps| steps.last());
    let message = match blocking {
        Some(step) if streamed <= last => format!(
            "rows of the input {} cannot arrive one by one: {} needs {} whole",
            input.name,
            layers.buffers[step.write.0].name,
            if streamed == 0 { "it" } else { "what is computed from it" },
        ),
        _ => format!("rows of the input {} cannot arrive one by one", input.name),
    };
    Fault::unsupported(message)
        .help("compile without --input-rows; --pixels takes rows of pixels as cameras give them")
}
