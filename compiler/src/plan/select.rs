//! Which kernel: the cheapest of the target's table that takes the shape.

use super::objective::Convolutions;
use super::request::Request;
use crate::error::Fault;
use crate::tensor::DType;
use mobilec_targets::{Element, Isa, Kernel, Layout, Target, kernels};

/// A kernel, and why it and no other.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Its estimated cycles.
    pub cycles: f64,
    /// Those that lost: a kernel, and either its cycles or why it refuses.
    pub losers: Vec<(&'static Kernel, Result<f64, &'static str>)>,
}

/// Chooses a kernel for one instruction set.
///
/// # Errors
///
/// No kernel of the family takes the request.
pub fn select(
    request: &Request,
    isa: Isa,
    target: &Target,
    convolutions: Convolutions,
) -> Result<Choice, Fault> {
    let mut best: Option<(&'static Kernel, f64)> = None;
    let mut losers = Vec::new();
    for kernel in kernels::candidates(isa, request.family, element(request.dtype)) {
        if let Some(reason) =
            (kernel.refuses)(&request.shape).or_else(|| excluded(kernel, target, convolutions))
        {
            losers.push((kernel, Err(reason)));
            continue;
        }
        let cycles = (kernel.cycles)(&request.shape, target);
        match best {
            Some((_, least)) if least <= cycles => losers.push((kernel, Ok(cycles))),
            Some((beaten, more)) => {
                losers.push((beaten, Ok(more)));
                best = Some((kernel, cycles));
            }
            None => best = Some((kernel, cycles)),
        }
    }
    match best {
        Some((kernel, cycles)) => Ok(Choice { kernel, cycles, losers }),
        None => Err(none(request, isa, &losers)),
    }
}

/// Why a kernel is not considered, whatever the shape.
fn excluded(kernel: &Kernel, target: &Target, convolutions: Convolutions) -> Option<&'static str> {
    match (kernel.layout, convolutions) {
        _ if kernel.stack_bytes() > target.stack_bytes => Some("too much on the stack for this target"),
        (Layout::Winograd { .. }, Convolutions::Direct) => {
            Some("not where memory is limited, rows arrive one by one, or without winograd")
        }
        _ => None,
    }
}

fn none(request: &Request, isa: Isa, losers: &[(&Kernel, Result<f64, &str>)]) -> Fault {
    let refusals: Vec<String> = losers
        .iter()
        .filter_map(|(kernel, outcome)| outcome.err().map(|why| format!("{}: {why}", kernel.path)))
        .collect();
    let detail = if refusals.is_empty() { String::new() } else { format!(" ({})", refusals.join("; ")) };
    Fault::unsupported(format!(
        "no {isa:?} kernel for {:?} on {}, {:?}{detail}",
        request.family, request.dtype, request.shape
    ))
}

/// The kernel tables' name of an element type.
pub fn element(dtype: DType) -> Element {
    match dtype {
        DType::F32 => Element::F32,
        DType::I8 => Element::I8,
        DType::U8 => Element::U8,
        DType::I32 => Element::I32,
        DType::I64 => Element::I64,
        DType::Bool => Element::Bool,
    }
}
