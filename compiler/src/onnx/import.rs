//! From the messages of a model to an imported graph.

use super::element::ElementType;
use super::model::Model;
use super::notes::Notes;
use super::order;
use super::origin::shown;
use super::results::{Wanted, results};
use super::signature::{Given, inputs};
use super::walk::Walk;
use crate::error::{Blame, Error, Problem};
use crate::graph::Graph;
use crate::tensor::{Tensor, TensorType};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What the user decides about a model that it leaves open.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Shapes of inputs with symbolic dimensions, by input name.
    pub input_shapes: BTreeMap<String, Vec<usize>>,
    /// Graph inputs that become constants, by name.
    pub constants: BTreeMap<String, Tensor>,
    /// External data files, by the location that the model names.
    pub external: BTreeMap<String, Bytes>,
    /// Values, or nodes for their first outputs, at which the model is cut: they become its outputs, and
    /// what they do not need is left out. Empty for the outputs that the model declares.
    pub until_outputs: Vec<String>,
}

/// An input or output as the model declares it; passes may change the layout of the graph's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the model, as it stands there.
    pub name: String,
    /// Its element type in the model.
    pub element: ElementType,
    /// Its element type when imported, and its shape, every dimension known.
    pub ty: TensorType,
}

/// An imported model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network.
    pub graph: Graph,
    /// What was assumed, for the user to read: `batch N of input x is taken as 1`.
    pub notes: Vec<String>,
    /// The inputs, in the order of [`Graph::inputs`].
    pub inputs: Vec<Port>,
    /// The outputs, in the order of [`Graph::outputs`].
    pub outputs: Vec<Port>,
    /// Who made the model: `pytorch 2.9.0`; may be empty.
    pub producer: String,
    /// Version of the default operator set.
    pub opset: i64,
}

/// Reads a model; `name` is its name in messages, such as that of its file.
///
/// # Errors
///
/// All problems of the model at once.
pub fn import(name: &str, model: Bytes, options: &ImportOptions) -> Result<Imported, Error> {
    let mut notes = Notes::default();
    let model = Model::read(&model, &mut notes)
        .map_err(|fault| Error::whole(format!("{} cannot be read", shown(name)), fault))?;
    build(name, &model, options, notes)
        .map_err(|problems| Error::problems(summary(name, &problems), problems))
}

/// `2 operators in m.onnx are not supported`
fn summary(name: &str, problems: &[Problem]) -> String {
    let name = shown(name);
    let unsupported = |p: &Problem| p.fault.blame == Blame::Unsupported && !p.operator.is_empty();
    match (problems.len(), problems.iter().all(unsupported)) {
        (1, true) => format!("1 operator in {name} is not supported"),
        (n, true) => format!("{n} operators in {name} are not supported"),
        (1, false) => format!("{name} cannot be imported"),
        (n, false) => format!("{name} cannot be imported: {n} problems"),
    }
}

fn build(
    name: &str,
    model: &Model,
    options: &ImportOptions,
    mut notes: Notes,
) -> Result<Imported, Vec<Problem>> {
    let makers = order::makers(model)?;
    let results = results(model, &makers, options)?;
    let names: Vec<&str> = results.iter().map(|result| result.name).collect();
    let order = order::order(&model.graph, &makers, &names)?;
    let used = order::used(&model.graph, &order, &names);
    let mut walk = Walk::new(name, model, &options.external, &used, &mut notes);
    walk.problems.extend(order::undefined(model, &makers, &order));
    let inputs = declare_inputs(&mut walk, options);
    walk.nodes(&order);
    let outputs = declare_outputs(&mut walk, &results);
    let graph = walk.finish()?;
    let (producer, opset) = (model.producer.clone(), model.opset());
    Ok(Imported { graph, notes: notes.0, inputs, outputs, producer, opset })
}

fn declare_inputs(walk: &mut Walk<'_>, options: &ImportOptions) -> Vec<Port> {
    let (is_whole, used) = (options.until_outputs.is_empty(), walk.used);
    let (given, faults) = inputs(walk.model, options, |name| is_whole || used.contains(name), walk.notes);
    walk.problems.extend(faults.into_iter().map(|fault| (0, Problem::whole(fault))));
    let mut ports = Vec::new();
    for (name, given) in given {
        let id = match given {
            Given::Constant(tensor) => walk.graph.add_constant(shown(&name), tensor),
            Given::Input(port) => {
                let id = walk.graph.add_input(shown(&name), port.ty.clone());
                ports.push(port);
                id
            }
        };
        walk.bind(name, id);
    }
    ports
}

fn declare_outputs(walk: &mut Walk<'_>, results: &[Wanted<'_>]) -> Vec<Port> {
    let mut ports = Vec::new();
    for result in results {
        let Some(id) = walk.value(result.name) else { continue };
        walk.graph.add_output(shown(result.name), id);
        match result.port(walk.graph.ty(id)) {
            Ok(port) => ports.push(port),
            Err(fault) => walk.problems.push((usize::MAX, Problem::whole(fault))),
        }
    }
    ports
}
