//! One spelling for pooling over a whole map: [`GlobalPool`].

use super::each;
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::affine::Affine;
use crate::ops::global_pool::GlobalPool;
use crate::ops::pool::{Pool2d, Pooling};
use crate::ops::reduce::{Reduce, ReduceOp};
use crate::ops::reshape::Reshape;
use crate::tensor::DType;

/// Rewrites reductions and windows that cover the map.
pub fn unify(graph: &mut Graph) -> Result<bool, Fault> {
    each(graph, |graph, id| {
        Ok(merge_reductions(graph, id)? || whole_map(graph, id)? || affine_behind(graph, id)?)
    })
}

/// `reduce(reduce(x, a), b) → reduce(x, a ∪ b)`, where both keep their axes.
fn merge_reductions(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Op::Reduce(outer) = graph.op(id) else { return Ok(false) };
    let Some(value) = graph.operand(id, 0) else { return Ok(false) };
    let (Op::Reduce(inner), Some(x)) = (graph.op(value), graph.operand(value, 0)) else { return Ok(false) };
    let mut axes: Vec<usize> = inner.axes.iter().chain(&outer.axes).copied().collect();
    axes.sort_unstable();
    let neighbours = axes.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    if inner.op != outer.op || !inner.keep || !neighbours {
        return Ok(false);
    }
    let op = Reduce { op: outer.op, axes, keep: true };
    let new = graph.add_like(id, op, &[x])?;
    replace_reshaped(graph, id, new)
}

/// Replaces a node by one of as many elements.
fn replace_reshaped(graph: &mut Graph, id: NodeId, mut new: NodeId) -> Result<bool, Fault> {
    if graph.ty(new) != graph.ty(id) {
        let shape = graph.ty(id).shape.clone();
        new = graph.add_like(id, Reshape { shape }, &[new])?;
    }
    graph.substitute(id, new);
    Ok(true)
}

fn whole_map(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Some(max) = covers_map(graph, id) else { return Ok(false) };
    let Some(x) = graph.operand(id, 0) else { return Ok(false) };
    let new = graph.add_like(id, GlobalPool { max }, &[x])?;
    replace_reshaped(graph, id, new)
}

/// Whether a node pools all of `[N,H,W,C]` over H and W, and if so, whether by maximum.
fn covers_map(graph: &Graph, id: NodeId) -> Option<bool> {
    let x = graph.operand(id, 0)?;
    let [_, height, width, _] = graph.ty(x).shape[..] else { return None };
    if graph.ty(x).dtype != DType::F32 {
        return None;
    }
    match graph.op(id) {
        Op::Reduce(op) if op.axes == [1, 2] => match op.op {
            ReduceOp::Mean => Some(false),
            ReduceOp::Max => Some(true),
            ReduceOp::Sum | ReduceOp::Min | ReduceOp::Product => None,
        },
        Op::Pool2d(op) => window_covers(op, [height, width]).then_some(op.pooling == Pooling::Max),
        _ => None,
    }
}

/// Whether the one window of a pool holds the whole map and nothing else is counted.
fn window_covers(op: &Pool2d, map: [usize; 2]) -> bool {
    let window = &op.window;
    let inside = |axis: usize| {
        let reach = window.kernel[axis].saturating_sub(window.pad[axis]);
        window.dilation[axis] == 1 && reach >= map[axis]
    };
    let padding_counts = op.pooling == Pooling::AveragePadded && window.pad != [0; 4];
    let exact = window.kernel == map && window.pad == [0; 4];
    (exact || inside(0) && inside(1) && !padding_counts) && window.output(map).ok() == Some([1, 1])
}

/// `mean(affine(x)) → affine(mean(x))`, on one pixel instead of all.
fn affine_behind(graph: &mut Graph, id: NodeId) -> Result<bool, Fault> {
    let Op::GlobalPool(GlobalPool { max: false }) = graph.op(id) else { return Ok(false) };
    let Some(affine) = graph.operand(id, 0) else { return Ok(false) };
    let plain =
        matches!(graph.op(affine), Op::Affine(op) if *op == Affine { activation: Default::default() });
    let [x, scale, shift] = graph.operands(affine)[..] else { return Ok(false) };
    if !plain || graph.only_user(affine).is_none() {
        return Ok(false);
    }
    let op = graph.op(affine).clone();
    let pooled = graph.add_like(id, GlobalPool { max: false }, &[x])?;
    let new = graph.add_like(affine, op, &[pooled, scale, shift])?;
    graph.substitute(id, new);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, canonical};
    use crate::ops::window::Window;

    #[track_caller]
    fn check(op: impl Into<Op>, expected: &str) {
        let mut net = Net::new();
        let x = net.input(&[2, 5, 5, 3]);
        let y = net.op("pool", op, &[x]);
        let graph = canonical(&net.returns(y));
        let texts: Vec<String> = graph.order().iter().skip(1).map(|&id| graph.op(id).describe()).collect();
        assert_eq!(texts.join(" "), expected);
    }

    fn pool(kernel: usize, pad: usize, pooling: Pooling) -> Pool2d {
        Pool2d { window: Window { kernel: [kernel; 2], pad: [pad; 4], ..Window::POINT }, pooling }
    }

    #[test]
    fn reductions_over_rows_and_columns() {
        check(Reduce { op: ReduceOp::Mean, axes: vec![1, 2], keep: true }, "global_average_pool");
        check(Reduce { op: ReduceOp::Max, axes: vec![1, 2], keep: false }, "global_max_pool reshape");
    }

    #[test]
    fn windows_of_the_whole_map() {
        check(pool(5, 0, Pooling::Average), "global_average_pool");
        check(pool(5, 0, Pooling::AveragePadded), "global_average_pool");
        check(pool(5, 0, Pooling::Max), "global_max_pool");
    }

    #[test]
    fn a_window_beyond_the_map_that_does_not_count_the_padding() {
        let wide =
            |pooling| Pool2d { window: Window { kernel: [9; 2], pad: [2; 4], ..Window::POINT }, pooling };
        check(wide(Pooling::Average), "global_average_pool");
        check(wide(Pooling::AveragePadded), &Op::from(wide(Pooling::AveragePadded)).describe());
    }

    #[test]
    fn one_axis_after_the_other() {
        let mut net = Net::new();
        let x = net.input(&[2, 5, 5, 3]);
        let rows = net.op("rows", Reduce { op: ReduceOp::Mean, axes: vec![2], keep: true }, &[x]);
        let y = net.op("columns", Reduce { op: ReduceOp::Mean, axes: vec![1], keep: true }, &[rows]);
        insta::assert_snapshot!(canonical(&net.returns(y)).text(), @r"
        %0 f32[2,5,5,3] = input()                  x
        %1 f32[2,1,1,3] = global_average_pool(%0)  columns
        return %1 as y
        ");
    }
}
