//! Transposes below reshapes: `Reshape(T(x)) → T'(Reshape'(x))` where the reshape splits or merges only
//! dimensions that are neighbours in `x` too.

use super::permutation::{between, moves_only_ones};
use super::{Sunk, transposed};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::reshape::Reshape;

/// A run of the transpose's dimensions, by `x`'s numbers, and the run of the result's dimensions that
/// holds the same elements.
struct Block {
    source: Vec<usize>,
    target: Vec<usize>,
}

/// See the [module documentation](self).
pub(super) fn sunk(graph: &Graph, id: NodeId) -> Option<Sunk> {
    let Op::Reshape(Reshape { shape: target }) = graph.op(id) else { return None };
    let (x, p) = transposed(graph, graph.operand(id, 0)?)?;
    let wanted: Vec<usize> = (0..target.len()).collect();
    let given = match moves_only_ones(&p, &graph.ty(x).shape) {
        true => wanted.clone(),
        false => dims_above(&p, &graph.ty(x).shape, target)?,
    };
    let permutation = between(&given, &wanted)?;
    let shape = given.iter().filter_map(|&n| target.get(n).copied()).collect();
    Some(Sunk { op: Reshape { shape }.into(), operands: vec![x], permutation })
}

/// The result's dimensions in the order that their elements have in `x`.
fn dims_above(p: &[usize], source: &[usize], target: &[usize]) -> Option<Vec<usize>> {
    let mut blocks = blocks(p, source, target)?;
    if !blocks.iter().all(|block| is_run(&block.source, source)) {
        return None;
    }
    let leading_ones = target.iter().take_while(|&&d| d == 1).count();
    place_ones(&mut blocks, target, leading_ones);
    blocks.sort_by_key(|block| block.source.first().copied());
    Some((0..leading_ones).chain(blocks.into_iter().flat_map(|block| block.target)).collect())
}

/// Splits both shapes, without dimensions of length 1, into the shortest runs of equal products.
fn blocks(p: &[usize], source: &[usize], target: &[usize]) -> Option<Vec<Block>> {
    let size = |shape: &[usize], n: usize| shape.get(n).copied().unwrap_or(1);
    let mut left = p.iter().copied().filter(|&n| size(source, n) != 1);
    let mut right = (0..target.len()).filter(|&n| size(target, n) != 1);
    let mut blocks = Vec::new();
    while let Some(first) = left.next() {
        let mut block = Block { source: vec![first], target: vec![right.next()?] };
        let (mut read, mut written) = (size(source, first), size(target, *block.target.first()?));
        while read != written {
            if read < written {
                let n = left.next()?;
                block.source.push(n);
                read = read.checked_mul(size(source, n))?;
            } else {
                let n = right.next()?;
                block.target.push(n);
                written = written.checked_mul(size(target, n))?;
            }
        }
        blocks.push(block);
    }
    right.next().is_none().then_some(blocks)
}

/// Puts each dimension of length 1 behind its neighbour on the left, but for the leading ones.
fn place_ones(blocks: &mut [Block], target: &[usize], leading_ones: usize) {
    for (n, _) in target.iter().enumerate().skip(leading_ones).filter(|&(_, &d)| d == 1) {
        if let Some(block) = blocks.iter_mut().find(|block| block.target.contains(&(n - 1))) {
            block.target.push(n);
            block.target.sort_unstable();
        }
    }
}

/// Whether dimensions are neighbours in `shape`, those of length 1 aside.
fn is_run(dims: &[usize], shape: &[usize]) -> bool {
    let skips_ones = |a: usize, b: usize| shape.iter().take(b).skip(a + 1).all(|&d| d == 1);
    dims.windows(2).all(|pair| pair[0] < pair[1] && skips_ones(pair[0], pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_NCHW: [usize; 4] = [0, 3, 1, 2];

    #[test]
    fn heads_split_off_channels() {
        // [2,49,h·d] behind [2,h·d,7,7] → [2,h,d,49]
        let dims = dims_above(&TO_NCHW, &[2, 7, 7, 32], &[2, 4, 8, 49]);
        assert_eq!(dims, Some(vec![0, 3, 1, 2]));
    }

    #[test]
    fn leading_one_stays_in_front() {
        assert_eq!(dims_above(&TO_NCHW, &[1, 7, 7, 32], &[1, 32, 49]), Some(vec![0, 2, 1]));
    }

    #[test]
    fn flattening_a_map_mixes_channels_and_positions() {
        assert_eq!(dims_above(&TO_NCHW, &[1, 7, 7, 32], &[1, 32 * 49]), None);
    }
}
