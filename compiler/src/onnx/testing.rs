//! Imports single nodes in unit tests: what a spelling becomes, what it computes, and whether it asks for
//! kernels in the words of the runtime's steps.

use super::notes::Notes;
use super::{Attribute, Attributes, Call};
use crate::error::Fault;
use crate::graph::{Graph, NodeId};
use crate::ops;
use crate::plan::request::{Request, Site};
use crate::reference::{self, Array};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Elements of the largest tensor that [`Case::run`] interprets.
const LARGEST: usize = 1 << 20;

/// An ONNX node with the values of its operands.
#[derive(Clone, Debug)]
pub struct Case {
    operator: &'static str,
    opset: i64,
    attributes: Attributes,
    operands: Vec<Option<(Array, bool)>>,
    outputs: usize,
}

/// What a node became.
pub struct Became {
    /// Its outputs' values.
    pub values: Vec<Array>,
    /// The graph as text.
    pub text: String,
}

impl Case {
    /// A node with one output.
    pub fn new(operator: &'static str, opset: i64) -> Self {
        Self { operator, opset, attributes: Attributes::default(), operands: Vec::new(), outputs: 1 }
    }

    /// Sets an attribute.
    pub fn with(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.0.insert(name.to_owned(), value);
        self
    }

    /// Sets an attribute of integers.
    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.with(name, Attribute::Ints(values.to_vec()))
    }

    /// Sets an integer attribute.
    pub fn int(self, name: &str, value: i64) -> Self {
        self.with(name, Attribute::Int(value))
    }

    /// Sets a text attribute.
    pub fn text(self, name: &str, value: &str) -> Self {
        self.with(name, Attribute::String(value.to_owned()))
    }

    /// How many outputs it declares.
    pub fn outputs(mut self, count: usize) -> Self {
        self.outputs = count;
        self
    }

    /// Adds an operand that is an input of the graph.
    pub fn input(mut self, value: Array) -> Self {
        self.operands.push(Some((value, false)));
        self
    }

    /// Adds an operand that is a constant.
    pub fn constant(mut self, value: Array) -> Self {
        self.operands.push(Some((value, true)));
        self
    }

    /// Adds a constant operand of integers.
    pub fn list(self, values: &[i64]) -> Self {
        self.constant(Array::from(&Tensor::from_i64(values)))
    }

    /// Leaves an operand out.
    pub fn absent(mut self) -> Self {
        self.operands.push(None);
        self
    }

    /// Imports the node, lowers and interprets what it became.
    pub fn run(self) -> Result<Became, Fault> {
        let (graph, given) = self.import()?;
        for id in graph.order() {
            lower(&graph, id)?.iter().for_each(assert_fields);
        }
        let largest = graph.order().iter().map(|&id| graph.ty(id).elements()).max();
        if largest > Some(LARGEST) {
            return Err(Fault::unsupported("a result that is too large to be interpreted in a test"));
        }
        let trace = reference::run(&graph, &given)?;
        let values = graph.outputs().iter().map(|(_, id)| trace[id].clone()).collect();
        Ok(Became { values, text: graph.text() })
    }

    /// The graph that the node becomes, and the values of its inputs.
    pub fn import(self) -> Result<(Graph, Vec<Array>), Fault> {
        let spelling = ops::ONNX.iter().copied().flatten().find(|(name, _)| *name == self.operator);
        let (_, import) = spelling.ok_or_else(|| Fault::unsupported(self.operator))?;
        let (mut graph, mut given, mut inputs) = (Graph::new("test"), Vec::new(), Vec::new());
        for operand in self.operands {
            inputs.push(operand.map(|(value, constant)| {
                if constant {
                    return graph.add_constant("constant", Tensor::from(&value));
                }
                let id = graph.add_input(format!("x{}", given.len()), value.ty.clone());
                given.push(value);
                id
            }));
        }
        let outputs = import(&mut Call {
            graph: &mut graph,
            name: "node".into(),
            operator: self.operator.into(),
            opset: self.opset,
            attributes: self.attributes,
            outputs: self.outputs,
            module: None,
            inputs,
            notes: &mut Notes::default(),
        })?;
        outputs.iter().enumerate().for_each(|(i, &id)| graph.add_output(format!("y{i}"), id));
        Ok((graph, given))
    }
}

/// The kernel calls of a node.
fn lower(graph: &Graph, id: NodeId) -> Result<Vec<Request>, Fault> {
    let operands = graph.operand_types(id);
    let constants: Vec<_> = graph.operands(id).iter().map(|&n| graph.tensor(n)).collect();
    graph.op(id).lower(&Site { operands: &operands, constants: &constants, output: graph.ty(id) })
}

/// The fields are those of the step that the family is named after, in its order.
fn assert_fields(request: &Request) {
    let step = format!("{:?}", request.family);
    let given: Vec<&str> = request.fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(given, STEPS[&step], "{step}");
}

/// The runtime's files of steps.
const SOURCES: [&str; 7] = [
    include_str!("../../../runtime/src/steps/axes.rs"),
    include_str!("../../../runtime/src/steps/elements.rs"),
    include_str!("../../../runtime/src/steps/epilogue.rs"),
    include_str!("../../../runtime/src/steps/layers.rs"),
    include_str!("../../../runtime/src/steps/map.rs"),
    include_str!("../../../runtime/src/steps/moves.rs"),
    include_str!("../../../runtime/src/steps/quantized.rs"),
];

