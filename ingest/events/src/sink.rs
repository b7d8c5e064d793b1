//! From hits to entries of the log: the last that happens before they are written.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use chrono_tz::Tz;
use cordada_core::{Error, Result};
use cordada_ingest_formats::values::build::{Notation, is_readable};
use cordada_ingest_source::transform::{PiiKey, Transforms};
use serde_json::{Value, json};

use super::columns::EXTRA;
use super::config::{EventsSource, EventsStream, Secret};
use super::hit::Hit;
use super::privacy::{Privacy, PrivacySignals};
use super::record::{Record, scalar_text};
use cordada_wal::{Entry, Log};

/// Bytes that are kept of a record that could not be read.
const KEPT: usize = 64 << 10;

/// Where the hits of one stream go.
pub(super) struct Sink {
    pub(super) log: Arc<Log>,
    pub(super) write_keys: Vec<Secret>,
    pub(super) token_auth: Option<Secret>,
    transforms: Transforms,
    extracted: Vec<ExtractedColumn>,
}

/// A column that is taken out of a free-form one.
struct ExtractedColumn {
    name: String,
    column: String,
    /// The names on the way to it within the column.
    place: Vec<String>,
    data_type: DataType,
    /// Whether it has a transform, so that its place must not keep it as it was.
    is_hidden: bool,
}

impl Sink {
    /// The sink of a stream.
    ///
    /// # Errors
    /// Conflict if another process has its log; config for a transform without a key.
    pub(super) fn new(
        project: &Path,
        source: (&str, &EventsSource),
        stream: (&str, &EventsStream),
        key: Option<&PiiKey>,
    ) -> Result<Self> {
        let doing = || format!("collecting {}.{}", source.0, stream.0);
        let log = source.1.log(project, source.0, stream.0)?.ok_or_else(|| {
            Error::conflict(doing(), "another process collects the same")
                .hint("stop it, or give this one a project of its own")
        })?;
        let options = stream.1.all_options();
        let extracted = stream.1.extract.iter().map(|(name, path)| {
            let (column, within) = path.split_once('.').unwrap_or((path, ""));
            ExtractedColumn {
                name: name.clone(),
                column: column.to_owned(),
                place: within.split('.').map(str::to_owned).collect(),
                data_type: options.declared(name).cloned().unwrap_or(DataType::Utf8),
                is_hidden: options.column(name).is_some_and(|column| column.transform.is_some()),
            }
        });
        Ok(Self {
            log,
            write_keys: stream.1.write_keys.clone(),
            token_auth: stream.1.token_auth.clone(),
            transforms: Transforms::new(&options, key)?,
            extracted: extracted.collect(),
        })
    }

    /// What is written of the hits.
    ///
    /// # Errors
    /// None that a client could cause.
    pub(super) fn entries(&self, hits: Vec<Hit>, privacy: &Privacy, signals: PrivacySignals) -> Result<Vec<Entry>> {
        let kept = hits.into_iter().filter_map(|hit| privacy.apply(hit, signals));
        kept.map(|hit| match hit {
            Hit::Record(record) => self.record(*record),
            Hit::Malformed { reason, sent } => self.rejected(&reason, &sent),
        })
        .collect()
    }

    fn record(&self, mut record: Record) -> Result<Entry> {
        for extracted in &self.extracted {
            if let Some(value) = extracted.value(&record) {
                record.values_mut().insert(extracted.name.clone(), value);
            }
        }
        for extracted in self.extracted.iter().filter(|extracted| extracted.is_hidden) {
            extracted.clear(&mut record);
        }
        let record = text(&record.finish())?;
        if self.transforms.is_empty() {
            return Ok(Entry::Record(record));
        }
        match self.transforms.apply_json(&record)? {
            Some(record) => Ok(Entry::Record(record)),
            None => self.rejected("what is to be transformed cannot be told apart in it", &Value::Null),
        }
    }

    /// What could not be read cannot be transformed either, so it is not kept where there are transforms.
    fn rejected(&self, reason: &str, sent: &Value) -> Result<Entry> {
        let mut sent = match self.transforms.is_empty() {
            true => scalar_or_json(sent),
            false => "withheld: the stream has columns with a transform".to_owned(),
        };
        sent.truncate(sent.floor_char_boundary(KEPT));
        Ok(Entry::Rejected(text(&json!({"reason": reason, "record": sent}))?))
    }
}

