//! The inputs of a graph: which of them the caller gives, and the shapes that the model leaves open.

use super::element::ElementType;
use super::model::Model;
use super::notes::Notes;
use super::origin::shown;
use super::proto::{DimensionProto, TensorTypeProto, ValueInfoProto};
use super::{ImportOptions, Port};
use crate::error::Fault;
use crate::tensor::{DType, Tensor, TensorType, dims};
use std::collections::{BTreeMap, BTreeSet};

/// What a graph input becomes.
pub enum Given {
    /// An input of the network.
    Input(Port),
    /// A constant.
    Constant(Tensor),
}

/// A dimension as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Dim {
    Fixed(usize),
    /// Open, under a name; an empty one where it has none.
    Open(String),
}

/// The graph inputs that `is_wanted`, in the model's order. Those that are initializers too are not
/// inputs. A shape comes from [`ImportOptions::input_shapes`] or from the model; a dimension that has a
/// name has the same value everywhere; what is still open in dimension 0 is a batch and becomes 1.
///
/// # Errors
///
/// Types that are not supported, dimensions that are open, options that contradict the model.
pub fn inputs(
    model: &Model,
    options: &ImportOptions,
    is_wanted: impl Fn(&str) -> bool,
    notes: &mut Notes,
) -> (Vec<(String, Given)>, Vec<Fault>) {
    let declared = declared(model, options);
    let mut faults = unknown_names(&declared, options);
    let mut names = Names::default();
    for input in &declared {
        names.learn(input, options);
    }
    let wanted = || declared.iter().filter(|input| is_wanted(&input.name));
    wanted().for_each(|input| names.assume_batch(input, options, notes));
    let mut inputs = Vec::new();
    for input in wanted() {
        match one(input, options, &names, notes) {
            Ok(given) => inputs.push((input.name.clone(), given)),
            Err(fault) => faults.push(fault),
        }
    }
    (inputs, faults)
}

fn declared<'a>(model: &'a Model, options: &ImportOptions) -> Vec<&'a ValueInfoProto> {
    let weights: BTreeSet<&str> = model.graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let is_input = |input: &&ValueInfoProto| {
        !weights.contains(input.name.as_str()) || options.constants.contains_key(&input.name)
    };
    model.graph.input.iter().filter(is_input).collect()
}

fn unknown_names(declared: &[&ValueInfoProto], options: &ImportOptions) -> Vec<Fault> {
    let known: BTreeSet<&str> = declared.iter().map(|input| input.name.as_str()).collect();
    let list: Vec<String> = known.iter().map(|name| shown(name)).collect();
    let shapes = options.input_shapes.keys().map(|name| ("--input-shape", name));
    let constants = options.constants.keys().map(|name| ("--const-input", name));
    shapes
        .chain(constants)
        .filter(|(_, name)| !known.contains(name.as_str()))
        .map(|(option, name)| {
            Fault::model(format!("{option} {name}: the model has no input of this name"))
                .help(format!("its inputs are {}", list.join(", ")))
        })
        .collect()
}

fn one(
    input: &ValueInfoProto,
    options: &ImportOptions,
    names: &Names,
    notes: &mut Notes,
) -> Result<Given, Fault> {
    let name = shown(&input.name);
    let ty = tensor_type(input)
        .ok_or_else(|| Fault::unsupported(format!("input {name} is no tensor, or has no type")))?;
    let element = ElementType::new(ty.elem_type);
    let dtype = element.dtype().map_err(|fault| of_input(&name, fault))?;
    if let Some(tensor) = options.constants.get(&input.name) {
        check_constant(input, ty, dtype, tensor)?;
        return Ok(Given::Constant(tensor.clone()));
    }
    let shape = match options.input_shapes.get(&input.name) {
        Some(given) => check_shape(input, ty, given, "--input-shape").map(|()| given.clone())?,
        None => names.shape(input, ty)?,
    };
    notes.add_all(element.note().map(|note| format!("input {name}: {note}")));
    let ty = TensorType::checked(dtype, shape).map_err(|fault| of_input(&name, fault))?;
    if ty.shape.contains(&0) {
        return Err(Fault::unsupported(format!("input {name} is {ty}, which has no elements")));
    }
    Ok(Given::Input(Port { name: input.name.clone(), element, ty }))
}

fn of_input(name: &str, mut fault: Fault) -> Fault {
    fault.message = format!("input {name}: {}", fault.message);
    fault
}

fn check_constant(
    input: &ValueInfoProto,
    ty: &TensorTypeProto,
    dtype: DType,
    tensor: &Tensor,
) -> Result<(), Fault> {
    if tensor.ty.dtype != dtype {
        let (name, given) = (shown(&input.name), &tensor.ty);
        return Err(Fault::model(format!("input {name} is {dtype}, but --const-input gives {given}")));
    }
    check_shape(input, ty, &tensor.ty.shape, "--const-input")
}

