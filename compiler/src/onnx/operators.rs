//! Which importer reads a node, and what to say where none does.

use super::Import;
use super::model::{Model, plain_domain};
use super::origin::shown;
use super::proto::NodeProto;
use crate::error::Fault;
use crate::ops;
use std::collections::BTreeMap;

/// `AttributeProto.AttributeType` of attributes that hold subgraphs: `GRAPH` and `GRAPHS`.
const GRAPHS: [i32; 2] = [5, 10];

/// All operators that are read, by spelling.
pub struct Operators(BTreeMap<&'static str, Import>);

impl Operators {
    /// Those of [`ops::ONNX`].
    pub fn new() -> Self {
        Self(ops::ONNX.iter().flat_map(|spellings| spellings.iter().copied()).collect())
    }

    /// The importer of a node.
    ///
    /// # Errors
    ///
    /// An operator that is not supported: why, and the nearest one that is.
    pub fn find(&self, model: &Model, node: &NodeProto) -> Result<Import, Fault> {
        let domain = plain_domain(node.domain.clone());
        let spelling = spelling(&domain, &node.op_type);
        match self.0.get(spelling.as_str()) {
            Some(import) => Ok(*import),
            None => Err(self.refuse(model, node, domain, &spelling)),
        }
    }

    fn refuse(&self, model: &Model, node: &NodeProto, domain: String, spelling: &str) -> Fault {
        if node.attribute.iter().any(|attribute| GRAPHS.contains(&attribute.r#type)) {
            return Fault::unsupported("operators with subgraphs are not supported")
                .help("export the model without control flow");
        }
        if model.functions.contains(&(domain, node.op_type.clone())) {
            return Fault::unsupported("functions that a model defines are not supported")
                .help("replace them by what they do with onnx.inliner.inline_local_functions");
        }
        let fault = Fault::unsupported(format!("the operator {} is not supported", shown(spelling)));
        match self.nearest(spelling) {
            Some(near) => fault.help(format!("did the exporter mean {near}?")),
            None => fault,
        }
    }

    /// The operator that a typing mistake or two away, or with another case, is meant.
    fn nearest(&self, spelling: &str) -> Option<&'static str> {
        if spelling.len() > 64 {
            return None;
        }
        let allowed = spelling.len().min(8) / 4;
        let distance = |known: &&'static str| distance(&known.to_lowercase(), &spelling.to_lowercase());
        self.0.keys().copied().filter(|known| distance(known) <= allowed).min_by_key(distance)
    }
}

/// `Conv`, `com.microsoft::QGemm`.
fn spelling(domain: &str, op_type: &str) -> String {
    if domain.is_empty() { op_type.to_owned() } else { format!("{domain}::{op_type}") }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string
/// alignment).
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            let is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            row.push(if is_swap { best.min(rows[i - 2][j - 2] + 1) } else { best });
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, expected) in
            [("", "abc", 3), ("Conv", "Conv", 0), ("Covn", "Conv", 1), ("Relu6", "Relu", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn no_operator_is_read_by_two_files() {
        let count: usize = ops::ONNX.iter().map(|spellings| spellings.len()).sum();
        assert_eq!(Operators::new().0.len(), count);
    }
}
