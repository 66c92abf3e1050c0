//! Arithmetic of permutations: dimension `i` of the result is dimension `p[i]` of the operand.

/// `0, 1, 2, …`
pub fn is_identity(p: &[usize]) -> bool {
    p.iter().enumerate().all(|(i, &n)| i == n)
}

/// The permutation of `second` behind `first`.
pub fn compose(first: &[usize], second: &[usize]) -> Vec<usize> {
    second.iter().filter_map(|&i| first.get(i).copied()).collect()
}

/// What undoes `p`.
pub fn inverse(p: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; p.len()];
    for (i, &n) in p.iter().enumerate() {
        if let Some(slot) = inverse.get_mut(n) {
            *slot = i;
        }
    }
    inverse
}

/// `p` behind leading dimensions that stay, as broadcasting adds them.
pub fn extend(p: &[usize], rank: usize) -> Vec<usize> {
    let added = rank.saturating_sub(p.len());
    (0..added).chain(p.iter().map(|&n| n + added)).collect()
}

/// `values` of the result's dimensions, in the order of the operand's dimensions.
pub fn unpermute<T: Clone>(p: &[usize], values: &[T]) -> Vec<T> {
    inverse(p).iter().filter_map(|&i| values.get(i).cloned()).collect()
}

/// Whether elements stay in their order: all dimensions but those of length 1 do.
pub fn moves_only_ones(p: &[usize], operand_shape: &[usize]) -> bool {
    let long: Vec<usize> = p.iter().copied().filter(|&n| operand_shape.get(n) != Some(&1)).collect();
    long.is_sorted()
}

/// The permutation that orders `wanted` from `given`, both lists of the same distinct tokens.
pub fn between<T: PartialEq>(given: &[T], wanted: &[T]) -> Option<Vec<usize>> {
    wanted.iter().map(|token| given.iter().position(|other| other == token)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_NHWC: [usize; 4] = [0, 2, 3, 1];
    const TO_NCHW: [usize; 4] = [0, 3, 1, 2];

    #[test]
    fn layouts_undo_each_other() {
        assert_eq!(inverse(&TO_NHWC), TO_NCHW);
        assert!(is_identity(&compose(&TO_NHWC, &TO_NCHW)));
    }

    #[test]
    fn dimensions_of_one_move_freely() {
        assert!(moves_only_ones(&TO_NCHW, &[1, 1, 1, 8]));
        assert!(moves_only_ones(&TO_NCHW, &[1, 5, 5, 1]));
        assert!(!moves_only_ones(&TO_NCHW, &[1, 5, 1, 8]));
    }

    #[test]
    fn attributes_go_back_to_the_operands_order() {
        assert_eq!(unpermute(&TO_NCHW, &["n", "c", "h", "w"]), ["n", "h", "w", "c"]);
        assert_eq!(extend(&[1, 0], 3), [0, 2, 1]);
    }
}
