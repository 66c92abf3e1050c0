//! What holds of a graph in each phase, checked after every pass.
//!
//! Always: operands are complete, types are what the operators infer, there is no cycle, outputs exist.
//! Canonical: nothing is left to fold, repeat or absorb, and activations have their names.
//! Fused: nothing stands alone that the layer before it could do.
//! A violation is a bug of ours, whatever the model.

use super::{Graph, NodeId, Phase};
use crate::error::Fault;
use crate::ops::Op;
use crate::passes;
use petgraph::Direction;

/// Checks a graph that claims to be in a phase.
///
/// # Errors
///
/// The first thing that does not hold, with the node's name.
pub fn check(graph: &Graph, phase: Phase) -> Result<(), Fault> {
    if graph.is_cyclic() {
        return Err(Fault::bug("the graph has a cycle"));
    }
    if let Some((name, _)) = graph.outputs().iter().find(|(_, value)| !graph.contains(*value)) {
        return Err(Fault::bug(format!("output {name} does not exist")));
    }
    if graph.inputs().iter().any(|&input| !graph.contains(input)) {
        return Err(Fault::bug("an input does not exist"));
    }
    for id in graph.order() {
        node(graph, id, phase)
            .map_err(|what| Fault::bug(format!("{} ({}) {what}", graph.name(id), graph.op(id).describe())))?;
    }
    Ok(())
}

fn node(graph: &Graph, id: NodeId, phase: Phase) -> Result<(), String> {
    edges(graph, id)?;
    types(graph, id)?;
    if phase >= Phase::Canonical {
        canonical(graph, id)?;
    }
    if phase >= Phase::Fused {
        fused(graph, id)?;
    }
    Ok(())
}

/// Operand positions are 0, 1, 2, …
fn edges(graph: &Graph, id: NodeId) -> Result<(), String> {
    let mut slots: Vec<usize> =
        graph.nodes.edges_directed(id.0, Direction::Incoming).map(|edge| *edge.weight()).collect();
    slots.sort_unstable();
    match slots.iter().enumerate().all(|(i, &slot)| i == slot) {
        true => Ok(()),
        false => Err(format!("has operands at positions {slots:?}")),
    }
}

fn types(graph: &Graph, id: NodeId) -> Result<(), String> {
    match graph.op(id).infer(&graph.operand_types(id)) {
        Ok(ty) if ty == *graph.ty(id) => Ok(()),
        Ok(ty) => Err(format!("is {}, but its operands make it {ty}", graph.ty(id))),
        Err(fault) => Err(format!("does not fit its operands: {fault}")),
    }
}

fn canonical(graph: &Graph, id: NodeId) -> Result<(), String> {
    if passes::foldable(graph, id) {
        return Err("is constant and was not folded".into());
    }
    if let Some(value) = passes::same_as(graph, id) {
        return Err(format!("only repeats {}", graph.name(value)));
    }
    if matches!(passes::absorbed(graph, id), Some(Ok(_))) {
        return Err("could take in the padding before it".into());
    }
    if let Some((_, activation)) = passes::recognise(graph, id) {
        return Err(format!("spells out {}", activation.describe()));
    }
    Ok(())
}

/// An activation or a summand whose only producer is a layer with room for it.
fn fused(graph: &Graph, id: NodeId) -> Result<(), String> {
    let Some(before) = graph.operand(id, 0).filter(|&n| graph.only_user(n).is_some()) else {
        return Ok(());
    };
    let constant = |slot: usize| graph.operand(before, slot).is_some_and(|n| graph.tensor(n).is_some());
    let plain = match graph.op(before) {
        Op::Conv2d(op) => op.epilogue.is_empty(),
        Op::Depthwise(op) => op.epilogue.is_empty(),
        Op::Dense(op) => op.epilogue.is_empty(),
        _ => false,
    };
    match graph.op(id) {
        Op::Activate(op) if plain => Err(format!("leaves {} to itself", op.activation.describe())),
        Op::Affine(_) if plain && constant(1) && finite(graph, id) => {
            Err("stands behind a layer that could take it in".into())
        }
        _ => Ok(()),
    }
}

/// Whether the numbers of an affine are moderate, so that no weight can leave the range of `f32`.
fn finite(graph: &Graph, id: NodeId) -> bool {
    const MODERATE: f64 = 1e6;
    let moderate =
        |&n: &NodeId| graph.floats(n).is_some_and(|values| values.iter().all(|v| v.abs() < MODERATE));
    graph.operands(id).iter().skip(1).all(moderate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::Net;
    use crate::ops::activation::{Activate, Activation};
    use crate::ops::binary::BinaryOp::{Add, Mul};

    /// What is wrong with a network in a phase; it is a right one in the phase before.
    #[track_caller]
    fn fault(phase: Phase, build: impl FnOnce(&mut Net, NodeId) -> NodeId) -> String {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = build(&mut net, x);
        let graph = net.returns(y);
        let before = if phase == Phase::Fused { Phase::Canonical } else { Phase::Imported };
        assert_eq!(check(&graph, before), Ok(()));
        check(&graph, phase).map_or_else(|fault| fault.message, |()| "nothing".into())
    }

    #[test]
    fn constants_are_folded() {
        let what = fault(Phase::Canonical, |net, x| {
            let (a, b) = (net.scalar(1.0), net.scalar(2.0));
            let sum = net.binary(Add, a, b);
            net.binary(Mul, x, sum)
        });
        insta::assert_snapshot!(what, @"add1 (add) is constant and was not folded");
    }

    #[test]
    fn activations_have_their_names() {
        let what = fault(Phase::Canonical, |net, x| {
            let gate = net.activate(Activation::Sigmoid, x);
            net.binary(Mul, x, gate)
        });
        insta::assert_snapshot!(what, @"mul2 (mul) spells out silu");
    }

    #[test]
    fn transposes_move_something() {
        let what = fault(Phase::Canonical, |net, x| net.transpose(x, [0, 1, 2, 3]));
        insta::assert_snapshot!(what, @"transpose1 (transpose 0,1,2,3) only repeats x");
    }

    #[test]
    fn activations_are_in_epilogues() {
        let what = fault(Phase::Fused, |net, x| {
            let y = net.conv(x, 3, 1, 0);
            net.activate(Activation::RELU, y)
        });
        insta::assert_snapshot!(what, @"act3 (relu) leaves relu to itself");
    }

    #[test]
    fn affines_are_in_weights() {
        let what = fault(Phase::Fused, |net, x| {
            let y = net.conv(x, 3, 1, 0);
            net.affine(y)
        });
        insta::assert_snapshot!(what, @"affine5 (affine) stands behind a layer that could take it in");
    }

    #[test]
    fn nothing_depends_on_itself() {
        let mut net = Net::new();
        let x = net.input(&[1, 4, 4, 3]);
        let y = net.activate(Activation::RELU, x);
        let z = net.activate(Activation::Tanh, y);
        let rewritten = net.graph.rewrite(y, Activate { activation: Activation::RELU }, &[z]);
        assert_eq!(rewritten, Ok(()));
        let found = check(&net.returns(z), Phase::Imported);
        assert_eq!(found, Err(Fault::bug("the graph has a cycle")));
    }
}
