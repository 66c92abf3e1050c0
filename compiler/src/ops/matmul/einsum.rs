//! `Einsum` for the equations that are one batched matrix product, as exporters write attention:
//! `bhid,bhjd->bhij`.
//!
//! Both operands are transposed to `[batch.., rows.., depth..]` and `[batch.., depth.., columns..]`,
//! multiplied, and the result is transposed into the order of the equation. Letters of one operand alone
//! must be in the result; the ellipsis and a letter twice in one operand are refused.

use super::product;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::onnx::Call;
use crate::ops::compose;

/// Letters of an equation `a,b->result`.
struct Equation {
    a: Vec<char>,
    b: Vec<char>,
    result: Vec<char>,
}

pub(super) fn import(call: &mut Call<'_>) -> Result<Vec<NodeId>, Fault> {
    let text = call.attributes.string("equation")?.unwrap_or_default();
    let equation = Equation::parse(&text).ok_or_else(|| {
        Fault::unsupported(format!("the equation {text:?}; a batched product of two operands is supported"))
    })?;
    let (a, b) = (call.input(0)?, call.input(1)?);
    let fits = [(a, &equation.a), (b, &equation.b)].map(|(v, letters)| call.ty(v).rank() == letters.len());
    if fits != [true; 2] || call.arity() != 2 {
        let (a, b) = (call.ty(a), call.ty(b));
        return Err(Fault::model(format!("the equation {text:?} does not fit {a} and {b}")));
    }
    Ok(vec![equation.emit(call, a, b)?])
}

impl Equation {
    /// `None` for what is not one batched matrix product.
    fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (operands, result) = text.split_once("->")?;
        let (a, b) = operands.split_once(',')?;
        let [a, b, result] = [a, b, result].map(|letters| letters.chars().collect::<Vec<char>>());
        let plain = [&a, &b, &result].iter().all(|letters| is_plain(letters));
        let summed = |letter: &char| !result.contains(letter);
        let alone = a.iter().any(|c| summed(c) && !b.contains(c)) || b.iter().any(|c| summed(c) && !a.contains(c));
        let known = result.iter().all(|c| a.contains(c) || b.contains(c));
        (plain && known && !alone).then_some(Self { a, b, result })
    }

    /// Letters by their part: batch, rows, columns, depth.
    fn parts(&self) -> [Vec<char>; 4] {
        let pick = |from: &[char], keep: &dyn Fn(&char) -> bool| -> Vec<char> {
            from.iter().copied().filter(|c| keep(c)).collect()
        };
        let shared = |c: &char| self.a.contains(c) && self.b.contains(c);
        [
            pick(&self.result, &shared),
            pick(&self.result, &|c| !self.b.contains(c)),
            pick(&self.result, &|c| !self.a.contains(c)),
            pick(&self.a, &|c| !self.result.contains(c)),
        ]
    }

    fn emit(&self, call: &mut Call<'_>, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
        let [batch, rows, columns, depth] = self.parts();
        let length = |call: &Call<'_>, c: &char| {
            let (value, letters) = if self.a.contains(c) { (a, &self.a) } else { (b, &self.b) };
            letters.iter().position(|l| l == c).and_then(|i| call.ty(value).shape.get(i).copied()).unwrap_or(1)
        };
        let lengths = |call: &Call<'_>, letters: &[char]| -> Vec<usize> {
            letters.iter().map(|c| length(call, c)).collect()
        };
        let [m, n, k] = [&rows, &columns, &depth].map(|part| lengths(call, part).iter().product::<usize>());
        let batch_shape = lengths(call, &batch);
        let left = arranged(call, a, &self.a, &[&batch[..], &rows, &depth].concat())?;
        let left = compose::reshape(call, left, [&batch_shape[..], &[m, k]].concat())?;
        let right = arranged(call, b, &self.b, &[&batch[..], &depth, &columns].concat())?;
        let right = compose::reshape(call, right, [&batch_shape[..], &[k, n]].concat())?;
        let result = product(call, left, right)?;
        let order = [&batch[..], &rows, &columns].concat();
        let shape = lengths(call, &order);
        let result = compose::reshape(call, result, shape)?;
        arranged(call, result, &order, &self.result)
    }
}

/// Letters, each once.
fn is_plain(letters: &[char]) -> bool {
    let once = |(i, c): (usize, &char)| !letters[..i].contains(c);
    letters.iter().all(char::is_ascii_alphabetic) && letters.iter().enumerate().all(once)
}

/// A value whose dimensions are named `from`, in the order `to`.
fn arranged(call: &mut Call<'_>, value: NodeId, from: &[char], to: &[char]) -> Result<NodeId, Fault> {
    let permutation: Vec<usize> = to.iter().filter_map(|c| from.iter().position(|l| l == c)).collect();
    compose::transpose(call, value, permutation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, parts: Option<[&str; 4]>) {
        let found = Equation::parse(text).map(|e| e.parts().map(|part| part.into_iter().collect::<String>()));
        assert_eq!(found, parts.map(|parts| parts.map(str::to_owned)), "{text}");
    }

    #[test]
    fn attention_is_a_batched_product() {
        check("bhid, bhjd -> bhij", Some(["bh", "i", "j", "d"]));
        check("bnm,mo->bno", Some(["", "bn", "o", "m"]));
    }

    #[test]
    fn what_is_no_matrix_product_is_refused() {
        check("bij,bjk->bk", None);
        check("...ij,jk->...ik", None);
        check("ii->i", None);
        check("ij,jk", None);
    }
}
