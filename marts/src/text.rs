//! Places in a user's text, and the name that was probably meant.

/// Line and column (both from 1, in characters) of a byte offset.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..floor_boundary(text, offset)];
    let start_of_line = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[start_of_line..].chars().count() + 1,
    )
}

/// The nearest character boundary at or before `offset`.
fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Byte offsets at which `word` stands as a whole word, whatever its case.
pub(crate) fn whole_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.char_indices().map(|(at, _)| at).filter(move |&at| {
        let after = at + word.len();
        text.get(at..after)
            .is_some_and(|found| found.eq_ignore_ascii_case(word))
            && !word.is_empty()
            && !text[..at].ends_with(is_word)
            && !text[after..].starts_with(is_word)
    })
}

/// The candidate that was probably meant by `wanted`, if one is near enough to be worth suggesting.
pub(crate) fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = nearest_first(wanted, candidates).into_iter().next()?;
    let allowed = (wanted.chars().count() / 3).max(2);
    (distance(wanted, best) <= allowed).then_some(best)
}

/// All candidates, the nearest to `wanted` first.
pub(crate) fn nearest_first<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut sorted: Vec<_> = candidates
        .into_iter()
        .map(|candidate| (distance(wanted, candidate), candidate))
        .collect();
    sorted.sort();
    sorted.dedup();
    sorted.into_iter().map(|(_, candidate)| candidate).collect()
}

fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

/// "did you mean `x`?" or, when nothing is near, the `what`s that there are.
pub(crate) fn suggestion<'a>(what: &str, wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<_> = candidates.into_iter().collect();
    match nearest(wanted, candidates.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if candidates.is_empty() => format!("the project has no {what}"),
        None => format!("{what}: {}", shortened(&nearest_first(wanted, candidates))),
    }
}

/// A list for a message: the first twenty, then how many more.
pub(crate) fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_lines_and_columns_in_characters() {
        let text = "uno\nseñal dos\n";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find("dos").unwrap_or(0)), (2, 7));
        assert_eq!(line_and_column(text, 999), (3, 1));
    }

    #[test]
    fn a_part_of_a_word_is_no_word() {
        let found: Vec<_> = whole_words("customer_id, id, ID2, (ID)", "id").collect();
        assert_eq!(found, [13, 23]);
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("custmer_id", ["order_id", "customer_id"]), Some("customer_id"));
        assert_eq!(nearest("zzz", ["order_id", "customer_id"]), None);
        assert_eq!(
            suggestion("models", "zzz", ["orders", "customers"]),
            "models: orders, customers"
        );
    }

    proptest! {
        #[test]
        fn any_offset_has_a_place(text in "\\PC{0,40}", offset in 0usize..60) {
            let (line, column) = line_and_column(&text, offset);
            prop_assert!(line >= 1 && column >= 1);
        }

        #[test]
        fn found_words_are_the_word(text in "[a-c_ ñ]{0,40}", word in "[a-c]{1,2}") {
            for at in whole_words(&text, &word) {
                prop_assert_eq!(&text[at..at + word.len()], word.as_str());
            }
        }
    }
}