impl ExtractedColumn {
    /// Takes it out of its place.
    fn clear(&self, record: &mut Record) {
        let Some((name, within)) = self.place.split_last() else {
            return;
        };
        if self.column == EXTRA && within.is_empty() {
            record.extra_mut().shift_remove(name);
            return;
        }
        let (first, within) = match (self.column.as_str(), within.split_first()) {
            (EXTRA, Some((first, within))) => (record.extra_mut().get_mut(first), within),
            (column, _) => (record.values_mut().get_mut(column), within),
        };
        let place = first.and_then(|first| within.iter().try_fold(first, |value, name| step_mut(value, name)));
        match place {
            Some(Value::Object(fields)) => drop(fields.shift_remove(name)),
            Some(Value::Array(items)) => {
                if let Some(item) = name.parse().ok().and_then(|at: usize| items.get_mut(at)) {
                    *item = Value::Null;
                }
            }
            _ => {}
        }
    }

    /// What is at its place.
    fn find<'r>(&self, record: &'r Record) -> Option<&'r Value> {
        let (first, within) = match (self.column.as_str(), self.place.split_first()) {
            (EXTRA, Some((first, within))) => (record.extra_value(first)?, within),
            (column, _) => (record.get(column)?, self.place.as_slice()),
        };
        within.iter().try_fold(first, step)
    }

    /// Its value, if that is of its type; it stays in its place unless it has a transform.
    fn value(&self, record: &Record) -> Option<Value> {
        const NOTATION: Notation = Notation {
            point: b'.',
            zone: Tz::UTC,
        };
        let value = self.find(record)?;
        if value.is_object() || value.is_array() {
            return (self.data_type == DataType::Utf8).then(|| Value::from(value.to_string()));
        }
        let text = scalar_text(value);
        let fits = !text.is_empty() && is_readable(text.as_bytes(), &self.data_type, NOTATION);
        fits.then(|| Value::from(text))
    }
}

/// What is called so in an object, or stands there in a list.
fn step<'v>(value: &'v Value, name: &String) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => fields.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

fn step_mut<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(fields) => fields.get_mut(name),
        Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    }
}

fn scalar_or_json(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|_| Error::failed("writing an event", "it has no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Protocol;

    fn extracted(path: &str) -> ExtractedColumn {
        let (column, within) = path.split_once('.').unwrap_or((path, ""));
        ExtractedColumn {
            name: "x".to_owned(),
            column: column.to_owned(),
            place: within.split('.').map(str::to_owned).collect(),
            data_type: DataType::Utf8,
            is_hidden: true,
        }
    }

    #[test]
    fn what_is_hidden_is_taken_out_of_wherever_it_is() {
        for (path, left) in [
            (
                "extra.uid",
                json!({"properties": {"a/b": {"c~d": "ana"}, "list": ["ana"]}, "extra": {"o": {"uid": "ana"}}}),
            ),
            (
                "extra.o.uid",
                json!({"properties": {"a/b": {"c~d": "ana"}, "list": ["ana"]}, "extra": {"o": {}, "uid": "ana"}}),
            ),
            (
                "properties.a/b.c~d",
                json!({"properties": {"a/b": {}, "list": ["ana"]}, "extra": {"o": {"uid": "ana"}, "uid": "ana"}}),
            ),
            (
                "properties.list.0",
                json!({"properties": {"a/b": {"c~d": "ana"}, "list": [null]}, "extra": {"o": {"uid": "ana"}, "uid": "ana"}}),
            ),
        ] {
            let mut record = Record::new(Protocol::Segment);
            record.json("properties", json!({"a/b": {"c~d": "ana"}, "list": ["ana"]}));
            record.extra("o", json!({"uid": "ana"}));
            record.extra("uid", json!("ana"));
            let column = extracted(path);
            assert_eq!(column.value(&record), Some(json!("ana")), "{path}");
            column.clear(&mut record);
            assert_eq!(record.finish(), left, "{path}");
        }
    }
}
