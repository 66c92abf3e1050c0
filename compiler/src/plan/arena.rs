//! Offsets in the arena: which buffers share bytes.
//!
//! Buffers that are alive at a common step must not overlap, except where one follows behind another:
//! a region's result may be written over rows of its operand that were consumed, as long as it stays
//! enough bytes below ([`Overlay`]). Placing rectangles of given width (lifetime) and height (size) in the
//! lowest strip is NP-hard: several first-fit orders are tried and improved by exchanges, and where that
//! leaves a gap to the lower bound, an exact search looks for less within bounded time. Where it comes to its
//! end, what was found is optimal and becomes the bound.

mod exact;

use exact::{Best, Search};

/// A buffer to place.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Size in bytes.
    pub bytes: usize,
    /// First and last step at which it is alive.
    pub live: (usize, usize),
}

/// `below` may overlap `above` when it starts at least `distance` bytes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The item that is written.
    pub below: usize,
    /// The item that is consumed meanwhile.
    pub above: usize,
    /// Least number of bytes from the start of `below` to the start of `above`.
    pub distance: usize,
}

/// Offsets of all items, in their order; the size of the arena; the lower bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Byte offset of each item.
    pub offsets: Vec<usize>,
    /// End of the highest item.
    pub bytes: usize,
    /// No placement is smaller.
    pub lower_bound: usize,
}

/// Exchanges that are tried on the best order.
const EXCHANGES: usize = 4000;

/// Places items at multiples of `align` bytes.
pub fn place(items: &[Item], overlays: &[Overlay], align: usize) -> Placement {
    let problem = Problem::new(items, overlays, align);
    let lower_bound = problem.lower_bound();
    let Some((mut bytes, mut order, mut offsets)) = problem.first() else {
        return Placement { offsets: Vec::new(), bytes: 0, lower_bound: 0 };
    };
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..EXCHANGES {
        if bytes <= lower_bound || items.len() < 3 {
            break;
        }
        let mut other = order.clone();
        // Something that makes the peak is placed earlier, or whatever it stands on later.
        let highest = order.iter().position(|&i| offsets[i] + problem.items[i].bytes == bytes).unwrap_or(0);
        let a = match next(&mut random) % 3 {
            0 => next(&mut random) % items.len(),
            _ => highest,
        };
        let b = next(&mut random) % items.len();
        let moved = other.remove(a);
        other.insert(b, moved);
        let placed = problem.first_fit(&other);
        let end = problem.end(&placed);
        if end <= bytes {
            (bytes, order, offsets) = (end, other, placed);
        }
    }
    if bytes <= lower_bound {
        return Placement { offsets, bytes, lower_bound };
    }
    let mut search = Search::new(&problem, Best { bytes, offsets });
    let complete = search.descend(0);
    let Best { bytes, offsets } = search.best;
    Placement { offsets, bytes, lower_bound: if complete { bytes } else { lower_bound } }
}

/// xorshift64: the same numbers on every host.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 33) as usize
}

