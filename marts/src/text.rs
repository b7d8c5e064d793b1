//! Places in a user's text.

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
    fn a_part_of_a_word_is_not_a_word() {
        let found: Vec<_> = whole_words("customer_id, id, ID2, (ID)", "id").collect();
        assert_eq!(found, [13, 23]);
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
