//! Graph to ONNX: what Netron shows and ONNX Runtime runs.
//!
//! Maps of the graph are NHWC, those of ONNX's operators NCHW. A value exists in the layout in which it was
//! made, and in the other one as soon as something asks for it; so a network has one transpose behind an
//! NHWC input, none behind an NCHW one, and some around attention.
//!
//! Opset 17, IR version 8. Any graph can be exported, fused ones too: what is in epilogues becomes nodes
//! again.

mod activation;
mod convolution;
mod messages;
mod operators;
mod plain;
mod quantization;

use super::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Operator as _;
use crate::ops::transpose::Transpose;
use crate::reference::Array;
use crate::tensor::{Tensor, TensorType};
use messages::{attribute, proto, value};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// `[N,H,W,C]` to `[N,C,H,W]`.
const TO_NCHW: [usize; 4] = [0, 3, 1, 2];
/// `[N,C,H,W]` to `[N,H,W,C]`.
const TO_NHWC: [usize; 4] = [0, 2, 3, 1];

/// The numbers of a batch-norm that an affine map was made from.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Factors, summands, means and variances.
    pub numbers: [&'a Tensor; 4],
    /// Added to the variances.
    pub epsilon: f32,
}

/// A graph as an ONNX file. An affine map in `norms` becomes the batch-norm that it was, any other one a
/// batch-norm of mean 0 and variance 1.
///
/// # Errors
///
/// An operator that cannot be exported, with its name.
pub fn export(graph: &Graph, norms: &BTreeMap<NodeId, Norm<'_>>) -> Result<Vec<u8>, Fault> {
    let mut export = Export {
        graph,
        norms,
        made: BTreeMap::new(),
        names: graph.outputs().iter().map(|(name, _)| name.clone()).collect(),
        message: GraphProto { name: graph.name.clone(), ..GraphProto::default() },
    };
    for node in graph.order() {
        export.node(node).map_err(|mut fault| {
            fault.message = format!("{}: {}", graph.name(node), fault.message);
            fault
        })?;
    }
    for (name, value) in graph.outputs() {
        export.output(name, *value)?;
    }
    let model = ModelProto {
        ir_version: 8,
        producer_name: "mobilec".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(export.message),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        functions: Vec::new(),
    };
    Ok(model.encode_to_vec())
}

/// Names of a value's tensor as the graph has it, and with channels first.
#[derive(Clone, Debug, Default)]
struct Made {
    plain: Option<String>,
    first: Option<String>,
}

struct Export<'a> {
    graph: &'a Graph,
    norms: &'a BTreeMap<NodeId, Norm<'a>>,
    made: BTreeMap<NodeId, Made>,
    names: BTreeSet<String>,
    message: GraphProto,
}

