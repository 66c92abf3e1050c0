//! What lies in the arena when: lifetimes in steps, values that share bytes, and values that follow one
//! another through the same bytes.
//!
//! Time is counted in steps of the whole plan. What is touched in a region of several bands is there as long
//! as the region runs, but for rows that are used in the band in which they are made: those are there from
//! step to step of every band.

use super::arena::Overlay;
use super::cuts::Cut;
use super::request::{Arg, Operand};
use super::stream::{Layers, Streamed};
use super::{Buffer, BufferId, Space, Step};
use std::collections::BTreeSet;
use std::ops::Range;

/// What a region needs at least: the largest sum of what is there at one of its steps, of it and of what lies
/// over it, where what may share bytes counts once.
pub fn bytes(layers: &Layers<'_>, range: Range<usize>, streamed: &Streamed, align: usize) -> usize {
    let steps: Vec<&Step> = layers.steps[range.clone()].iter().flatten().collect();
    let last = steps.len().saturating_sub(1);
    let mut load = vec![0_usize; steps.len()];
    let mut of_region = Vec::new();
    for id in (0..layers.buffers.len()).map(BufferId) {
        let buffer = &layers.buffers[id.0];
        let Some(live) = live(layers, &range, streamed, &steps, id) else { continue };
        let rows = streamed.rings.get(&id).map_or(buffer.height, |ring| ring.rows);
        let bytes = (rows * buffer.row_bytes).next_multiple_of(align);
        load[live.0..=live.1.min(last)].iter_mut().for_each(|load| *load += bytes);
        of_region.push((id, live, bytes));
    }
    let over = saving(layers, range, streamed, &steps, &of_region);
    if let Some((live, saved)) = over {
        load[live.0..=live.1].iter_mut().for_each(|load| *load -= saved);
    }
    load.into_iter().max().unwrap_or(0)
}

/// First and last step of the region at which a value is in the arena.
fn live(
    layers: &Layers<'_>,
    range: &Range<usize>,
    streamed: &Streamed,
    steps: &[&Step],
    id: BufferId,
) -> Option<(usize, usize)> {
    if !matches!(layers.buffers[id.0].space, Space::Arena(_)) {
        return None;
    }
    let (writer, last) = (layers.usage.writer[id.0], layers.usage.last[id.0]);
    let from_before = writer == usize::MAX || writer < range.start;
    if (!from_before && writer >= range.end) || last < range.start {
        return None;
    }
    let end = steps.len().saturating_sub(1);
    if let Some(ring) = streamed.rings.get(&id) {
        return Some(if ring.passing { ring.steps } else { (0, end) });
    }
    if streamed.count > 1 {
        return Some((0, end));
    }
    let touches = |step: &&Step| step.write == id || step.reads.iter().any(|read| read.buffer == id);
    let first = if from_before { 0 } else { steps.iter().position(touches)? };
    let leaves = last >= range.end;
    Some((first, if leaves { end } else { steps.iter().rposition(touches).unwrap_or(0) }))
}

/// The steps in which the most is saved by a result that goes over an operand, and the bytes saved.
fn saving(
    layers: &Layers<'_>,
    range: Range<usize>,
    streamed: &Streamed,
    steps: &[&Step],
    values: &[(BufferId, (usize, usize), usize)],
) -> Option<((usize, usize), usize)> {
    let results = values.iter().filter(|(id, ..)| steps.iter().any(|step| step.write == *id));
    let pairs = results.flat_map(|result| values.iter().map(move |operand| (result, operand)));
    let saved = pairs.filter_map(|(&(result, written, bytes), &(operand, read, from))| {
        let distance = match steps {
            [step] if in_place(layers, &range, step, operand) && bytes == from => 0,
            _ => layers.distance(range.clone(), streamed, result, operand).filter(|_| result != operand)?,
        };
        let live = (written.0.max(read.0), written.1.min(read.1));
        let saved = (bytes + from).saturating_sub(bytes.max(distance + from));
        (live.0 <= live.1 && saved > 0).then_some((live, saved))
    });
    saved.max_by_key(|(_, saved)| *saved)
}

/// Whether the step's result may be written over an operand exactly, which nothing reads later.
fn in_place(layers: &Layers<'_>, range: &Range<usize>, step: &Step, operand: BufferId) -> bool {
    let readers = step.reads.iter().filter(|read| read.buffer == operand).count();
    let dies = layers.usage.last[operand.0] < range.end;
    dies && readers == 1
        && over(step).into_iter().any(|position| operand_buffer(step, position) == Some(operand))
}

/// A result, the operand that it may follow through the same bytes, and the distance.
pub type Following = (BufferId, BufferId, usize);

