//! The checker: replays a plan symbolically and knows nothing of how it was made.
//!
//! Every byte range of the arena is owned by the row of a value that was written there last. A step may
//! run only when every row that it reads is still whole where it should lie; what it writes takes the
//! bytes from whoever had them. Weights and inputs are read-only and only checked for their bounds.

use super::request::{Arg, Operand, Rows};
use super::{Access, Arrival, Buffer, BufferId, Plan, Space, Step};
use crate::error::Fault;
use std::collections::BTreeMap;
use std::ops::Range;

/// Checks a plan.
///
/// # Errors
///
/// The first step that would read a byte which no longer (or not yet) holds what it expects, or that
/// leaves its memory; always a bug of the planner.
pub fn check(plan: &Plan) -> Result<(), Fault> {
    let mut memory = Memory::default();
    for port in plan.inputs.iter().filter(|_| plan.arrives.is_none()) {
        let buffer = plan.buffer(port.buffer);
        fill(plan, &mut memory, port.buffer, 0..buffer.height)?;
    }
    for (at, region) in plan.regions.iter().enumerate() {
        for band in 0..region.bands {
            if let Some(arrival) = plan.arrives.as_ref().filter(|_| at == 0) {
                arrive(plan, &mut memory, arrival, band)?;
            }
            for step in &region.steps {
                run(plan, &mut memory, step, band).map_err(|fault| {
                    Fault::bug(format!(
                        "region {at}, band {band}, layer {}: {}",
                        plan.layers[step.layer].name, fault.message
                    ))
                })?;
            }
        }
    }
    for port in &plan.outputs {
        let buffer = plan.buffer(port.buffer);
        if buffer.rows != buffer.height || !matches!(buffer.space, Space::Arena(_)) {
            return Err(Fault::bug(format!("output {} is not held whole in the arena", port.name)));
        }
        for row in 0..buffer.height {
            memory.expect(port.buffer, buffer, row)?;
        }
    }
    Ok(())
}

/// What the bytes of a range hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    buffer: BufferId,
    row: usize,
    /// How many of the steps that make the row have run.
    parts: usize,
    /// Whether nothing more is to come.
    complete: bool,
}

/// Disjoint ranges by start.
#[derive(Default)]
struct Memory {
    ranges: BTreeMap<usize, (usize, Content)>,
}

impl Memory {
    fn write(&mut self, range: Range<usize>, content: Content) {
        let hit: Vec<usize> = self
            .ranges
            .range(..range.end)
            .rev()
            .take_while(|(_, (end, _))| *end > range.start)
            .map(|(&start, _)| start)
            .collect();
        for start in hit {
            self.ranges.remove(&start);
        }
        if !range.is_empty() {
            self.ranges.insert(range.start, (range.end, content));
        }
    }

    fn at(&self, range: &Range<usize>) -> Option<Content> {
        self.ranges.get(&range.start).filter(|(end, _)| *end == range.end).map(|(_, content)| *content)
    }

    fn expect(&self, id: BufferId, buffer: &Buffer, row: usize) -> Result<(), Fault> {
        let Space::Arena(base) = buffer.space else { return Ok(()) };
        let range = row_range(base, buffer, row);
        match self.at(&range) {
            _ if range.is_empty() => Ok(()),
            Some(Content { buffer: b, row: r, complete: true, .. }) if b == id && r == row => Ok(()),
            Some(other) => Err(Fault::bug(format!(
                "row {row} of {} was expected at {range:?}, which holds row {} of buffer {}{}",
                buffer.name,
                other.row,
                other.buffer.0,
                if other.complete { "" } else { ", incomplete" }
            ))),
            None => Err(Fault::bug(format!("row {row} of {} is not at {range:?}", buffer.name))),
        }
    }
}

fn row_range(base: usize, buffer: &Buffer, row: usize) -> Range<usize> {
    let start = base + row % buffer.rows.max(1) * buffer.row_bytes;
    start..start + buffer.row_bytes
}

/// Rows of an input, written by the caller.
fn fill(plan: &Plan, memory: &mut Memory, id: BufferId, rows: Range<usize>) -> Result<(), Fault> {
    let buffer = plan.buffer(id);
    let Space::Arena(base) = buffer.space else { return Ok(()) };
    inside(plan, id)?;
    for row in rows {
        let content = Content { buffer: id, row, parts: 1, complete: true };
        memory.write(row_range(base, buffer, row), content);
    }
    Ok(())
}

/// Rows of the input that the caller hands over before a band. Where the last band ends without all of them,
/// rows would be left that nobody takes.
fn arrive(plan: &Plan, memory: &mut Memory, arrival: &Arrival, band: usize) -> Result<(), Fault> {
    fill(plan, memory, arrival.buffer, arrival.bands.rows(band))?;
    let last = plan.regions.first().map_or(0, |region| region.bands.saturating_sub(1));
    if band == last && arrival.bands.end(band) < plan.buffer(arrival.buffer).height {
        return Err(Fault::bug("rows of the input are left behind the last band"));
    }
    Ok(())
}

