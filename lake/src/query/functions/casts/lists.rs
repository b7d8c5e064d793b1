//! Lists and text: PostgreSQL's `{1,2}` and `{a,"b c",NULL}`, of which lists are read and as which they are written, and
//! DuckDB's `[1, 2]`, of which they are read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, exec_err, internal_err};

use super::shown::shown;
use super::{OnFailure, cast_array, is_list, item};

/// The lists that the texts say, of items of that type.
///
/// # Errors
/// Execution: a text is no list, or an item is not of the type, unless that is to give null.
pub(super) fn of_text(texts: &StringArray, item: &FieldRef, on_failure: OnFailure) -> Result<ArrayRef> {
    let mut all: Vec<Option<String>> = Vec::new();
    let mut lengths = Vec::with_capacity(texts.len());
    let mut is_there = Vec::with_capacity(texts.len());
    for text in texts {
        let list = match text.map(|text| items(text, is_list(item.data_type()))) {
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

/// The lists with items of that type.
///
/// # Errors
/// Execution: an item has no equal there, unless that is to give null.
pub(super) fn of_items(array: &ArrayRef, item: &FieldRef, on_failure: OnFailure) -> Result<ArrayRef> {
    let (_, offsets, items, nulls) = of_any(array)?.into_parts();
    let items = cast_array(&items, item.data_type(), on_failure)?;
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, items, nulls)?))
}

/// A list of any kind as one with offsets.
pub(super) fn of_any(array: &ArrayRef) -> Result<ListArray> {
    let Some(item) = item(array.data_type()) else {
        return internal_err!("{} is not a list", array.data_type());
    };
    Ok(cast(array, &DataType::List(item.clone()))?.as_list::<i32>().clone())
}

/// The texts of lists.
///
/// # Errors
/// Execution: there is no text of an item.
pub(super) fn to_text(array: &ArrayRef) -> Result<StringArray> {
    let lists = of_any(array)?;
    let is_nested = is_list(lists.values().data_type());
    let items = shown(lists.values())?;
    let text = |row: usize| {
        let places = lists.value_offsets().get(row..row + 2)?;
        let [start, end] = places else { return None };
        let mut out = String::from("{");
        for place in *start..*end {
            let place = usize::try_from(place).ok()?;
            out.push_str(if out.len() > 1 { "," } else { "" });
            match items.is_valid(place).then(|| items.value(place)) {
                None => out.push_str("NULL"),
                Some(item) if is_nested => out.push_str(item),
                Some(item) => write(item, &mut out),
            }
        }
        out.push('}');
        Some(out)
    };
    Ok((0..lists.len())
        .map(|row| lists.is_valid(row).then(|| text(row))?)
        .collect())
}

/// An item, in quotes where it would be read as something else.
fn write(item: &str, out: &mut String) {
    let is_plain = !item.is_empty()
        && !item.eq_ignore_ascii_case("null")
        && !item.contains(|letter: char| matches!(letter, '"' | '\\' | '{' | '}' | ',') || is_space(letter));
    if is_plain {
        out.push_str(item);
        return;
    }
    out.push('"');
    for letter in item.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t'..='\r')
}

/// The items of a list in text, or the texts of the lists in a list of lists. None: it is not one.
fn items(text: &str, of_lists: bool) -> Option<Vec<Option<String>>> {
    let text = text.trim_matches(is_space);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text.strip_prefix('[')?.strip_suffix(']')?,
    };
    let mut items = Vec::new();
    let mut rest = inner.trim_matches(is_space);
    while !rest.is_empty() {
        let (item, after) = if of_lists { list(rest) } else { item_of(rest) }?;
        items.push(item);
        rest = match after.trim_start_matches(is_space).strip_prefix(',') {
            Some(next) => Some(next.trim_start_matches(is_space)).filter(|next| !next.is_empty())?,
            None => Some(after).filter(|after| after.is_empty())?,
        };
    }
    Some(items)
}

/// The first item, and what follows it.
fn item_of(text: &str) -> Option<(Option<String>, &str)> {
    let mut item = String::new();
    if let Some(quoted) = text.strip_prefix('"') {
        let mut letters = quoted.chars();
        loop {
            match letters.next()? {
                '"' => return Some((Some(item), letters.as_str().trim_start_matches(is_space))),
                '\\' => item.push(letters.next()?),
                other => item.push(other),
            }
        }
    }
    let mut letters = text.chars();
    // Spaces at the end are not of the item, unless they are escaped.
    let mut length = 0;
    let mut is_escaped = false;
    let after = loop {
        let after = letters.as_str();
        match letters.next() {
            None | Some(',') => break after,
            Some('{' | '}' | '[' | ']' | '"') => return None,
            Some('\\') => {
                item.push(letters.next()?);
                is_escaped = true;
                length = item.len();
            }
            Some(letter) => {
                item.push(letter);
                length = if is_space(letter) { length } else { item.len() };
            }
        }
    };
    item.truncate(length);
    if item.is_empty() {
        return None;
    }
    let is_null = !is_escaped && item.eq_ignore_ascii_case("null");
    Some(((!is_null).then_some(item), after))
}

/// The first list, as it is written, and what follows it.
fn list(text: &str) -> Option<(Option<String>, &str)> {
    let mut depth = 0_usize;
    let mut is_quoted = false;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()?),
            '"' => is_quoted = !is_quoted,
            '{' | '[' if !is_quoted => depth += 1,
            '}' | ']' if !is_quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let (list, after) = text.split_at(at + 1);
                    return Some((Some(list.to_owned()), after.trim_start_matches(is_space)));
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
            (
                r#"{ a b , \{\,, \null,"" }"#,
                Some(vec![owned("a b"), owned("{,"), owned("null"), owned("")]),
            ),
            ("{1,}", None),
            ("{,}", None),
            ("{1", None),
            ("{{1}}", None),
            ("1,2", None),
        ] {
            assert_eq!(items(text, false), list, "{text}");
        }
        assert_eq!(
            items(r#"{{1,"}"}, {2}}"#, true),
            Some(vec![owned(r#"{1,"}"}"#), owned("{2}")])
        );
        assert_eq!(items("{1}", true), None);
    }

    #[test]
    fn lists_are_read_as_they_are_written() {
        let texts = ["{a,NULL,\"null\",\"\",\"b c\",\"{\",\"\\\"\\\\\"}", "{}", "{a}"];
        let item = FieldRef::new(arrow::datatypes::Field::new_list_field(DataType::Utf8, true));
        let lists = of_text(&StringArray::from(texts.to_vec()), &item, OnFailure::Error).unwrap();
        let written = to_text(&lists).unwrap();
        assert_eq!(written, StringArray::from(texts.to_vec()));
    }
}
