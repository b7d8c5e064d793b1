//! Trees of little depth, for what recurses.

/// Joins neighbours, in their order, until one is left; `None` of none.
pub(super) fn in_pairs<T>(mut parts: Vec<T>, join: impl Fn(T, T) -> T) -> Option<T> {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => join(left, right),
                None => left,
            });
        }
        parts = pairs;
    }
    parts.pop()
}

#[cfg(test)]
mod tests {
    use super::in_pairs;

    #[test]
    fn parts_keep_their_order() {
        let join = |left, right| format!("({left}{right})");
        let parts = |n: u8| (0..n).map(|i| char::from(b'a' + i).to_string()).collect();
        assert_eq!(in_pairs(parts(5), join).as_deref(), Some("(((ab)(cd))e)"));
        assert_eq!(in_pairs(parts(1), join).as_deref(), Some("a"));
        assert_eq!(in_pairs(parts(0), join), None);
    }
}
