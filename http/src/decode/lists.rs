//! Tables that are written as lists: rows of values as in a sheet, or columns of values beside each other.

use cordada_core::Result;
use cordada_ingest_formats::headings::Headings;
use cordada_ingest_formats::json::pointer::Pointer;
use cordada_ingest_formats::json::scan::Wanted;
use serde_json::value::RawValue;

use super::rewrite::Members;
use super::{malformed, push_string};

/// The rows of a sheet as an array of objects, named by the first of them. A row ends with its last value, so that it
/// may be shorter; one without any value is none.
pub(super) fn rows(body: &[u8], at: &Pointer) -> Result<Vec<u8>> {
    let Some(text) = find(body, at)? else {
        // A sheet without values is left out; an answer that is an error is not one.
        return match find(body, &Pointer::dotted("error"))? {
            None => Ok(b"[]".to_vec()),
            Some(_) => Err(malformed("a sheet", "it is an error")),
        };
    };
    let wrong = || malformed("a sheet", format!("there are no lists of values at {at}"));
    let rows: Vec<Vec<&RawValue>> = serde_json::from_slice(text).map_err(|_| wrong())?;
    let mut rows = rows.into_iter();
    let header = rows.next().unwrap_or_default();
    let mut headings = Headings::default();
    let mut names = Vec::new();
    for value in header {
        let text = match value.get() {
            "null" => String::new(),
            text => serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()),
        };
        names.push(headings.heading(text.trim()));
    }
    for (at, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
        *name = headings.unnamed(&[numbered(at)]);
    }
    let mut out = vec![b'['];
    for row in rows {
        let is_empty = |value: &&RawValue| matches!(value.get(), "\"\"" | "null");
        if row.iter().all(is_empty) {
            continue;
        }
        while names.len() < row.len() {
            names.push(headings.unnamed(&[numbered(names.len())]));
        }
        let values = row
            .iter()
            .map(|value| if is_empty(value) { "null" } else { value.get() });
        let values = values.chain(std::iter::repeat("null"));
        object(&mut out, names.iter().map(String::as_str).zip(values));
    }
    out.push(b']');
    Ok(out)
}

/// Columns as an array of objects.
pub(super) fn columns(body: &[u8], at: &Pointer) -> Result<Vec<u8>> {
    let wrong = |why: &str| malformed("columns", format!("{why} at {at}"));
    let text = find(body, at)?.ok_or_else(|| wrong("there is nothing"))?;
    let members: Members<'_> = serde_json::from_slice(text).map_err(|_| wrong("there is no object"))?;
    let mut columns = Vec::new();
    for (name, values) in members.iter() {
        let values: Vec<&RawValue> = serde_json::from_str(values.get()).map_err(|_| wrong("a column is not a list"))?;
        columns.push((name, values));
    }
    let length = columns.first().map_or(0, |(_, values)| values.len());
    if columns.iter().any(|(_, values)| values.len() != length) {
        return Err(wrong("the columns are not of one length"));
    }
    let mut out = vec![b'['];
    for row in 0..length {
        let of_row = columns
            .iter()
            .filter_map(|(name, values)| Some((*name, values.get(row)?.get())));
        object(&mut out, of_row);
    }
    out.push(b']');
    Ok(out)
}

/// Hands out the items of an array, or what is there instead of one.
pub(super) fn items(body: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut wanted = Wanted::default();
    wanted.records(&Pointer(Vec::new()));
    let found = wanted
        .find(body)
        .map_err(|malformed| self::malformed("JSON", malformed.why))?;
    let items = found.records.into_iter().filter_map(|place| body.get(place));
    items.into_iter().try_for_each(each)
}

fn find<'b>(body: &'b [u8], at: &Pointer) -> Result<Option<&'b [u8]>> {
    let mut wanted = Wanted::default();
    wanted.value(at);
    let found = wanted
        .find(body)
        .map_err(|malformed| self::malformed("JSON", malformed.why))?;
    Ok(wanted.place(&found, at).and_then(|place| body.get(place)))
}

/// Appends an object, after a comma if it is not the first.
fn object<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a str, &'a str)>) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.push(b'{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_string(out, name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
}

/// What a column is called that has no name.
fn numbered(at: usize) -> String {
    format!("column_{}", at + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(result: Result<Vec<u8>>) -> String {
        String::from_utf8(result.unwrap()).unwrap()
    }

    #[test]
    fn sheets_have_names_for_all_columns() {
        let at = Pointer::dotted("values");
        let sheet = r#"{"values": [["id", "", "a", "a"], [1, "x", 2.50, true], [], [2], [3, "", "", "", "over"]]}"#;
        assert_eq!(
            text(rows(sheet.as_bytes(), &at)),
            r#"[{"id":1,"column_2":"x","a":2.50,"a_2":true},{"id":2,"column_2":null,"a":null,"a_2":null},"#.to_owned()
                + r#"{"id":3,"column_2":null,"a":null,"a_2":null,"column_5":"over"}]"#
        );
        let odd = r#"{"values": [[null, "column_1", "a", "a_2", "a"], [1, 2, 3, 4, 5]]}"#;
        assert_eq!(
            text(rows(odd.as_bytes(), &at)),
            r#"[{"column_1_2":1,"column_1":2,"a":3,"a_2":4,"a_3":5}]"#
        );
        assert_eq!(text(rows(b"{\"range\": \"A1\"}", &at)), "[]");
        assert!(rows(b"{\"values\": [1]}", &at).is_err());
    }

    #[test]
    fn columns_become_rows() {
        let at = Pointer::dotted("hourly");
        let body = r#"{"hourly": {"time": ["2026-01-01T00:00", "2026-01-01T01:00"], "t": [1.50, null]}}"#;
        assert_eq!(
            text(columns(body.as_bytes(), &at)),
            r#"[{"time":"2026-01-01T00:00","t":1.50},{"time":"2026-01-01T01:00","t":null}]"#
        );
        for wrong in [
            r#"{"hourly": {"a": [1], "b": []}}"#,
            r#"{"hourly": {"a": 1}}"#,
            "{}",
            "[1",
        ] {
            assert!(columns(wrong.as_bytes(), &at).is_err(), "{wrong}");
        }
    }
}
