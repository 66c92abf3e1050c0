//! Branch and bound: items are placed in ascending order of their offsets, each on top of those that it would
//! disturb. Some order of these is optimal, so a search that comes to its end proves what it found.

use super::{Problem, together};

/// The best placement so far.
pub(super) struct Best {
    pub(super) bytes: usize,
    pub(super) offsets: Vec<usize>,
}

/// See the [module documentation](self).
pub(super) struct Search<'a> {
    problem: &'a Problem,
    /// For each pair, bytes from the start of the first to the start of the second at least, when the first
    /// lies lower; `None` where they may lie anywhere.
    apart: Vec<Vec<Option<usize>>>,
    /// Where each item that is not placed may start at the lowest, given those that are.
    lowest: Vec<usize>,
    placed: Vec<Option<usize>>,
    pub(super) best: Best,
    nodes: usize,
}

/// Items that are placed in all before the exact search gives up.
const NODES: usize = 20_000;

impl<'a> Search<'a> {
    pub(super) fn new(problem: &'a Problem, best: Best) -> Self {
        let count = problem.items.len();
        let apart = |i: usize, j: usize| {
            let (below, above) = (problem.items[i], problem.items[j]);
            let follows = problem.overlays.iter().find(|o| o.below == i && o.above == j);
            let distance = follows.map_or(below.bytes, |o| o.distance.min(below.bytes));
            (i != j && together(below.live, above.live)).then_some(distance)
        };
        let apart = (0..count).map(|i| (0..count).map(|j| apart(i, j)).collect()).collect();
        Self { problem, apart, lowest: vec![0; count], placed: vec![None; count], best, nodes: 0 }
    }

    /// Places the rest, none of it below `floor`. Answers whether everything was looked at.
    pub(super) fn descend(&mut self, floor: usize) -> bool {
        let mut rest: Vec<usize> = (0..self.placed.len()).filter(|&i| self.placed[i].is_none()).collect();
        if rest.is_empty() {
            let offsets: Vec<usize> = self.placed.iter().map(|at| at.unwrap_or(0)).collect();
            self.best = Best { bytes: self.problem.end(&offsets), offsets };
            return true;
        }
        let end = |search: &Self, i: usize| search.lowest[i].max(floor) + search.problem.items[i].bytes;
        if rest.iter().any(|&i| end(self, i) >= self.best.bytes) {
            return true;
        }
        rest.sort_by_key(|&i| (self.lowest[i].max(floor), usize::MAX - self.problem.items[i].bytes));
        for i in rest {
            self.nodes += 1;
            if self.nodes > NODES {
                return false;
            }
            // Below the floor it would have been placed earlier; something else may still lift it.
            let at = self.lowest[i];
            if at < floor {
                continue;
            }
            let before = self.lowest.clone();
            self.placed[i] = Some(at);
            for j in 0..self.lowest.len() {
                if let Some(distance) = self.apart[i][j] {
                    self.lowest[j] = self.lowest[j].max(at + distance);
                }
            }
            let complete = self.descend(at);
            self.placed[i] = None;
            self.lowest = before;
            if !complete {
                return false;
            }
        }
        true
    }
}