fn check_shape(
    input: &ValueInfoProto,
    ty: &TensorTypeProto,
    given: &[usize],
    option: &str,
) -> Result<(), Fault> {
    let Some(declared) = shape(input, ty)? else { return Ok(()) };
    let fits = |(dim, given): (&Dim, &usize)| matches!(dim, Dim::Open(_)) || *dim == Dim::Fixed(*given);
    if declared.len() == given.len() && declared.iter().zip(given).all(fits) {
        return Ok(());
    }
    let (name, declared) = (shown(&input.name), list(&declared));
    Err(Fault::model(format!("input {name} is [{declared}], but {option} gives [{}]", dims(given))))
}

fn tensor_type(input: &ValueInfoProto) -> Option<&TensorTypeProto> {
    input.r#type.as_ref()?.tensor_type.as_ref()
}

/// The declared dimensions, or `None` where not even their number is known.
fn shape(input: &ValueInfoProto, ty: &TensorTypeProto) -> Result<Option<Vec<Dim>>, Fault> {
    let dim = |dim: &DimensionProto| match (dim.dim_value, &dim.dim_param) {
        (None | Some(-1), name) => Ok(Dim::Open(name.clone().unwrap_or_default())),
        (Some(n), _) => usize::try_from(n).map(Dim::Fixed).map_err(|_| {
            Fault::model(format!("dimension {n} of input {} is out of range", shown(&input.name)))
        }),
    };
    ty.shape.as_ref().map(|shape| shape.dim.iter().map(dim).collect()).transpose()
}

/// `N,3,224,?`
fn list(dims: &[Dim]) -> String {
    let text = |dim: &Dim| match dim {
        Dim::Fixed(n) => n.to_string(),
        Dim::Open(name) if name.is_empty() => "?".into(),
        Dim::Open(name) => shown(name),
    };
    dims.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Values of the dimensions that have names.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    /// Learns names from a shape that the user gives.
    fn learn(&mut self, input: &ValueInfoProto, options: &ImportOptions) {
        let constant = options.constants.get(&input.name).map(|tensor| &tensor.ty.shape);
        let given = options.input_shapes.get(&input.name).or(constant);
        for (dim, &value) in dims_of(input).iter().zip(given.into_iter().flatten()) {
            match dim {
                Dim::Open(name) if !name.is_empty() => _ = self.0.entry(name.clone()).or_insert(value),
                Dim::Open(_) | Dim::Fixed(_) => {}
            }
        }
    }

    /// Takes an open dimension 0 as 1.
    fn assume_batch(&mut self, input: &ValueInfoProto, options: &ImportOptions, notes: &mut Notes) {
        let is_given =
            options.constants.contains_key(&input.name) || options.input_shapes.contains_key(&input.name);
        match dims_of(input).first() {
            Some(Dim::Open(name)) if !is_given && (name.is_empty() || !self.0.contains_key(name)) => {
                let space = if name.is_empty() { "" } else { " " };
                let (batch, input) = (shown(name), shown(&input.name));
                notes.add(format!("batch{space}{batch} of input {input} is taken as 1"));
                self.0.insert(name.clone(), 1);
            }
            _ => {}
        }
    }

    /// The shape of an input, every open dimension given a value.
    fn shape(&self, input: &ValueInfoProto, ty: &TensorTypeProto) -> Result<Vec<usize>, Fault> {
        let name = shown(&input.name);
        let declared = shape(input, ty)?.ok_or_else(|| {
            Fault::model(format!("input {name} has no shape"))
                .help(format!("give it with --input-shape {name}=1,3,224,224 or what it is"))
        })?;
        let known: Vec<Dim> = declared.iter().enumerate().map(|(i, dim)| self.value(i, dim)).collect();
        let value = |dim: &Dim| match dim {
            Dim::Fixed(n) => Some(*n),
            Dim::Open(_) => None,
        };
        known.iter().map(value).collect::<Option<Vec<usize>>>().ok_or_else(|| {
            Fault::model(format!("input {name} is [{}], and not all of these are numbers", list(&declared)))
                .help(format!("give them with --input-shape {name}={}", list(&known)))
        })
    }

    fn value(&self, position: usize, dim: &Dim) -> Dim {
        match dim {
            Dim::Open(name) if name.is_empty() && position > 0 => dim.clone(),
            Dim::Open(name) => self.0.get(name).map_or_else(|| dim.clone(), |&value| Dim::Fixed(value)),
            Dim::Fixed(_) => dim.clone(),
        }
    }
}

fn dims_of(input: &ValueInfoProto) -> Vec<Dim> {
    let shape = tensor_type(input).and_then(|ty| shape(input, ty).ok().flatten());
    shape.unwrap_or_default()
}