/// The fields of each step struct of the runtime.
static STEPS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let parsed = |source| syn::parse_file(source).expect("the runtime's source parses").items;
    let fields = |item: syn::ItemStruct| {
        let names = item.fields.into_iter().filter_map(|field| field.ident);
        (item.ident.to_string(), names.map(|name| name.to_string()).collect())
    };
    let structs = SOURCES.into_iter().flat_map(parsed).filter_map(|item| match item {
        syn::Item::Struct(item) => Some(fields(item)),
        _ => None,
    });
    structs.collect()
});

mod hostile {
    use super::Case;
    use crate::onnx::Attribute;
    use crate::ops;
    use crate::reference::Array;
    use crate::tensor::{DType, Tensor, TensorType};
    use proptest::prelude::*;

    /// Numbers that break arithmetic which does not expect them.
    const NUMBERS: [i64; 16] =
        [0, 1, -1, 2, 3, -2, -3, 4, 5, 8, 9, 1 << 20, i64::MAX, i64::MIN, i64::MAX - 1, 1 << 40];
    const INTS: [&str; 12] = [
        "axes",
        "perm",
        "pads",
        "starts",
        "ends",
        "split",
        "kernel_shape",
        "strides",
        "dilations",
        "output_shape",
        "output_padding",
        "shape",
    ];
    const INT: [&str; 18] = [
        "axis",
        "keepdims",
        "noop_with_empty_axes",
        "allowzero",
        "num_outputs",
        "start",
        "end",
        "to",
        "blocksize",
        "group",
        "ceil_mode",
        "count_include_pad",
        "fmod",
        "transA",
        "transB",
        "block_size",
        "select_last_index",
        "output_dtype",
    ];
    const TEXT: [(&str, &[&str]); 5] = [
        ("mode", &["reflect", "edge", "wrap", "linear", "nearest", "CRD", "constant"]),
        ("coordinate_transformation_mode", &["align_corners", "asymmetric", "half_pixel_symmetric"]),
        ("nearest_mode", &["floor", "ceil", "round_prefer_ceil"]),
        ("keep_aspect_ratio_policy", &["not_larger", "not_smaller"]),
        ("auto_pad", &["SAME_UPPER", "SAME_LOWER", "VALID"]),
    ];

    fn numbers() -> impl Strategy<Value = Vec<i64>> {
        prop::collection::vec(prop::sample::select(&NUMBERS[..]), 0..9)
    }

    fn attribute() -> impl Strategy<Value = (&'static str, Attribute)> {
        let ints = (prop::sample::select(&INTS[..]), numbers().prop_map(Attribute::Ints));
        let int = (prop::sample::select(&INT[..]), prop::sample::select(&NUMBERS[..]));
        let text = prop::sample::select(&TEXT[..]).prop_flat_map(|(name, values)| {
            prop::sample::select(values).prop_map(move |v| (name, Attribute::String(v.to_owned())))
        });
        prop_oneof![ints, int.prop_map(|(name, value)| (name, Attribute::Int(value))), text]
    }

    /// A tensor of at most four small dimensions; 1 where it is of numbers that count.
    fn tensor() -> impl Strategy<Value = Array> {
        let dtype = prop::sample::select(vec![DType::F32, DType::F32, DType::I64, DType::U8, DType::Bool]);
        let shape = prop::collection::vec(prop::sample::select(vec![1_usize, 2, 3, 4, 4, 0]), 0..5);
        (dtype, shape).prop_map(|(dtype, shape)| Array::zeros(&TensorType::new(dtype, shape)))
    }

    fn list() -> impl Strategy<Value = Array> {
        let scales =
            prop::collection::vec(prop::sample::select(vec![0.5, 1.0, 2.0, 1e9, -1.0, f64::NAN]), 0..5);
        prop_oneof![
            numbers().prop_map(|v| Array::from(&Tensor::from_i64(&v))),
            scales.prop_map(|v| Array::float([v.len()], v)),
        ]
    }

    fn case() -> impl Strategy<Value = Case> {
        let names: Vec<&str> = ops::ONNX.iter().copied().flatten().map(|(name, _)| *name).collect();
        let operand = prop_oneof![
            tensor().prop_map(|value| Some((value, false))),
            tensor().prop_map(|value| Some((value, true))),
            list().prop_map(|value| Some((value, true))),
            Just(None),
        ];
        let operands = (tensor(), prop::collection::vec(operand, 0..4));
        let attributes = prop::collection::vec(attribute(), 0..4);
        let opset = prop::sample::select(vec![7, 9, 10, 11, 13, 18, 21]);
        (prop::sample::select(names), opset, attributes, operands, 1..4_usize).prop_map(
            |(operator, opset, attributes, (first, others), outputs)| {
                let mut case = Case::new(operator, opset).outputs(outputs).input(first);
                case.operands.extend(others);
                case.attributes.0.extend(attributes.into_iter().map(|(n, v)| (n.to_owned(), v)));
                case
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..<_>::default() })]

        #[test]
        fn no_spelling_panics(case in case()) {
            let _ = case.run();
        }
    }
}
