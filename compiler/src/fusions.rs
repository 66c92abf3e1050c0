//! Fusions: canonical graph → fused graph, in which each layer is one node.
//!
//! A fusion is a name, a pattern written as a formula, and a function that fuses at one node or says why
//! it does not. The order below is their priority; the list is repeated until nothing fires. A refusal is
//! reported with its last reason, unless the same nodes were fused after all. Afterwards
//! [`Phase::Fused`] holds.
//!
//! Before all of them, what is quantised becomes integer operators ([`quantized`]).

mod activation;
mod affine_after_conv;
mod affine_before_conv;
mod bias;
mod channel_scale;
pub(crate) mod linear;
pub mod quantized;
mod residual;
mod squeeze_excite;

use crate::error::Fault;
use crate::graph::{Graph, NodeId, Phase, verify};
use crate::passes;
use std::fmt;

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was fused.
    Fired,
    /// It was not, for this reason.
    Refused(String),
}

/// A candidate for a fusion, by name, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The fusion's name.
    pub fusion: &'static str,
    /// Names of the nodes, values before their users.
    pub nodes: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Note {
    /// Whether two notes are about the same candidate.
    fn is_about(&self, other: &Self) -> bool {
        self.fusion == other.fusion && self.nodes == other.nodes
    }

    /// A candidate that was fused.
    pub fn fired(fusion: &'static str, graph: &Graph, nodes: &[NodeId]) -> Self {
        Self { fusion, nodes: names(graph, nodes), outcome: Outcome::Fired }
    }

    /// A candidate that was not, and why.
    pub fn refused(fusion: &'static str, graph: &Graph, nodes: &[NodeId], reason: impl Into<String>) -> Self {
        Self { fusion, nodes: names(graph, nodes), outcome: Outcome::Refused(reason.into()) }
    }
}

impl fmt::Display for Note {
    /// `residual: conv2, add` or `residual refused: conv2, add: conv2 has other users`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.join(", ");
        match &self.outcome {
            Outcome::Fired => write!(f, "{}: {nodes}", self.fusion),
            Outcome::Refused(reason) => write!(f, "{} refused: {nodes}: {reason}", self.fusion),
        }
    }
}

fn names(graph: &Graph, nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(|&n| graph.name(n).to_owned()).collect()
}

/// Fuses at a node, or says why not. `None` where the pattern does not match.
type Apply = fn(&mut Graph, NodeId) -> Result<Option<Note>, Fault>;

/// A fusion.
pub struct Fusion {
    /// Its name, in notes.
    pub name: &'static str,
    /// What becomes what.
    pub pattern: &'static str,
    apply: Apply,
}

/// All fusions, by priority.
#[rustfmt::skip]
pub const ALL: &[Fusion] = &[
    Fusion { name: bias::NAME,               pattern: bias::PATTERN,               apply: bias::apply },
    Fusion { name: affine_after_conv::NAME,  pattern: affine_after_conv::PATTERN,  apply: affine_after_conv::apply },
    Fusion { name: affine_before_conv::NAME, pattern: affine_before_conv::PATTERN, apply: affine_before_conv::apply },
    Fusion { name: squeeze_excite::NAME,     pattern: squeeze_excite::PATTERN,     apply: squeeze_excite::apply },
    Fusion { name: channel_scale::NAME,      pattern: channel_scale::PATTERN,      apply: channel_scale::apply },
    Fusion { name: activation::NAME,         pattern: activation::PATTERN,         apply: activation::apply },
    Fusion { name: residual::NAME,           pattern: residual::PATTERN,           apply: residual::apply },
];

/// Fuses a canonical graph; the notes say of each candidate what became of it.
///
/// # Errors
///
/// Only bugs: a fusion that breaks an invariant.
pub fn fuse(graph: &mut Graph) -> Result<Vec<Note>, Fault> {
    let mut fired = Vec::new();
    let mut refused: Vec<Note> = Vec::new();
    loop {
        let notes = round(graph)?;
        refused.retain(|old| !notes.iter().any(|new| new.is_about(old)));
        let before = fired.len();
        for note in notes {
            if note.outcome == Outcome::Fired { fired.push(note) } else { refused.push(note) }
        }
        if fired.len() == before {
            break;
        }
    }
    // An affine that went away may have stood between a padding and its window.
    passes::absorb(graph)?;
    passes::drop_zeros(graph)?;
    verify::check(graph, Phase::Fused)?;
    fired.extend(refused);
    Ok(fired)
}

/// Every fusion once at every node. Each one that fires takes a node away, so rounds come to an end.
fn round(graph: &mut Graph) -> Result<Vec<Note>, Fault> {
    let mut notes = Vec::new();
    for fusion in ALL {
        for id in graph.order() {
            if graph.contains(id) {
                notes.extend((fusion.apply)(graph, id)?);
            }
        }
        if cfg!(debug_assertions) {
            let blame = |fault: Fault| Fault::bug(format!("fusion {}: {fault}", fusion.name));
            verify::check(graph, Phase::Imported).map_err(blame)?;
        }
    }
    Ok(notes)
}
