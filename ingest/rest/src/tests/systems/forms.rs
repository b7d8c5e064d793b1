//! How systems write their records, where it is not as objects of JSON.

use serde_json::{Map, Value as Json, json};

use super::{DescribedStream, Form};

/// The names of a stream's fields.
fn names(stream: &DescribedStream) -> Vec<&str> {
    stream.record.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Records as their system writes them.
pub(super) fn written(stream: &DescribedStream, records: Vec<Json>) -> Json {
    let of = |name: &str| records.iter().map(|record| record[name].clone()).collect::<Json>();
    match stream.form {
        Form::Objects | Form::Csv => records.into(),
        Form::Sheet => {
            let header = names(stream).into_iter().collect::<Json>();
            let values = records
                .iter()
                .map(|record| record.as_object().unwrap().values().cloned().collect());
            std::iter::once(header).chain(values).collect()
        }
        Form::Columns => names(stream)
            .into_iter()
            .map(|name| (name.to_owned(), of(name)))
            .collect::<Map<_, _>>()
            .into(),
        Form::Cube => {
            let codes = || records.iter().map(|record| record["item"].as_str().unwrap().to_owned());
            let index: Map<_, _> = codes().zip((0..).map(Json::from)).collect();
            let labels: Map<_, _> = codes()
                .zip(records.iter().map(|record| record["label"].clone()))
                .collect();
            json!({
                "version": "2.0", "class": "dataset", "id": ["item"], "size": [records.len()],
                "dimension": {"item": {"category": {"index": index, "label": labels}}},
                "value": of("value"),
            })
        }
    }
}

/// Records as lines, behind a header.
pub(super) fn csv(stream: &DescribedStream, records: &[Json]) -> String {
    let line = |values: Vec<String>| values.join(",") + "\n";
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let header = line(names(stream).into_iter().map(str::to_owned).collect());
    let lines = records
        .iter()
        .map(|record| line(record.as_object().unwrap().values().map(text).collect()));
    std::iter::once(header).chain(lines).collect()
}
