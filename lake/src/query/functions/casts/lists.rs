//! Lists that are written as text: PostgreSQL's `{1,2}` and `{a,"b c",NULL}`, and DuckDB's `[1, 2]`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::FieldRef;
use datafusion::common::{Result, exec_err};

use super::{OnFailure, cast_array};

/// The lists that the texts say, of items of that type.
///
/// # Errors
/// Execution: a text is no list, or an item is not of the type, unless that is to give null.
pub(super) fn of_text(texts: &StringArray, item: &FieldRef, on_failure: OnFailure) -> Result<ArrayRef> {
    let mut all: Vec<Option<String>> = Vec::new();
    let mut lengths = Vec::with_capacity(texts.len());
    let mut is_there = Vec::with_capacity(texts.len());
    for text in texts {
        let list = match text.map(items) {
            Some(None) if on_failure == OnFailure::Error => return exec_err!("malformed array literal"),
            list => list.flatten(),
        };
        is_there.push(list.is_some());
        lengths.push(list.as_ref().map_or(0, Vec::len));
        all.extend(list.into_iter().flatten());
    }
    let all: ArrayRef = Arc::new(all.into_iter().collect::<StringArray>());
    let all = cast_array(&all, item.data_type(), on_failure)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = NullBuffer::from(is_there);
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, all, Some(nulls))?))
}

/// The items of a list in text. None: it is not one, or one of lists.
fn items(text: &str) -> Option<Vec<Option<String>>> {
    let text = text.trim();
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text.strip_prefix('[')?.strip_suffix(']')?,
    };
    let mut items = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let after = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut item = String::new();
                let mut characters = quoted.chars();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => item.push(characters.next()?),
                        other => item.push(other),
                    }
                }
                items.push(Some(item));
                characters.as_str().trim_start()
            }
            None => {
                let (item, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                let item = item.trim();
                if item.is_empty() || item.contains(['{', '}', '[', ']', '"']) {
                    return None;
                }
                items.push((!item.eq_ignore_ascii_case("null")).then(|| item.to_owned()));
                after
            }
        };
        rest = match after.strip_prefix(',') {
            Some(next) => Some(next.trim_start()).filter(|next| !next.is_empty())?,
            None => Some(after).filter(|after| after.is_empty())?,
        };
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn items_are_between_commas() {
        let owned = |item: &str| Some(item.to_owned());
        for (text, list) in [
            ("{}", Some(vec![])),
            ("{1, 2}", Some(vec![owned("1"), owned("2")])),
            ("[1, 2]", Some(vec![owned("1"), owned("2")])),
            (
                r#"{a,"b, \"c",NULL,"NULL"}"#,
                Some(vec![owned("a"), owned("b, \"c"), None, owned("NULL")]),
            ),
            ("{1,}", None),
            ("{1", None),
            ("{{1}}", None),
            ("1,2", None),
        ] {
            assert_eq!(items(text), list, "{text}");
        }
    }
}
