//! Layout: fused graph → laid-out graph, the one that is planned.
//!
//! A picture in NCHW is read by the first convolution as it lies, where the convolution's sums are short: the
//! transpose goes. Elsewhere a transposed copy is made once and read often.

use crate::error::Fault;
use crate::graph::{Graph, NodeId, Phase, verify};
use crate::ops::Op;
use crate::ops::planar_conv2d::{INWARD, PlanarConv2d};

/// Elements of a sum that the kernels for planes take.
const DEPTH: usize = 256;

/// Lays a fused graph out.
///
/// # Errors
///
/// Only bugs.
pub fn lay_out(graph: &mut Graph) -> Result<(), Fault> {
    for id in graph.order() {
        if graph.contains(id) {
            read_planes(graph, id)?;
        }
    }
    graph.sweep();
    verify::check(graph, Phase::LaidOut)
}

/// conv2d(transpose(input)) → planar conv2d(input)
fn read_planes(graph: &mut Graph, id: NodeId) -> Result<(), Fault> {
    let Op::Conv2d(conv) = graph.op(id) else { return Ok(()) };
    let operands = graph.operands(id);
    let depth: usize = graph.ty(operands[1]).shape.iter().skip(1).product();
    if conv.groups != 1 || depth > DEPTH {
        return Ok(());
    }
    let Op::Transpose(transpose) = graph.op(operands[0]) else { return Ok(()) };
    let planes = graph.operands(operands[0])[0];
    let whole = graph.inputs().contains(&planes) && graph.ty(planes).shape.first() == Some(&1);
    if !whole || transpose.permutation != INWARD {
        return Ok(());
    }
    let op = PlanarConv2d { conv: conv.clone() };
    let mut operands = operands;
    operands[0] = planes;
    graph.rewrite(id, op, &operands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::{Net, assert_same};

    fn laid_out(graph: &Graph) -> Graph {
        let mut after = graph.clone();
        lay_out(&mut after).unwrap();
        assert_same(graph, &after);
        after
    }

    #[test]
    fn the_first_convolution_reads_planes() {
        let mut net = Net::new();
        let x = net.input(&[1, 3, 6, 6]);
        let x = net.transpose(x, INWARD);
        let y = net.conv(x, 4, 3, 1);
        insta::assert_snapshot!(laid_out(&net.returns(y)).text(), @r"
        %0 f32[1,3,6,6] = input()                                       x
        %1 f32[1,6,6,4] = planar conv2d 3x3 p1(%0, f32[4,3,3,3] #9878)  conv3
        return %1 as y
        ");
    }

    #[test]
    fn a_copy_is_made_where_sums_are_deep_or_the_input_is_no_picture() {
        let mut net = Net::new();
        let x = net.input(&[1, 40, 6, 6]);
        let x = net.transpose(x, INWARD);
        let y = net.conv(x, 4, 3, 1);
        assert!(laid_out(&net.returns(y)).text().contains("transpose"));
    }
}
