//! Which nodes the results need, and an order in which they can be imported.
//!
//! A model must list its nodes in such an order, but not all tools keep to it.

use super::model::Model;
use super::origin::{name, shown};
use super::proto::{GraphProto, NodeProto};
use crate::error::{Fault, Problem};
use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Node that makes a value, by the value's name.
pub type Makers<'a> = BTreeMap<&'a str, usize>;

/// Who makes each value.
///
/// # Errors
///
/// Two values of one name.
pub fn makers(model: &Model) -> Result<Makers<'_>, Vec<Problem>> {
    let graph = &model.graph;
    let mut makers = Makers::new();
    let mut problems = twice("input", graph.input.iter().map(|value| &value.name));
    problems.extend(twice("initializer", graph.initializer.iter().map(|tensor| &tensor.name)));
    problems.extend(twice("output", graph.output.iter().map(|value| &value.name)));
    let given: BTreeSet<&str> = given(graph).collect();
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if makers.insert(output, index).is_some() || given.contains(output.as_str()) {
                let fault = Fault::model(format!("there is another value {}", shown(output)));
                problems.push(model.problem(node, fault));
            }
        }
    }
    if problems.is_empty() { Ok(makers) } else { Err(problems) }
}

/// Names of values that no node makes: inputs and initializers.
pub fn given(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let tensors = graph.initializer.iter().chain(sparse).map(|tensor| tensor.name.as_str());
    graph.input.iter().map(|value| value.name.as_str()).chain(tensors)
}

fn twice<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = names.filter(|name| !seen.insert(*name));
    again.map(|name| Problem::whole(Fault::model(format!("there are two {what}s {}", shown(name))))).collect()
}

/// Values that `nodes` or `results` read.
pub fn used<'a>(graph: &'a GraphProto, nodes: &[usize], results: &[&'a str]) -> BTreeSet<&'a str> {
    let operands = nodes.iter().flat_map(|&index| &graph.node[index].input).map(String::as_str);
    operands.chain(results.iter().copied()).collect()
}

/// Operands of `nodes` that nothing makes.
pub fn undefined(model: &Model, makers: &Makers<'_>, nodes: &[usize]) -> Vec<(usize, Problem)> {
    let given: BTreeSet<&str> = given(&model.graph).collect();
    let is_defined = |name: &str| name.is_empty() || given.contains(name) || makers.contains_key(name);
    let missing = |&index: &usize| {
        let node = &model.graph.node[index];
        let name = node.input.iter().find(|input| !is_defined(input))?;
        let fault = Fault::model(format!("it reads {}, which nothing makes", shown(name)));
        Some((index, model.problem(node, fault)))
    };
    nodes.iter().filter_map(missing).collect()
}

/// Nodes that `results` need, each after the makers of its operands: the model's order where that does.
///
/// # Errors
///
/// Nodes that need their own results.
pub fn order(graph: &GraphProto, makers: &Makers<'_>, results: &[&str]) -> Result<Vec<usize>, Vec<Problem>> {
    let needed = needed(graph, makers, results);
    if is_sorted(graph, makers, &needed) {
        return Ok(needed.into_iter().collect());
    }
    let edges = dependencies(graph, makers, &needed);
    match toposort(&edges, None) {
        Ok(sorted) => Ok(sorted.into_iter().map(|index| edges[index]).collect()),
        Err(_) => Err(cycles(graph, &edges)),
    }
}

fn needed(graph: &GraphProto, makers: &Makers<'_>, results: &[&str]) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut stack: Vec<usize> = results.iter().filter_map(|name| makers.get(name).copied()).collect();
    while let Some(index) = stack.pop() {
        if needed.insert(index) {
            stack.extend(operands(&graph.node[index], makers));
        }
    }
    needed
}

fn operands<'a>(node: &'a NodeProto, makers: &'a Makers<'_>) -> impl Iterator<Item = usize> + 'a {
    node.input.iter().filter_map(|input| makers.get(input.as_str()).copied())
}

fn is_sorted(graph: &GraphProto, makers: &Makers<'_>, nodes: &BTreeSet<usize>) -> bool {
    nodes.iter().all(|&index| operands(&graph.node[index], makers).all(|maker| maker < index))
}

fn dependencies(graph: &GraphProto, makers: &Makers<'_>, nodes: &BTreeSet<usize>) -> DiGraph<usize, ()> {
    let mut edges = DiGraph::new();
    let ids: BTreeMap<usize, NodeIndex> = nodes.iter().map(|&node| (node, edges.add_node(node))).collect();
    for (&node, &id) in &ids {
        for maker in operands(&graph.node[node], makers) {
            edges.add_edge(ids[&maker], id, ());
        }
    }
    edges
}

/// One problem for each set of nodes that all need each other.
fn cycles(graph: &GraphProto, edges: &DiGraph<usize, ()>) -> Vec<Problem> {
    let is_cycle =
        |set: &Vec<NodeIndex>| set.len() > 1 || set.iter().any(|&node| edges.contains_edge(node, node));
    kosaraju_scc(edges).into_iter().filter(is_cycle).map(|set| cycle(graph, edges, &set)).collect()
}

fn cycle(graph: &GraphProto, edges: &DiGraph<usize, ()>, set: &[NodeIndex]) -> Problem {
    let mut nodes: Vec<usize> = set.iter().map(|&id| edges[id]).collect();
    nodes.sort_unstable();
    let first: Vec<String> = nodes.iter().take(8).map(|&node| name(&graph.node[node])).collect();
    let more = if nodes.len() > 8 { format!(" and {} more", nodes.len() - 8) } else { String::new() };
    Problem::whole(Fault::model(format!("nodes need their own results: {}{more}", first.join(", "))))
}
