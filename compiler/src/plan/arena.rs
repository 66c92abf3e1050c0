//! Offsets in the arena: which buffers share bytes.
//!
//! Buffers that are alive in a common region must not overlap; everything else may. Placing rectangles of
//! given width (lifetime) and height (size) in the lowest strip is NP-hard; several first-fit orders are
//! tried, the best is kept, and the lower bound is reported beside it. When the best meets the bound,
//! which it mostly does, it is optimal.

/// A buffer to place.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Size in bytes.
    pub bytes: usize,
    /// First and last region in which it is alive.
    pub live: (usize, usize),
}

/// Offsets of all items, in their order; the size of the arena; the lower bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Byte offset of each item.
    pub offsets: Vec<usize>,
    /// End of the highest item.
    pub bytes: usize,
    /// The largest sum of sizes alive in one region.
    pub lower_bound: usize,
}

/// Places items at multiples of `align` bytes.
pub fn place(items: &[Item], align: usize) -> Placement {
    let sized: Vec<Item> =
        items.iter().map(|item| Item { bytes: item.bytes.next_multiple_of(align), ..*item }).collect();
    let lower_bound = lower_bound(&sized);
    let mut best: Option<(usize, Vec<usize>)> = None;
    for order in orders(&sized) {
        let offsets = first_fit(&sized, &order);
        let bytes = sized.iter().zip(&offsets).map(|(item, at)| at + item.bytes).max().unwrap_or(0);
        if best.as_ref().is_none_or(|(least, _)| bytes < *least) {
            best = Some((bytes, offsets));
        }
        if bytes == lower_bound {
            break;
        }
    }
    let (bytes, offsets) = best.unwrap_or_default();
    Placement { offsets, bytes, lower_bound }
}

fn overlap(a: (usize, usize), b: (usize, usize)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

fn lower_bound(items: &[Item]) -> usize {
    let load = |at: usize| items.iter().filter(|i| overlap(i.live, (at, at))).map(|i| i.bytes).sum();
    items.iter().map(|item| load(item.live.0)).max().unwrap_or(0)
}

fn orders(items: &[Item]) -> Vec<Vec<usize>> {
    let by = |key: &dyn Fn(&Item) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|&i| (key(&items[i]), i));
        order
    };
    let span = |item: &Item| item.live.1 - item.live.0 + 1;
    vec![
        by(&|item| (usize::MAX - item.bytes, item.live.0)),
        by(&|item| (usize::MAX - item.bytes.saturating_mul(span(item)), item.live.0)),
        by(&|item| (usize::MAX - span(item), usize::MAX - item.bytes)),
        by(&|item| (item.live.0, usize::MAX - item.bytes)),
    ]
}

/// Each item in turn at the lowest offset that is free throughout its life.
fn first_fit(items: &[Item], order: &[usize]) -> Vec<usize> {
    let mut offsets = vec![0; items.len()];
    let mut placed: Vec<usize> = Vec::new();
    for &i in order {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| overlap(items[i].live, items[j].live))
            .map(|&j| (offsets[j], offsets[j] + items[j].bytes))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (start, end) in taken {
            if at + items[i].bytes <= start {
                break;
            }
            at = at.max(end);
        }
        offsets[i] = at;
        placed.push(i);
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_that_live_together_do_not_overlap(
            items in proptest::collection::vec((1_usize..500, 0_usize..20, 0_usize..6), 1..40)
        ) {
            let items: Vec<Item> =
                items.into_iter().map(|(bytes, at, span)| Item { bytes, live: (at, at + span) }).collect();
            let placement = place(&items, 16);
            prop_assert!(placement.bytes >= placement.lower_bound);
            for (i, a) in items.iter().enumerate() {
                prop_assert_eq!(placement.offsets[i] % 16, 0);
                for (j, b) in items.iter().enumerate().skip(i + 1) {
                    let (p, q) = (placement.offsets[i], placement.offsets[j]);
                    prop_assert!(!overlap(a.live, b.live) || p + a.bytes <= q || q + b.bytes <= p);
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let items: Vec<Item> =
            [10, 40, 20, 5].iter().enumerate().map(|(i, &bytes)| Item { bytes, live: (i, i + 1) }).collect();
        let placement = place(&items, 1);
        assert_eq!((placement.bytes, placement.lower_bound), (60, 60));
    }
}