fn run(plan: &Plan, memory: &mut Memory, step: &Step, band: usize) -> Result<(), Fault> {
    bounds(plan, step)?;
    let rows = step.bands.rows(band);
    if rows.is_empty() {
        return Ok(());
    }
    for (read, over) in step.reads.iter().zip(written_over(step)) {
        let buffer = plan.buffer(read.buffer);
        let needed = needed(read.access, &rows, buffer);
        for &row in &needed {
            memory.expect(read.buffer, buffer, row)?;
        }
        apart(plan, step, read.buffer, &needed, &rows, over)?;
    }
    write(plan, memory, step, &rows)
}

/// For each operand that is read, whether the kernel takes it element by element where it writes.
fn written_over(step: &Step) -> Vec<bool> {
    let fields = step.request.fields.iter();
    fields
        .filter_map(|(_, arg)| match arg {
            Arg::Map(Operand::Input(i), _) | Arg::Place(Operand::Input(i), _) => {
                Some(*i == 0 && step.request.in_place)
            }
            Arg::Epilogue(_, Some(_)) => Some(true),
            _ => None,
        })
        .collect()
}

/// What a call reads must not be what it writes, unless it goes element by element (`over`) and both are the
/// same rows.
fn apart(
    plan: &Plan,
    step: &Step,
    read: BufferId,
    needed: &[usize],
    rows: &Range<usize>,
    over: bool,
) -> Result<(), Fault> {
    let (from, to) = (plan.buffer(read), plan.buffer(step.write));
    let (Space::Arena(from_base), Space::Arena(to_base)) = (from.space, to.space) else { return Ok(()) };
    let same = from_base == to_base && from.bytes() == to.bytes();
    if read == step.write || over && same && from.rows == from.height && to.rows == to.height {
        return Ok(());
    }
    for written in written(step, to, rows) {
        let written = row_range(to_base, to, written);
        for &row in needed {
            let read = row_range(from_base, from, row);
            if read.start < written.end && written.start < read.end && !(over && read == written) {
                return Err(Fault::bug(format!(
                    "{} is read at {read:?} by the call that writes {} at {written:?}",
                    from.name, to.name
                )));
            }
        }
    }
    Ok(())
}

/// Rows of the result that a call writes.
fn written(step: &Step, buffer: &Buffer, rows: &Range<usize>) -> Range<usize> {
    match step.request.rows {
        Rows::Whole => 0..buffer.height,
        Rows::Window { .. } => step.write_base + rows.start..step.write_base + rows.end,
        Rows::Accumulate => step.write_base..step.write_base + 1,
    }
}

fn write(plan: &Plan, memory: &mut Memory, step: &Step, rows: &Range<usize>) -> Result<(), Fault> {
    let buffer = plan.buffer(step.write);
    let Space::Arena(base) = buffer.space else {
        return Err(Fault::bug(format!("{} is written, but does not lie in the arena", buffer.name)));
    };
    let (part, parts) = step.part;
    let written = written(step, buffer, rows);
    if written.len() > buffer.rows {
        return Err(Fault::bug(format!(
            "{} rows of {} do not fit its {}",
            written.len(),
            buffer.name,
            buffer.rows
        )));
    }
    // Images of a batch are parts of one value but rows of their own.
    let own_rows = !matches!(step.request.rows, Rows::Whole);
    for row in written {
        let range = row_range(base, buffer, row);
        if !own_rows && part > 0 {
            let before = memory.at(&range);
            let fits = before.is_some_and(|c| c.buffer == step.write && c.row == row && c.parts == part);
            if !fits {
                return Err(Fault::bug(format!("part {part} of {} finds {before:?}", buffer.name)));
            }
        }
        let complete = match step.request.rows {
            Rows::Whole => part + 1 == parts,
            Rows::Window { .. } => true,
            Rows::Accumulate => rows.end == step.bands.total,
        };
        memory.write(range, Content { buffer: step.write, row, parts: part + 1, complete });
    }
    Ok(())
}

/// Rows of the operand that a range of the result's rows needs.
fn needed(access: Access, rows: &Range<usize>, buffer: &Buffer) -> Vec<usize> {
    match access {
        Access::Whole => (0..buffer.height).collect(),
        Access::Window { kernel, stride, dilation, pad, base, height } => rows
            .clone()
            .flat_map(|y| (0..kernel).map(move |tap| y * stride + tap * dilation))
            .filter_map(|position| position.checked_sub(pad))
            .filter(|&row| row < height)
            .map(|row| base + row)
            .collect(),
    }
}

/// Every buffer and constant lies inside its memory, aligned to its elements.
fn bounds(plan: &Plan, step: &Step) -> Result<(), Fault> {
    for id in step.reads.iter().map(|read| read.buffer).chain([step.write]) {
        inside(plan, id)?;
    }
    for range in step.weights.iter().flatten().chain(&step.prefetch) {
        if range.end > plan.weights.len() || range.start % 4 != 0 {
            return Err(Fault::bug(format!("constants lie at {range:?} of {}", plan.weights.len())));
        }
    }
    Ok(())
}

fn inside(plan: &Plan, id: BufferId) -> Result<(), Fault> {
    let buffer = plan.buffer(id);
    let (at, limit) = match buffer.space {
        Space::Arena(at) => (at, plan.arena_bytes),
        Space::Weights(at) => (at, plan.weights.len()),
        Space::Input(_) => (0, buffer.bytes()),
    };
    if at + buffer.bytes() > limit || at % buffer.ty.dtype.bytes() != 0 {
        return Err(Fault::bug(format!("{} lies at {at} of {limit} bytes", buffer.name)));
    }
    Ok(())
}