/// All pairs of the chosen regions.
pub fn following(layers: &Layers<'_>, cuts: &[Cut]) -> Vec<Following> {
    let mut following = Vec::new();
    for cut in cuts {
        let steps = || layers.steps[cut.layers.clone()].iter().flatten();
        let results: BTreeSet<BufferId> = steps().map(|step| step.write).collect();
        let operands: BTreeSet<BufferId> =
            steps().flat_map(|step| step.reads.iter().map(|read| read.buffer)).collect();
        for &result in &results {
            for &operand in operands.iter().filter(|operand| **operand != result) {
                let distance = layers.distance(cut.layers.clone(), &cut.streamed, result, operand);
                following.extend(distance.map(|distance| (result, operand, distance)));
            }
        }
    }
    following
}

/// Sets the lifetimes of all buffers of a plan. Inputs are there from the first step on, outputs to the last.
pub fn lifetimes(buffers: &mut [Buffer], layers: &Layers<'_>, cuts: &[Cut]) {
    let mut seen: Vec<bool> = layers.usage.writer.iter().map(|&writer| writer == usize::MAX).collect();
    let mut start = 0;
    for cut in cuts {
        let steps: Vec<&Step> = layers.steps[cut.layers.clone()].iter().flatten().collect();
        let end = start + steps.len().saturating_sub(1);
        for (at, step) in steps.iter().enumerate() {
            for id in step.reads.iter().map(|read| read.buffer).chain([step.write]) {
                let here = match cut.streamed.rings.get(&id) {
                    Some(ring) if ring.passing => (start + ring.steps.0, start + ring.steps.1),
                    None if cut.streamed.count == 1 => (start + at, start + at),
                    Some(_) | None => (start, end),
                };
                let live = &mut buffers[id.0].live;
                *live = (if seen[id.0] { live.0 } else { here.0 }, here.1.max(live.1));
                seen[id.0] = true;
            }
        }
        start = end + 1;
    }
    for (buffer, _) in buffers.iter_mut().zip(&layers.usage.last).filter(|(_, last)| **last == usize::MAX) {
        buffer.live.1 = start.saturating_sub(1);
    }
}

/// For each buffer the one whose bytes it uses: a result goes over an operand that nothing reads later,
/// where the kernel allows it.
pub fn shared(buffers: &[Buffer], layers: &Layers<'_>, cuts: &[Cut]) -> Vec<usize> {
    let mut owner: Vec<usize> = (0..buffers.len()).collect();
    let mut at = 0;
    for cut in cuts {
        let of_region = &layers.steps[cut.layers.clone()];
        if let [steps] = of_region
            && let [step] = &steps[..]
        {
            let write = step.write.0;
            let dying = |BufferId(i): &BufferId| {
                let buffer = &buffers[*i];
                let readers = step.reads.iter().filter(|read| read.buffer.0 == *i).count();
                matches!(buffer.space, Space::Arena(_))
                    && buffer.live.1 == at
                    && buffer.bytes() == buffers[write].bytes()
                    && readers == 1
            };
            let operands = over(step).into_iter().filter_map(|position| operand_buffer(step, position));
            if let Some(BufferId(i)) = operands.into_iter().find(dying) {
                owner[write] = owner[i];
            }
        }
        at += of_region.iter().map(Vec::len).sum::<usize>();
    }
    owner
}

/// Pairs of the items, which are the buffers at these positions. Of buffers that share their bytes only the
/// first follows something, and only the last is followed: the others are there before or after.
pub fn overlays(
    following: &[Following],
    buffers: &[Buffer],
    owner: &[usize],
    items: &[usize],
) -> Vec<Overlay> {
    let item = |id: BufferId| items.iter().position(|&item| item == owner[id.0]);
    let first = |id: BufferId| owner[id.0] == id.0;
    let last = |id: BufferId| {
        let sharers = (0..buffers.len()).filter(|&i| owner[i] == owner[id.0]);
        sharers.map(|i| buffers[i].live.1).max() == Some(buffers[id.0].live.1)
    };
    following
        .iter()
        .filter(|&&(result, operand, _)| first(result) && last(operand) && owner[operand.0] != result.0)
        .filter_map(|&(result, operand, distance)| {
            Some(Overlay { below: item(result)?, above: item(operand)?, distance })
        })
        .collect()
}

/// Operands over which a step's result may be written.
fn over(step: &Step) -> Vec<usize> {
    let mut positions = Vec::new();
    if step.request.in_place {
        positions.push(0);
    }
    positions.extend(step.request.fields.iter().filter_map(|(_, arg)| match arg {
        Arg::Epilogue(_, Some((position, _))) => Some(*position),
        _ => None,
    }));
    positions
}

/// The buffer of the operand at a position of the node.
fn operand_buffer(step: &Step, position: usize) -> Option<BufferId> {
    let mut reads = step.reads.iter();
    step.request.fields.iter().find_map(|(_, arg)| {
        let at = match arg {
            Arg::Map(Operand::Input(i), _) | Arg::Place(Operand::Input(i), _) => *i,
            Arg::Epilogue(_, Some((i, _))) => *i,
            _ => return None,
        };
        let read = reads.next()?;
        (at == position).then_some(read.buffer)
    })
}
