//! The graph as text, a node a line, in columns: for people, for `--explain` and for snapshots.

use super::{Graph, NodeId};
use crate::ops::Op;
use std::collections::BTreeMap;
use std::fmt::Write as _;

impl Graph {
    /// One line a node: number, type, operator with attributes, operands, name.
    ///
    /// Constants that are operands are shown in place, as `f32[32,3,3,3] #a41c`.
    pub fn text(&self) -> String {
        let shown: Vec<NodeId> =
            self.order().into_iter().filter(|&id| !matches!(self.op(id), Op::Constant(_))).collect();
        let numbers: BTreeMap<NodeId, usize> = shown.iter().enumerate().map(|(i, &id)| (id, i)).collect();
        let rows: Vec<[String; 4]> = shown.iter().map(|&id| self.row(id, &numbers)).collect();
        let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
        let (w0, w1, w2) = (width(0), width(1), width(2).min(72));
        let mut text = String::new();
        for [number, ty, op, name] in &rows {
            let line = format!("{number:w0$} {ty:w1$} = {op:w2$}  {name}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for (name, value) in &self.outputs {
            let _ = writeln!(text, "return {} as {name}", self.operand_text(*value, &numbers));
        }
        text
    }

    fn row(&self, id: NodeId, numbers: &BTreeMap<NodeId, usize>) -> [String; 4] {
        let operands: Vec<String> =
            self.operands(id).iter().map(|&n| self.operand_text(n, numbers)).collect();
        let call = format!("{}({})", self.op(id).describe(), operands.join(", "));
        [format!("%{}", numbers[&id]), self.ty(id).to_string(), call, self.name(id).to_owned()]
    }

    fn operand_text(&self, id: NodeId, numbers: &BTreeMap<NodeId, usize>) -> String {
        match (self.tensor(id), numbers.get(&id)) {
            (Some(tensor), _) => tensor.to_string(),
            (None, Some(number)) => format!("%{number}"),
            (None, None) => "?".to_owned(),
        }
    }
}
