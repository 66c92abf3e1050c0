//! Row streaming: what it takes to run a run of layers band by band.
//!
//! The rows of the region's first operand set the pace: in every band some of them are taken, and every step
//! makes the rows for which everything is there ([`Pace`]). No row is computed twice, and none earlier than
//! it can be. A value that is made and used inside, by rows only, is a ring of the rows that are still needed
//! at once; a result may follow its operand through the same bytes at a distance.

use super::request::Rows;
use super::{Access, Bands, Buffer, BufferId, Step};
use std::collections::BTreeMap;
use std::ops::Range;

/// How many rows are there when `n` rows of the region's first operand have been taken:
/// `⌊(rows · n + ahead) / per⌋`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    rows: usize,
    ahead: isize,
    per: usize,
}

impl Pace {
    /// The first operand's own.
    const SOURCE: Self = Self { rows: 1, ahead: 0, per: 1 };

    /// Rows of a window's result: row `y` can be made when `y · stride − pad + reach` rows are there. Rows of
    /// padding below count as rows that come in later bands.
    fn behind(self, [reach, stride, pad]: [usize; 3]) -> Self {
        let lag = pad as isize + stride as isize - reach as isize;
        Self { rows: self.rows, ahead: self.ahead + self.per as isize * lag, per: self.per * stride.max(1) }
    }

    /// The later of two; `None` where neither stays behind the other.
    fn later(self, other: Self) -> Option<Self> {
        let common = |a: Self, b: Self| {
            let (k, of_all) = (b.rows, a.rows.max(1) * b.rows.max(1));
            Self { rows: of_all, ahead: a.ahead * k as isize, per: a.per * k }
        };
        if self.rows * other.per != other.rows * self.per {
            return None;
        }
        let (a, b) = (common(self, other), common(other, self));
        Some(if a.ahead <= b.ahead { self } else { other })
    }

    fn bands(self, take: Take, total: usize) -> Bands {
        let ahead = self.ahead + (self.rows * take.ahead) as isize;
        let (rows, per) = (self.rows * take.rows, self.per);
        let divisor = gcd(gcd(rows, per), ahead.unsigned_abs()).max(1);
        Bands { rows: rows / divisor, ahead: ahead / divisor as isize, per: per / divisor, total }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Rows of the first operand that are taken in each band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// In each.
    pub rows: usize,
    /// On top in the first.
    pub ahead: usize,
}

impl Take {
    /// One after the other.
    pub const ONE: Self = Self { rows: 1, ahead: 0 };

    /// The bands of an operand of `total` rows.
    pub fn bands(self, total: usize) -> Bands {
        Pace::SOURCE.bands(self, total)
    }
}

/// A run of layers as one region.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// Rows of the first operand by band.
    pub take: Take,
    /// Bands.
    pub count: usize,
    /// Rows of each step by band, in the order of the steps.
    pub bands: Vec<Bands>,
    /// The values that never exist whole.
    pub rings: BTreeMap<BufferId, Ring>,
}

/// A value of which some rows are held at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// How many.
    pub rows: usize,
    /// Positions in the region of the first and the last step that touch it.
    pub steps: (usize, usize),
    /// No row is needed in a later band than it is made in.
    pub passing: bool,
}

/// Where a value is used.
pub struct Usage {
    /// For each buffer the last layer that reads or writes it; `usize::MAX` for outputs.
    pub last: Vec<usize>,
    /// For each buffer the layer that writes it; `usize::MAX` for inputs and constants.
    pub writer: Vec<usize>,
}

/// Layers as candidates for regions.
pub struct Layers<'a> {
    /// All steps, by layer.
    pub steps: &'a [Vec<Step>],
    /// All buffers.
    pub buffers: &'a [Buffer],
    /// Where they are used.
    pub usage: Usage,
    /// The input of which the rows arrive one by one: the first operand of the first region.
    pub arrives: Option<BufferId>,
}

