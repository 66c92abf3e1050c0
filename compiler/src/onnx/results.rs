//! The results of a graph: the declared ones, or those at which the user cuts it.

use super::element::ElementType;
use super::model::Model;
use super::operators::distance;
use super::order::{Makers, given};
use super::origin::shown;
use super::proto::{DimensionProto, NodeProto, ValueInfoProto};
use super::{ImportOptions, Port};
use crate::error::{Fault, Problem};
use crate::tensor::TensorType;

/// A value that the network returns, and its declaration where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The value's name.
    pub name: &'a str,
    declared: Option<&'a ValueInfoProto>,
}

/// The values to return, in the order of the model or of [`ImportOptions::until_outputs`].
///
/// # Errors
///
/// None at all, or names that the model does not have.
pub fn results<'a>(
    model: &'a Model,
    makers: &Makers<'a>,
    options: &ImportOptions,
) -> Result<Vec<Wanted<'a>>, Vec<Problem>> {
    let graph = &model.graph;
    if graph.node.is_empty() {
        return Err(vec![Problem::whole(Fault::model("the graph is empty: it has no nodes"))]);
    }
    if !options.until_outputs.is_empty() {
        return cut(model, makers, options);
    }
    if graph.output.is_empty() {
        let fault = Fault::model("the graph has no outputs").help("name values with --until-output NAME");
        return Err(vec![Problem::whole(fault)]);
    }
    let wanted = |output: &'a ValueInfoProto| match known(model, makers, &output.name) {
        Some(name) => Ok(Wanted { name, declared: Some(output) }),
        None => Err(format!("nothing makes the output {}", shown(&output.name))),
    };
    collect(graph.output.iter().map(|output| wanted(output).map_err(Fault::model)))
}

fn cut<'a>(
    model: &'a Model,
    makers: &Makers<'a>,
    options: &ImportOptions,
) -> Result<Vec<Wanted<'a>>, Vec<Problem>> {
    let wanted = |name: &String| {
        let value = known(model, makers, name).or_else(|| first_output(model, name));
        let declared = model.graph.output.iter().find(|output| Some(output.name.as_str()) == value);
        value.map(|name| Wanted { name, declared }).ok_or_else(|| {
            let fault =
                Fault::model(format!("--until-output {name}: the model has no value or node of this name"));
            match nearest(makers, name) {
                Some(near) => fault.help(format!("the nearest is {}", shown(near))),
                None => fault,
            }
        })
    };
    collect(options.until_outputs.iter().map(wanted))
}

fn collect<'a>(
    results: impl Iterator<Item = Result<Wanted<'a>, Fault>>,
) -> Result<Vec<Wanted<'a>>, Vec<Problem>> {
    let (good, bad): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    let problems: Vec<Problem> = bad.into_iter().filter_map(Result::err).map(Problem::whole).collect();
    if problems.is_empty() { Ok(good.into_iter().flatten().collect()) } else { Err(problems) }
}

/// The model's own copy of a value's name.
fn known<'a>(model: &'a Model, makers: &Makers<'a>, name: &str) -> Option<&'a str> {
    let made = makers.get_key_value(name).map(|(name, _)| *name);
    made.or_else(|| given(&model.graph).find(|given| *given == name))
}

fn first_output<'a>(model: &'a Model, node_name: &str) -> Option<&'a str> {
    let is_meant = |node: &&NodeProto| !node.name.is_empty() && node.name == node_name;
    model.graph.node.iter().find(is_meant)?.output.first().map(String::as_str)
}

fn nearest<'a>(makers: &Makers<'a>, name: &str) -> Option<&'a str> {
    let distance = |value: &&str| distance(value, name);
    makers.keys().copied().filter(|value| value.len() < 256).min_by_key(distance)
}

impl Wanted<'_> {
    /// The result as the caller sees it.
    ///
    /// # Errors
    ///
    /// A declared element type or dimension that contradicts the inferred type.
    pub fn port(&self, inferred: &TensorType) -> Result<Port, Fault> {
        let port = |element| Port { name: self.name.to_owned(), element, ty: inferred.clone() };
        let ty = self.declared.and_then(|output| output.r#type.as_ref());
        let Some(ty) = ty.and_then(|ty| ty.tensor_type.as_ref()) else {
            return Ok(port(inferred.dtype.into()));
        };
        let element = ElementType::new(ty.elem_type);
        let dims = ty.shape.as_ref().map(|shape| &shape.dim);
        let same_type = ty.elem_type == 0 || element.dtype().is_ok_and(|dtype| dtype == inferred.dtype);
        if !same_type || dims.is_some_and(|dims| !fits(dims, &inferred.shape)) {
            let declared = format!("{element}[{}]", dims.map_or("…".into(), |dims| list(dims)));
            let name = shown(self.name);
            return Err(Fault::model(format!("output {name} is declared {declared}, but is {inferred}")));
        }
        Ok(port(if ty.elem_type == 0 { inferred.dtype.into() } else { element }))
    }
}

/// Whether no declared dimension contradicts a shape; −1 and 0 are open.
fn fits(dims: &[DimensionProto], shape: &[usize]) -> bool {
    let fits = |(dim, &n): (&DimensionProto, &usize)| match dim.dim_value {
        None | Some(-1 | 0) => true,
        Some(value) => usize::try_from(value) == Ok(n),
    };
    dims.len() == shape.len() && dims.iter().zip(shape).all(fits)
}

fn list(dims: &[DimensionProto]) -> String {
    let text = |dim: &DimensionProto| match (dim.dim_value, &dim.dim_param) {
        (Some(value), _) => value.to_string(),
        (None, Some(name)) => shown(name),
        (None, None) => "?".into(),
    };
    dims.iter().map(text).collect::<Vec<_>>().join(",")
}
