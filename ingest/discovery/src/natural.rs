//! The order in which people count: `c-8` before `c-10`.

use std::cmp::Ordering;

/// Compares names whose numbers count as numbers; names that are equal then, by their characters.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    let (mut ours, mut theirs) = (one, other);
    while let (Some(our), Some(their)) = (ours.chars().next(), theirs.chars().next()) {
        let order = if our.is_ascii_digit() && their.is_ascii_digit() {
            let (our, rest) = number(ours);
            ours = rest;
            let (their, rest) = number(theirs);
            theirs = rest;
            our.len().cmp(&their.len()).then_with(|| our.cmp(their))
        } else {
            ours = &ours[our.len_utf8()..];
            theirs = &theirs[their.len_utf8()..];
            our.cmp(&their)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    ours.len().cmp(&theirs.len()).then_with(|| one.cmp(other))
}

/// The digits that a text begins with, without leading zeros, and the rest.
fn number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let ordered = [
            "c-",
            "c-2.csv",
            "c-8.csv",
            "c-08.csv.x",
            "c-10.csv",
            "c-10a.csv",
            "c-0011.csv",
            "c-99999999999999999999999.csv",
            "d",
        ];
        for pair in ordered.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_ne!(compare("a1", "a01"), Ordering::Equal);
        assert_eq!(compare("a1", "a1"), Ordering::Equal);
    }
}