impl Layers<'_> {
    /// Whether a layer can be part of a region of several bands.
    fn streams(&self, layer: usize) -> bool {
        let [step] = &self.steps[layer][..] else { return false };
        match step.request.rows {
            Rows::Whole => false,
            Rows::Window { .. } | Rows::Accumulate => step.takes_rows() && step.bands.total > 0,
        }
    }

    /// A layer by itself, whole; not when it needs rows that arrive one by one.
    pub fn whole(&self, layer: usize) -> Option<Streamed> {
        let arrives = |step: &Step| step.reads.iter().any(|read| Some(read.buffer) == self.arrives);
        if self.steps[layer].iter().any(arrives) {
            return None;
        }
        let bands = self.steps[layer].iter().map(|step| step.bands).collect();
        Some(Streamed { take: Take::ONE, count: 1, bands, rings: BTreeMap::new() })
    }

    /// The pace of every layer from `start` on, as far as their rows go together.
    pub fn paces(&self, start: usize) -> Vec<Pace> {
        let mut paces: Vec<Pace> = Vec::new();
        let mut source = None;
        for layer in start..self.steps.len() {
            match self.pace(start, &paces, &mut source, layer) {
                Some(pace) => paces.push(pace),
                None => break,
            }
        }
        paces
    }

    /// `source` is the number of rows of the region's first operand.
    fn pace(&self, start: usize, paces: &[Pace], source: &mut Option<usize>, layer: usize) -> Option<Pace> {
        if !self.streams(layer) {
            return None;
        }
        let step = self.steps[layer].first()?;
        let mut pace: Option<Pace> = None;
        for read in &step.reads {
            let writer = self.usage.writer[read.buffer.0];
            let inside = (start..layer).contains(&writer);
            let Access::Window { kernel, stride, dilation, pad, .. } = read.access else {
                if inside || Some(read.buffer) == self.arrives {
                    return None;
                }
                continue;
            };
            let window = [kernel.saturating_sub(1) * dilation + 1, stride, pad];
            let before = if inside {
                if self.steps[writer].first()?.request.rows == Rows::Accumulate {
                    return None;
                }
                paces[writer - start]
            } else if source.is_none() || Some(read.buffer) == self.arrives {
                source.get_or_insert(self.buffers[read.buffer.0].height);
                Pace::SOURCE
            } else {
                continue;
            };
            pace = match pace {
                Some(other) => Some(other.later(before.behind(window))?),
                None => Some(before.behind(window)),
            };
        }
        // A step with no operand from inside, or none that is read by rows, keeps step with the first one.
        let alone = || {
            let own = *source.get_or_insert(step.bands.total);
            Pace { rows: step.bands.total, ahead: 0, per: own.max(1) }
        };
        Some(pace.unwrap_or_else(alone))
    }

    /// The layers as one region in which so many rows are taken in each band.
    pub fn stream(&self, layers: Range<usize>, paces: &[Pace], take: Take) -> Streamed {
        let steps: Vec<&Step> = self.steps[layers.clone()].iter().flatten().collect();
        let bands: Vec<Bands> =
            steps.iter().zip(paces).map(|(step, pace)| pace.bands(take, step.bands.total)).collect();
        let mut count = bands.iter().map(Bands::count).max().unwrap_or(1);
        let mut rings = BTreeMap::new();
        if let Some(input) = self.arrives.filter(|_| layers.start == 0) {
            let arrivals = take.bands(self.buffers[input.0].height);
            count = count.max(arrivals.count());
            rings.extend(self.ring(&steps, &bands, input, (0, &arrivals), (count, layers.end)));
        }
        for (at, step) in steps.iter().enumerate() {
            if step.request.rows != Rows::Accumulate {
                rings.extend(self.ring(&steps, &bands, step.write, (at, &bands[at]), (count, layers.end)));
            }
        }
        Streamed { take, count, bands, rings }
    }

    /// Take so many rows in each band that the last of the layers makes `band` rows at a time, from the first
    /// band on. `None` where that is no whole number of rows.
    pub fn take(&self, pace: Pace, band: usize) -> Option<Take> {
        let rows = band * pace.per;
        let ahead = -pace.ahead;
        (rows.is_multiple_of(pace.rows.max(1)) && ahead.rem_euclid(pace.rows.max(1) as isize) == 0).then(
            || Take { rows: rows / pace.rows.max(1), ahead: (ahead.max(0) as usize) / pace.rows.max(1) },
        )
    }

    /// Rows that a value needs at once; `None` when it must exist whole. `made` is the step that makes it and
    /// the rows that it makes.
    fn ring(
        &self,
        steps: &[&Step],
        bands: &[Bands],
        id: BufferId,
        (at, made): (usize, &Bands),
        (count, end): (usize, usize),
    ) -> Option<(BufferId, Ring)> {
        if self.usage.last[id.0] >= end {
            return None;
        }
        let readers = readers(steps, id)?;
        let (mut rows, mut passing) = (0, true);
        for band in 0..count {
            // Rows that nobody needs are made too, and must not go over those that somebody does.
            let Range { start, end } = made.rows(band);
            rows = rows.max(end - low(&readers, bands, band).min(start));
            passing &= low(&readers, bands, band + 1) >= end;
        }
        let last = readers.last().map_or(at, |reader| reader.step);
        (rows < self.buffers[id.0].height)
            .then_some((id, Ring { rows: rows.max(1), steps: (at, last), passing }))
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
        let consumed = self.usage.last[operand.0] < layers.end
            && !layers.contains(&self.usage.writer[operand.0])
            && steps.len() == layers.len();
        if !consumed || [result, operand].iter().any(|id| streamed.rings.contains_key(id)) {
            return None;
        }
        let writer = steps.iter().position(|step| step.write == result)?;
        if steps[writer].request.rows == Rows::Accumulate {
            return None;
        }
        // Steps in front of the writer have taken their rows of the band already.
        let (before, behind): (Vec<Reader>, Vec<Reader>) =
            readers(&steps, operand)?.into_iter().partition(|reader| reader.step < writer);
        let (out, from) = (&self.buffers[result.0], &self.buffers[operand.0]);
        let mut distance = 0;
        for band in 0..streamed.count {
            let written = streamed.bands[writer].end(band) * out.row_bytes;
            let free = low(&before, &streamed.bands, band + 1).min(low(&behind, &streamed.bands, band));
            if free < from.height {
                distance = distance.max(written.saturating_sub(free * from.row_bytes));
            }
        }
        Some(distance.min(out.bytes()))
    }
}

/// A step that reads a value by rows.
struct Reader {
    step: usize,
    stride: usize,
    pad: usize,
}

/// The steps that read a value; `None` where one needs it whole, or none reads it.
fn readers(steps: &[&Step], id: BufferId) -> Option<Vec<Reader>> {
    let mut readers = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        for read in step.reads.iter().filter(|read| read.buffer == id) {
            let Access::Window { stride, pad, .. } = read.access else { return None };
            readers.push(Reader { step: at, stride, pad });
        }
    }
    (!readers.is_empty()).then_some(readers)
}

/// The lowest row of a value that its readers still need when a band begins.
fn low(readers: &[Reader], bands: &[Bands], band: usize) -> usize {
    let lowest = readers.iter().map(|reader| {
        let of_reader = &bands[reader.step];
        let next = if band == 0 { 0 } else { of_reader.end(band - 1) };
        if next >= of_reader.total { usize::MAX } else { (next * reader.stride).saturating_sub(reader.pad) }
    });
    lowest.min().unwrap_or(usize::MAX)
}