fn together(a: (usize, usize), b: (usize, usize)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

struct Problem {
    items: Vec<Item>,
    overlays: Vec<Overlay>,
    align: usize,
}

impl Problem {
    fn new(items: &[Item], overlays: &[Overlay], align: usize) -> Self {
        let items =
            items.iter().map(|item| Item { bytes: item.bytes.next_multiple_of(align), ..*item }).collect();
        let overlays = overlays
            .iter()
            .map(|overlay| Overlay { distance: overlay.distance.next_multiple_of(align), ..*overlay })
            .collect();
        Self { items, overlays, align }
    }

    fn end(&self, offsets: &[usize]) -> usize {
        self.items.iter().zip(offsets).map(|(item, at)| at + item.bytes).max().unwrap_or(0)
    }

    /// The largest sum of sizes alive at one step, where two items that may overlay each other count as
    /// the least that both can occupy.
    fn lower_bound(&self) -> usize {
        let load = |at: usize| {
            let alive = |i: usize| together(self.items[i].live, (at, at));
            let sum: usize =
                self.items.iter().enumerate().filter(|(i, _)| alive(*i)).map(|(_, x)| x.bytes).sum();
            let saved: usize = self
                .overlays
                .iter()
                .filter(|o| alive(o.below) && alive(o.above))
                .map(|o| {
                    let (below, above) = (self.items[o.below].bytes, self.items[o.above].bytes);
                    (below + above).saturating_sub(below.max(o.distance + above))
                })
                .sum();
            sum.saturating_sub(saved)
        };
        let starts = self.items.iter().map(|item| load(item.live.0));
        starts.max().unwrap_or(0)
    }

    /// The best of all first orders: size, order, offsets.
    fn first(&self) -> Option<(usize, Vec<usize>, Vec<usize>)> {
        let placed = self.orders().into_iter().map(|order| {
            let offsets = self.first_fit(&order);
            (self.end(&offsets), order, offsets)
        });
        placed.min_by_key(|(bytes, ..)| *bytes)
    }

    fn orders(&self) -> Vec<Vec<usize>> {
        let by = |key: &dyn Fn(&Item) -> (usize, usize)| {
            let mut order: Vec<usize> = (0..self.items.len()).collect();
            order.sort_by_key(|&i| (key(&self.items[i]), i));
            order
        };
        let span = |item: &Item| item.live.1 - item.live.0 + 1;
        let first = by(&|item| (item.live.0, usize::MAX - item.bytes));
        let mut last = first.clone();
        last.reverse();
        vec![
            by(&|item| (usize::MAX - item.bytes, item.live.0)),
            by(&|item| (usize::MAX - item.bytes.saturating_mul(span(item)), item.live.0)),
            by(&|item| (usize::MAX - span(item), usize::MAX - item.bytes)),
            first,
            last,
        ]
    }

    /// Each item in turn at the lowest offset at which it disturbs none that is placed.
    fn first_fit(&self, order: &[usize]) -> Vec<usize> {
        let mut offsets = vec![0; self.items.len()];
        for (count, &i) in order.iter().enumerate() {
            let mut forbidden: Vec<(usize, usize)> = order[..count]
                .iter()
                .filter(|&&j| together(self.items[i].live, self.items[j].live))
                .map(|&j| self.forbidden(i, j, offsets[j]))
                .collect();
            forbidden.sort_unstable();
            let mut at = 0;
            for (low, high) in forbidden {
                if at >= low && at < high {
                    at = high;
                }
            }
            offsets[i] = at.next_multiple_of(self.align);
        }
        offsets
    }

    /// Offsets `low..high` at which item `i` would disturb item `j` at `at`.
    fn forbidden(&self, i: usize, j: usize, at: usize) -> (usize, usize) {
        let low = |bytes: usize| (at + 1).saturating_sub(bytes);
        let behind = self.overlays.iter().find(|o| o.below == i && o.above == j);
        let ahead = self.overlays.iter().find(|o| o.below == j && o.above == i);
        match (behind, ahead) {
            (Some(overlay), _) => (low(self.items[i].bytes.min(overlay.distance)), at + self.items[j].bytes),
            (None, Some(overlay)) => {
                (low(self.items[i].bytes), at + self.items[j].bytes.min(overlay.distance))
            }
            (None, None) => (low(self.items[i].bytes), at + self.items[j].bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_that_live_together_do_not_overlap(
            items in proptest::collection::vec((1_usize..500, 0_usize..20, 0_usize..6), 1..30)
        ) {
            let items: Vec<Item> =
                items.into_iter().map(|(bytes, at, span)| Item { bytes, live: (at, at + span) }).collect();
            let placement = place(&items, &[], 16);
            prop_assert!(placement.bytes >= placement.lower_bound);
            for (i, a) in items.iter().enumerate() {
                prop_assert_eq!(placement.offsets[i] % 16, 0);
                for (j, b) in items.iter().enumerate().skip(i + 1) {
                    let (p, q) = (placement.offsets[i], placement.offsets[j]);
                    prop_assert!(!together(a.live, b.live) || p + a.bytes <= q || q + b.bytes <= p);
                }
            }
        }
    }

    /// Whether two items keep apart, or follow one another as they may.
    fn fits(items: &[Item], overlays: &[Overlay], offsets: &[usize]) -> bool {
        let pair = |i: usize, j: usize| {
            let (a, b) = (offsets[i], offsets[j]);
            let follows = overlays.iter().any(|o| o.below == i && o.above == j && a + o.distance <= b);
            follows || a + items[i].bytes <= b
        };
        (0..items.len()).all(|i| {
            (i + 1..items.len()).all(|j| !together(items[i].live, items[j].live) || pair(i, j) || pair(j, i))
        })
    }

    /// The least end of all placements, tried one by one.
    fn least(items: &[Item], overlays: &[Overlay]) -> usize {
        let (mut least, limit) = (items.iter().map(|item| item.bytes).sum::<usize>(), 10_usize);
        let count = limit.pow(items.len() as u32);
        for number in 0..count {
            let offsets: Vec<usize> =
                (0..items.len()).map(|i| number / limit.pow(i as u32) % limit).collect();
            let end = items.iter().zip(&offsets).map(|(item, at)| at + item.bytes).max().unwrap_or(0);
            if end < least && fits(items, overlays, &offsets) {
                least = end;
            }
        }
        least
    }

    proptest! {
        #[test]
        fn what_meets_the_bound_is_optimal_and_small_problems_do(
            items in proptest::collection::vec((1_usize..4, 0_usize..4, 0_usize..3), 2..5),
            (below, above, distance) in (0_usize..5, 0_usize..5, 0_usize..4)
        ) {
            let items: Vec<Item> =
                items.into_iter().map(|(bytes, at, span)| Item { bytes, live: (at, at + span) }).collect();
            let valid = below != above && below.max(above) < items.len();
            let overlays: Vec<Overlay> = valid.then_some(Overlay { below, above, distance }).into_iter().collect();
            let placement = place(&items, &overlays, 1);
            prop_assert!(fits(&items, &overlays, &placement.offsets));
            prop_assert_eq!(placement.bytes, placement.lower_bound);
            prop_assert_eq!(placement.bytes, least(&items, &overlays));
        }
    }

    fn chain(sizes: &[usize]) -> Vec<Item> {
        sizes.iter().enumerate().map(|(i, &bytes)| Item { bytes, live: (i, i + 1) }).collect()
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let placement = place(&chain(&[10, 40, 20, 5]), &[], 1);
        assert_eq!((placement.bytes, placement.lower_bound), (60, 60));
    }

    #[test]
    fn a_result_that_follows_its_operand_needs_the_distance_only() {
        let overlays = [Overlay { below: 1, above: 0, distance: 8 }];
        let placement = place(&chain(&[40, 40]), &overlays, 1);
        assert_eq!(placement.bytes, 48);
        assert!(placement.offsets[0] >= placement.offsets[1] + 8);
    }
}
