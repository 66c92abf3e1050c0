//! Row streaming: what it takes to run a run of layers band by band.
//!
//! The last step makes `band` rows at a time; every step before it makes just the rows that the steps
//! behind it need, so that no row is computed twice. A value that is made and used inside, by rows only, is
//! a ring of the rows that are still needed at once; a result may follow its operand through the same
//! bytes at a distance.

use super::request::Rows;
use super::{Access, Bands, Buffer, BufferId, Step};
use std::collections::BTreeMap;
use std::ops::Range;

/// A run of layers as one region.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// Bands.
    pub count: usize,
    /// Rows of each step by band, in the order of the steps.
    pub bands: Vec<Bands>,
    /// Rows of the values that never exist whole.
    pub rings: BTreeMap<BufferId, usize>,
}

/// Where a value is used.
pub struct Usage {
    /// For each buffer the last region's layer that reads or writes it; `usize::MAX` for outputs.
    pub last: Vec<usize>,
    /// For each buffer the layer that writes it; `usize::MAX` for inputs and constants.
    pub writer: Vec<usize>,
}

/// Layers of one step each, as candidates for regions.
pub struct Layers<'a> {
    /// All steps, by layer.
    pub steps: &'a [Vec<Step>],
    /// All buffers.
    pub buffers: &'a [Buffer],
    /// Where they are used.
    pub usage: Usage,
}

impl Layers<'_> {
    /// Whether a layer can be part of a region of several bands.
    pub fn streams(&self, layer: usize) -> bool {
        let [step] = &self.steps[layer][..] else { return false };
        match step.request.rows {
            Rows::Whole => false,
            Rows::Window { .. } | Rows::Accumulate => step.takes_rows() && step.bands.total > 0,
        }
    }

    /// The layers as one region whose last step makes `band` rows at a time; `None` where their rows do not
    /// go together.
    pub fn stream(&self, layers: Range<usize>, band: usize) -> Option<Streamed> {
        let steps: Vec<&Step> = self.steps[layers.clone()].iter().flatten().collect();
        let last = steps.last()?;
        if layers.len() == 1 && band >= last.bands.total {
            let bands = steps.iter().map(|step| step.bands).collect();
            return Some(Streamed { count: 1, bands, rings: BTreeMap::new() });
        }
        if !layers.clone().all(|layer| self.streams(layer)) || band == 0 {
            return None;
        }
        let count = last.bands.total.div_ceil(band);
        let bands = self.schedule(&steps, count, band)?;
        let mut rings = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            if let Some(rows) = self.ring(&steps, &bands, at, layers.end) {
                rings.insert(step.write, rows);
            }
        }
        Some(Streamed { count, bands, rings })
    }

    /// Rows of every step, from the last to the first.
    fn schedule(&self, steps: &[&Step], count: usize, band: usize) -> Option<Vec<Bands>> {
        let mut bands: Vec<Bands> = steps.iter().map(|step| Bands { count, ..step.bands }).collect();
        for at in (0..steps.len()).rev() {
            let total = steps[at].bands.total;
            let mut need: Option<(usize, isize)> = None;
            for user in at + 1..steps.len() {
                for read in steps[user].reads.iter().filter(|read| read.buffer == steps[at].write) {
                    let Access::Window { kernel, stride, dilation, pad, .. } = read.access else {
                        return None;
                    };
                    if steps[at].request.rows == Rows::Accumulate {
                        return None;
                    }
                    let reach = (kernel.max(1) - 1) * dilation + 1;
                    let Bands { per_band, ahead, .. } = bands[user];
                    let shift = stride as isize * (ahead - 1) - pad as isize + reach as isize;
                    let wanted = (per_band * stride, shift);
                    need = match need {
                        Some((per_band, ahead)) if per_band == wanted.0 => {
                            Some((per_band, ahead.max(wanted.1)))
                        }
                        Some(_) => return None,
                        None => Some(wanted),
                    };
                }
            }
            let (per_band, ahead) = match need {
                Some(need) => need,
                None if at + 1 == steps.len() => (band, 0),
                None => (total.div_ceil(count), 0),
            };
            bands[at] = Bands { count, per_band, ahead, total };
        }
        Some(bands)
    }

    /// Rows that the value of a step needs at once; `None` when it must exist whole.
    fn ring(&self, steps: &[&Step], bands: &[Bands], at: usize, end: usize) -> Option<usize> {
        let id = steps[at].write;
        let height = self.buffers[id.0].height;
        let leaves = self.usage.last[id.0] >= end;
        if leaves || steps[at].request.rows == Rows::Accumulate || self.viewed(steps, id) {
            return None;
        }
        let rows = (0..bands[at].count)
            .map(|band| {
                let low = low(steps, bands, id, band, steps.len()).unwrap_or(bands[at].end(band));
                bands[at].end(band).saturating_sub(low)
            })
            .max()
            .unwrap_or(height);
        (rows < height).then_some(rows.max(1))
    }

    /// Whether some step sees the value otherwise than by its own rows.
    fn viewed(&self, steps: &[&Step], id: BufferId) -> bool {
        let reads = steps.iter().flat_map(|step| &step.reads).filter(|read| read.buffer == id);
        reads.clone().any(|read| read.access == Access::Whole) || reads.count() == 0
    }

    /// Bytes that `result` must stay below `operand` while the region runs, when it may at all: the operand
    /// is an earlier value that nothing reads later.
    pub fn distance(
        &self,
        layers: Range<usize>,
        streamed: &Streamed,
        result: BufferId,
        operand: BufferId,
    ) -> Option<usize> {
        let steps: Vec<&Step> = self.steps[layers.clone()].iter().flatten().collect();
        let consumed = self.usage.last[operand.0] < layers.end && self.usage.writer[operand.0] < layers.start;
        if !consumed || streamed.rings.contains_key(&result) {
            return None;
        }
        let writer = steps.iter().position(|step| step.write == result)?;
        if steps[writer].request.rows == Rows::Accumulate {
            return None;
        }
        let (out, from) = (&self.buffers[result.0], &self.buffers[operand.0]);
        let mut distance = 0;
        for band in 0..streamed.count {
            let written = streamed.bands[writer].end(band) * out.row_bytes;
            let free = low(&steps, &streamed.bands, operand, band, writer)?.min(from.height);
            if free < from.height {
                distance = distance.max(written.saturating_sub(free * from.row_bytes));
            }
        }
        Some(distance.min(out.bytes()))
    }
}

/// The lowest row of a value that is still needed while step `writer` runs in a band: steps before it have
/// taken their rows of this band already. `None` when a step needs it whole.
fn low(steps: &[&Step], bands: &[Bands], id: BufferId, band: usize, writer: usize) -> Option<usize> {
    let mut lowest = usize::MAX;
    for (at, step) in steps.iter().enumerate() {
        for read in step.reads.iter().filter(|read| read.buffer == id) {
            let Access::Window { stride, pad, .. } = read.access else { return None };
            // Reading all of a ring happens before it is written again, in the same band.
            let from = if writer < steps.len() && at < writer { band + 1 } else { band };
            let row = if from >= bands[at].count {
                usize::MAX
            } else {
                (bands[at].rows(from).start * stride).saturating_sub(pad)
            };
            lowest = lowest.min(row);
        }
    }
    Some(lowest)
}
