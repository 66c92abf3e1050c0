//! Canonicalisation: imported graph → canonical graph, in which everything has one spelling.
//!
//! A pass is a plain function that says whether it changed the graph. Three stages, each repeated until
//! none of its passes changes anything:
//! 1. constants folded, no-ops and duplicates gone, activations recognised, transposes sunk;
//! 2. transposes that stand behind elementwise preprocessing moved up to the inputs;
//! 3. what needs NHWC in sight: scale and shift per channel, pools, dense layers, padding.
//!
//! Afterwards [`Phase::Canonical`] holds. The order of passes and of nodes within a pass is fixed, so
//! equal models become equal graphs.

mod affine;
mod bias;
mod codes;
mod dense;
mod duplicates;
mod entry;
mod fold;
mod layout;
mod noop;
mod pad;
mod pooling;
mod reshape;
mod slices;
mod spelling;
#[cfg(test)]
mod tests;
mod transposes;

use crate::error::Fault;
use crate::fusions::Note;
use crate::graph::{Graph, NodeId, Phase, verify};
pub(crate) use affine::Channels;
pub(crate) use bias::drop_zeros;
pub(crate) use fold::foldable;
pub use layout::lay_out;
pub(crate) use noop::same_as;
pub(crate) use pad::{absorb, absorbed};
pub(crate) use spelling::recognise;

/// Changes a graph without changing what it computes; says whether it did.
pub type Pass = fn(&mut Graph) -> Result<bool, Fault>;

/// Stages of canonicalisation, each a list of named passes.
#[rustfmt::skip]
const STAGES: [&[(&str, Pass)]; 3] = [
    &[
        ("fold",       fold::fold),
        ("noop",       noop::remove),
        ("codes",      codes::unify),
        ("duplicates", duplicates::merge),
        ("spelling",   spelling::unify),
        ("slices",     slices::past_concat),
        ("transposes", transposes::sink),
        ("reshape",    reshape::simplify),
    ],
    &[
        ("entry",      entry::hoist),
    ],
    &[
        ("fold",       fold::fold),
        ("noop",       noop::remove),
        ("codes",      codes::unify),
        ("duplicates", duplicates::merge),
        ("spelling",   spelling::unify),
        ("reshape",    reshape::simplify),
        ("pooling",    pooling::unify),
        ("dense",      dense::unify),
        ("pad",        absorb),
        ("affine",     affine::unify),
    ],
];

/// Rounds after which a stage is taken to go in circles; real models need fewer than ten.
const ROUNDS: usize = 200;

/// Brings an imported graph into canonical form. The notes say which candidates were refused, and why.
///
/// # Errors
///
/// Only bugs: a pass that breaks an invariant.
pub fn canonicalize(graph: &mut Graph) -> Result<Vec<Note>, Fault> {
    graph.sweep();
    for stage in STAGES {
        fixed_point(graph, stage)?;
    }
    verify::check(graph, Phase::Canonical)?;
    Ok(pad::refusals(graph))
}

fn fixed_point(graph: &mut Graph, passes: &[(&str, Pass)]) -> Result<(), Fault> {
    for _ in 0..ROUNDS {
        let mut changed = false;
        for (name, pass) in passes {
            changed |= run(graph, name, *pass)?;
        }
        if !changed {
            return Ok(());
        }
    }
    Err(Fault::bug(format!("passes of {} still change it after {ROUNDS} rounds", graph.name)))
}

fn run(graph: &mut Graph, name: &str, pass: Pass) -> Result<bool, Fault> {
    let blame = |fault: Fault| Fault::bug(format!("pass {name}: {fault}"));
    let changed = pass(graph).map_err(blame)?;
    graph.sweep();
    if cfg!(debug_assertions) && changed {
        verify::check(graph, Phase::Imported).map_err(blame)?;
    }
    Ok(changed)
}

/// Offers every node to `rewrite`, values before their users; says whether any was rewritten.
fn each(
    graph: &mut Graph,
    rewrite: impl Fn(&mut Graph, NodeId) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    let mut changed = false;
    for id in graph.order() {
        if graph.contains(id) {
            changed |= rewrite(graph, id)?;
        }
    }
    Ok(changed)
}
