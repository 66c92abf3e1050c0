//! Runs a graph on samples, compiled for this machine, and shows every value.

use crate::driver::{self, Options};
use crate::error::{Error, Fault, Result};
use crate::graph::{Graph, NodeId};
use crate::harness::{self, Program};
use crate::samples::Sample;
use crate::tensor::{Tensor, TensorType};
use std::collections::BTreeMap;
use std::path::Path;

/// Every float value of one run, by its node.
pub type Values = BTreeMap<NodeId, Vec<f32>>;

/// A graph as a program.
pub struct Observer {
    program: Program,
    /// By the layer's number.
    layers: Vec<(NodeId, TensorType)>,
    inputs: Vec<NodeId>,
    /// Nodes that are another one's bytes under another shape.
    views: Vec<(NodeId, NodeId)>,
}

impl Observer {
    /// Compiles a graph. It is built with cargo in the folder `cache`.
    ///
    /// # Errors
    ///
    /// An operator without a kernel; what cargo says.
    pub fn build(graph: &Graph, cache: &Path) -> Result<Self> {
        let options = Options { observe: true, ..Options::new(harness::native(), harness::MODULE_NAME) };
        let compiled = driver::compile_fused(graph.clone(), &options)?;
        let program = harness::build_in(cache, &compiled, true, &mut |_| {})?;
        let layers = compiled.plan.layers.iter().map(|layer| (layer.node, layer.output.clone())).collect();
        let is_view = |id: &NodeId| graph.op(*id).is_view();
        let views = graph.order().into_iter().filter(is_view);
        let views = views.filter_map(|id| Some((id, graph.operand(id, 0)?))).collect();
        Ok(Self { program, layers, inputs: graph.inputs().to_vec(), views })
    }

    /// All float values for a sample.
    ///
    /// # Errors
    ///
    /// The program could not be run or ended with an error.
    pub fn values(&self, sample: &Sample) -> Result<Values> {
        let mut values: Values = self
            .inputs
            .iter()
            .zip(&sample.tensors)
            .filter(|(_, tensor)| tensor.ty.dtype.is_float())
            .map(|(&input, tensor)| (input, tensor.to_f32()))
            .collect();
        for (number, bytes) in self.program.observe(&sample.bytes())? {
            let Some((node, ty)) = self.layers.get(number).filter(|(_, ty)| ty.dtype.is_float()) else {
                continue;
            };
            let tensor = Tensor::new(ty.clone(), bytes.into()).ok_or_else(|| {
                Error::whole("the program shows a layer wrongly", Fault::bug(format!("a value of {ty}")))
            })?;
            values.insert(*node, tensor.to_f32());
        }
        for &(view, of) in &self.views {
            if let Some(seen) = values.get(&of).cloned() {
                values.insert(view, seen);
            }
        }
        Ok(values)
    }
}
