//! The ONNX front end: bytes in, imported [`Graph`] out.
//!
//! `proto` declares the messages, `model` reads them with their external data, `import` walks the nodes
//! and hands each to its operator's file as a [`Call`]. Protobuf types do not leave this module. Shape
//! arithmetic never reaches the graph: a call whose operands are all constants is evaluated at once.

mod attributes;
mod element;
mod export;
mod external;
mod import;
mod model;
mod notes;
mod operators;
mod order;
mod origin;
mod proto;
mod results;
mod signature;
#[cfg(test)]
pub(crate) mod testing;
mod walk;
mod weights;

use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::transpose::Transpose;
use crate::reference::Array;
use crate::tensor::{DType, Tensor, TensorType};
pub use attributes::{Attribute, Attributes};
pub use element::ElementType;
pub use export::{Norm, export};
pub use import::{ImportOptions, Imported, Port, import};
pub use model::external_files;
use notes::Notes;

/// Reads one ONNX operator: adds nodes to the graph and returns its outputs.
pub type Import = fn(&mut Call<'_>) -> Result<Vec<NodeId>, Fault>;

/// An ONNX operator type and what reads it. Types of other domains are written `domain::Type`.
pub type Spelling = (&'static str, Import);

/// Results of at most this many elements are folded when importing; larger ones stay operators, unless
/// an operand is as large.
const FOLD_LIMIT: usize = 1 << 22;

/// One ONNX node while it is imported.
pub struct Call<'a> {
    /// The graph that it becomes part of.
    pub graph: &'a mut Graph,
    /// The node's name, or its first output's where it has none.
    pub name: String,
    /// The operator type, without its domain.
    pub operator: String,
    /// The version of the operator set that the model asks for.
    pub opset: i64,
    /// Attributes, by name.
    pub attributes: Attributes,
    /// How many outputs the node declares.
    pub outputs: usize,
    module: Option<String>,
    inputs: Vec<Option<NodeId>>,
    notes: &'a mut Notes,
}

impl Call<'_> {
    /// How many operands are written down, absent ones in between included.
    pub fn arity(&self) -> usize {
        self.inputs.len()
    }

    /// The operand at a position.
    ///
    /// # Errors
    ///
    /// An operand that is absent.
    pub fn input(&self, position: usize) -> Result<NodeId, Fault> {
        self.optional(position).ok_or_else(|| {
            Fault::model(format!(
                "operand {position} is missing; {} has {}",
                self.operator,
                self.inputs.len()
            ))
        })
    }

    /// The operand at a position, or `None` where it is absent.
    pub fn optional(&self, position: usize) -> Option<NodeId> {
        self.inputs.get(position).copied().flatten()
    }

    /// Type of a value.
    pub fn ty(&self, value: NodeId) -> TensorType {
        self.graph.ty(value).clone()
    }

    /// The tensor of an operand that must be constant; `None` where the operand is absent.
    ///
    /// # Errors
    ///
    /// An operand that is computed.
    pub fn constant(&self, position: usize, what: &str) -> Result<Option<Tensor>, Fault> {
        let Some(value) = self.optional(position) else {
            return Ok(None);
        };
        match self.graph.tensor(value) {
            Some(tensor) => Ok(Some(tensor.clone())),
            None => Err(Fault::unsupported(format!(
                "{what} is computed by {}; it must be a constant",
                self.graph.name(value)
            ))
            .help("give it as a constant with --const-input NAME=FILE.npy, or export with fixed shapes")),
        }
    }

    /// Integers of a constant operand; `None` where it is absent.
    ///
    /// # Errors
    ///
    /// An operand that is computed.
    pub fn integers(&self, position: usize, what: &str) -> Result<Option<Vec<i64>>, Fault> {
        Ok(self.constant(position, what)?.map(|tensor| tensor.to_i64()))
    }

    /// Tells the user something that was assumed.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.add(note);
    }

    /// The element type that a number in an attribute such as `to` of `Cast` names; a note tells where
    /// it is computed in another one, such as `float16` in `f32`.
    ///
    /// # Errors
    ///
    /// A type that mobilec does not have: also integers that would wrap or saturate at other values.
    pub fn element_type(&mut self, number: i64) -> Result<DType, Fault> {
        let element = ElementType::new(i32::try_from(number).unwrap_or(-1));
        let (dtype, note) = (element.dtype()?, element.note());
        if !dtype.is_float() && note.is_some() {
            return Err(Fault::unsupported(format!("values of {element} are not supported"))
                .help("float, int8, uint8, int32, int64 and bool are"));
        }
        self.notes.add_all(note);
        Ok(dtype)
    }

    /// Reads the node as another operator of the standard, of some operator set, on other operands.
    ///
    /// # Errors
    ///
    /// What that operator says of operands and attributes.
    pub fn as_operator(
        &mut self,
        operator: &str,
        operands: &[Option<NodeId>],
        opset: i64,
    ) -> Result<NodeId, Fault> {
        let spelling = crate::ops::ONNX.iter().copied().flatten().find(|(name, _)| *name == operator);
        let (_, import) = spelling.ok_or_else(|| Fault::bug(format!("nothing reads {operator}")))?;
        let outputs = import(&mut Call {
            graph: self.graph,
            name: self.name.clone(),
            operator: self.operator.clone(),
            opset,
            attributes: self.attributes.clone(),
            outputs: 1,
            module: self.module.clone(),
            inputs: operands.to_vec(),
            notes: self.notes,
        })?;
        outputs.first().copied().ok_or_else(|| Fault::bug(format!("{operator} makes nothing")))
    }

    /// Adds an operator under the node's name. Constant operands are folded.
    ///
    /// # Errors
    ///
    /// What the operator says of operands that do not fit.
    pub fn emit(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> Result<NodeId, Fault> {
        let name = self.name.clone();
        let id = self.graph.add(name, op, operands)?;
        self.graph.set_module(id, self.module.clone());
        Ok(self.fold(id, operands).unwrap_or(id))
    }

    /// Adds a constant.
    pub fn emit_constant(&mut self, tensor: Tensor) -> NodeId {
        let id = self.graph.add_constant(self.name.clone(), tensor);
        self.graph.set_module(id, self.module.clone());
        id
    }

    /// Adds a scalar constant of an element type.
    pub fn emit_scalar(&mut self, dtype: DType, value: f64) -> NodeId {
        let array = if dtype.is_float() {
            Array::float([], vec![value])
        } else {
            Array::int(dtype, [], vec![value as i64])
        };
        self.emit_constant(Tensor::from(&array))
    }

    /// `[N, C, H, W]` → `[N, H, W, C]`
    ///
    /// # Errors
    ///
    /// A value that is not of rank 4.
    pub fn to_nhwc(&mut self, value: NodeId) -> Result<NodeId, Fault> {
        self.emit(Transpose { permutation: vec![0, 2, 3, 1] }, &[value])
    }

    /// `[N, H, W, C]` → `[N, C, H, W]`
    ///
    /// # Errors
    ///
    /// A value that is not of rank 4.
    pub fn to_nchw(&mut self, value: NodeId) -> Result<NodeId, Fault> {
        self.emit(Transpose { permutation: vec![0, 3, 1, 2] }, &[value])
    }

    fn fold(&mut self, id: NodeId, operands: &[NodeId]) -> Option<NodeId> {
        let ty = self.graph.ty(id).clone();
        let tensors: Option<Vec<&Tensor>> = operands.iter().map(|&n| self.graph.tensor(n)).collect();
        let tensors = tensors.filter(|tensors| !tensors.is_empty())?;
        let largest = tensors.iter().map(|tensor| tensor.ty.elements()).max().unwrap_or(0);
        if ty.elements() > largest.max(FOLD_LIMIT) || stays(self.graph.op(id), &ty) {
            return None;
        }
        let arrays: Vec<Array> = tensors.into_iter().map(Array::from).collect();
        let value = self.graph.op(id).eval(&arrays.iter().collect::<Vec<_>>(), &ty);
        Some(self.emit_constant(Tensor::from(&value)))
    }
}

/// Operators that are not folded although their operands are constants: integer weights keep their
/// scales until the integer kernels have taken both.
fn stays(op: &Op, ty: &TensorType) -> bool {
    matches!(op, Op::Dequantize(_)) && ty.elements() > 1
}
