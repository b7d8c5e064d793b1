//! Columns that were found to hold personal data when there were files already: the log forgets what it said of their
//! values.
//!
//! A file's statistics are minimum and maximum, which are values. When a column gets its tag, the log names the files
//! again with the rest of what it said of them (Delta protocol, "Add File": the last entry of a path counts), so that
//! no checkpoint from then on has such a value. Entries before stay until the log is cleaned up.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use cordada_core::types::PII;
use deltalake::kernel::Add;
use serde_json::value::RawValue;

/// The columns of `now` that have a tag and had none `before`.
pub(crate) fn newly_personal(before: &Schema, now: &Schema) -> Vec<String> {
    let is_new = |name: &str| {
        let old = before.field_with_name(name);
        old.is_ok_and(|old| !old.metadata().contains_key(PII))
    };
    let tagged = now.fields().iter().filter(|field| field.metadata().contains_key(PII));
    tagged
        .map(|field| field.name().clone())
        .filter(|name| is_new(name))
        .collect()
}

/// The file's entry without what it says of those columns; `None` if it says nothing of them.
pub(crate) fn without(add: &Add, columns: &[String]) -> Option<Add> {
    let stats = without_columns(add.stats.as_deref()?, columns)?;
    Some(Add {
        stats: Some(stats),
        data_change: false,
        ..add.clone()
    })
}

/// A file's statistics without those columns; `None` if they are not in them. What cannot be read is left out whole.
/// All else stays as it is written: a number that was read and written again might be another.
fn without_columns(stats: &str, columns: &[String]) -> Option<String> {
    if !columns.iter().any(|column| stats.contains(column.as_str())) {
        return None;
    }
    let all: Result<BTreeMap<String, Box<RawValue>>, _> = serde_json::from_str(stats);
    let Ok(mut all) = all else {
        return Some("{}".to_owned());
    };
    let mut changed = false;
    for kind in ["minValues", "maxValues", "nullCount"] {
        let Some(of_columns) = all.get_mut(kind) else {
            continue;
        };
        let kept: Option<Box<RawValue>> =
            match serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(of_columns.get()) {
                Ok(mut kept) => {
                    let before = kept.len();
                    kept.retain(|name, _| !columns.contains(name));
                    match kept.len() == before {
                        true => continue,
                        false => serde_json::value::to_raw_value(&kept).ok(),
                    }
                }
                Err(_) => None,
            };
        changed = true;
        match kept {
            Some(kept) => *of_columns = kept,
            None => drop(all.remove(kind)),
        }
    }
    changed.then(|| serde_json::to_string(&all).unwrap_or_else(|_| "{}".to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_says_of_other_columns_stays_as_it_is_written() {
        let stats = r#"{"numRecords":2,"minValues":{"email":"ana@","n":0.1000000000000000055,"big":12345678901234567890123},"maxValues":{"email":"zoe@","n":1.10},"nullCount":{"email":0,"n":0}}"#;
        let expected = r#"{"maxValues":{"n":1.10},"minValues":{"big":12345678901234567890123,"n":0.1000000000000000055},"nullCount":{"n":0},"numRecords":2}"#;
        assert_eq!(without_columns(stats, &["email".to_owned()]).unwrap(), expected);
        assert_eq!(without_columns(expected, &["email".to_owned()]), None);
        let of_others = r#"{"numRecords":1,"minValues":{"customer":{"email":"ana@"},"note":"customer"}}"#;
        let expected = r#"{"minValues":{"note":"customer"},"numRecords":1}"#;
        assert_eq!(without_columns(of_others, &["customer".to_owned()]).unwrap(), expected);
        assert_eq!(without_columns(r#"{"note":"email"}"#, &["email".to_owned()]), None);
        assert_eq!(
            without_columns(r#"{"minValues":"email""#, &["email".to_owned()]).unwrap(),
            "{}"
        );
        assert_eq!(
            without_columns(r#"{"minValues":"email"}"#, &["email".to_owned()]).unwrap(),
            "{}"
        );
    }
}