impl Export<'_> {
    /// A name that nothing else has.
    fn fresh(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "value" } else { wanted };
        let mut name = wanted.to_owned();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{wanted}_{count}");
        }
        name
    }

    /// Adds a node of one output, and gives the output's name.
    fn add(
        &mut self,
        name: &str,
        operator: &str,
        inputs: &[String],
        attributes: Vec<super::proto::AttributeProto>,
    ) -> String {
        let name = self.fresh(name);
        self.message.node.push(NodeProto {
            input: inputs.to_vec(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: operator.into(),
            attribute: attributes,
            ..NodeProto::default()
        });
        name
    }

    /// Adds a tensor, and gives its name.
    fn tensor(&mut self, name: &str, tensor: &Tensor) -> String {
        let name = self.fresh(name);
        self.message.initializer.push(proto(&name, tensor));
        name
    }

    /// The tensor of a value as the graph has it.
    fn plain(&mut self, value: NodeId) -> String {
        let made = self.made.get(&value).cloned().unwrap_or_default();
        if let Some(name) = made.plain {
            return name;
        }
        let name = match (self.graph.tensor(value).cloned(), made.first) {
            (Some(tensor), _) => self.tensor(self.graph.name(value), &tensor),
            (None, Some(first)) => self.transpose(value, first, &TO_NHWC, "nhwc"),
            (None, None) if self.is_constant(value) => self.dequantized(value, false),
            (None, None) => String::new(),
        };
        self.made.entry(value).or_default().plain = Some(name.clone());
        name
    }

    /// The tensor of a map with its channels first. A constant of fewer dimensions gets ones in front.
    fn first(&mut self, value: NodeId) -> String {
        let made = self.made.get(&value).cloned().unwrap_or_default();
        if let Some(name) = made.first {
            return name;
        }
        let name = match self.graph.tensor(value).cloned() {
            Some(tensor) => {
                let tensor = channels_first(&tensor).unwrap_or(tensor);
                self.tensor(self.graph.name(value), &tensor)
            }
            None if self.is_constant(value) => self.dequantized(value, true),
            None => {
                let plain = self.plain(value);
                self.transpose(value, plain, &TO_NCHW, "nchw")
            }
        };
        self.made.entry(value).or_default().first = Some(name.clone());
        name
    }

    fn transpose(&mut self, value: NodeId, tensor: String, permutation: &[usize], word: &str) -> String {
        let name = format!("{}.{word}", self.graph.name(value));
        self.add(&name, "Transpose", &[tensor], vec![attribute::ints("perm", permutation)])
    }

    /// Whether a value was made with its channels first.
    fn is_first(&self, value: NodeId) -> bool {
        self.made.get(&value).is_some_and(|made| made.first.is_some() && made.plain.is_none())
    }

    fn set_plain(&mut self, value: NodeId, name: String) {
        self.made.entry(value).or_default().plain = Some(name);
    }

    fn set_first(&mut self, value: NodeId, name: String) {
        self.made.entry(value).or_default().first = Some(name);
    }

    /// Declares a result of the network.
    fn output(&mut self, name: &str, id: NodeId) -> Result<(), Fault> {
        let tensor = self.plain(id);
        if tensor.is_empty() {
            return Err(Fault::bug(format!("output {name} was not made")));
        }
        self.message.node.push(NodeProto {
            input: vec![tensor],
            output: vec![name.to_owned()],
            name: format!("{name}.identity"),
            op_type: "Identity".into(),
            ..NodeProto::default()
        });
        self.rename_last(name);
        self.message.output.push(value(name, self.graph.ty(id)));
        Ok(())
    }

    /// Where the tensor that an `Identity` copies is made by a node and nothing else reads it, the node makes
    /// the result itself.
    fn rename_last(&mut self, name: &str) {
        let Some(tensor) = self.message.node.last().and_then(|node| node.input.first()).cloned() else {
            return;
        };
        let readers = self.message.node.iter().filter(|node| node.input.contains(&tensor)).count();
        let maker = self.message.node.iter().position(|node| node.output.first() == Some(&tensor));
        if let (1, Some(maker)) = (readers, maker)
            && !self.graph.outputs().iter().any(|(output, _)| *output == tensor)
        {
            self.message.node[maker].output = vec![name.to_owned()];
            self.message.node.pop();
        }
    }
}

/// `[.., C]` as `[1, C, 1, 1]` and so on; `None` for more than four dimensions.
fn channels_first(tensor: &Tensor) -> Option<Tensor> {
    let mut shape = vec![1; 4_usize.checked_sub(tensor.ty.rank())?];
    shape.extend(&tensor.ty.shape);
    permuted(&tensor.reshaped(shape)?, &TO_NCHW)
}

/// A constant with its dimensions in another order.
fn permuted(tensor: &Tensor, permutation: &[usize]) -> Option<Tensor> {
    let op = Transpose { permutation: permutation.to_vec() };
    let ty: TensorType = op.infer(std::slice::from_ref(&tensor.ty)).ok()?;
    Some(Tensor::from(&op.eval(&[&Array::from(tensor)], &ty)))
}
