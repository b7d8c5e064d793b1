//! What users write in `sources/*.yml`.

use arrow::datatypes::DataType;

use std::path::Path;

use cordada_core::Result;
use cordada_ingest::{Selection, SourceFile, load_sources};

use super::KINDS;

fn load(text: &str) -> Result<Vec<SourceFile>> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("shop.yml"), text).unwrap();
    load_sources(dir.path(), KINDS)
}

#[test]
fn a_source_is_read_with_its_defaults() {
    let text = "kind: files\ntimezone: Europe/Madrid\nstreams:\n  orders:\n    path: data/orders-*.csv.gz\n    \
                csv: {delimiter: \";\", encoding: latin1, decimal: \",\", nulls: [\"\", \"NULL\"]}\n    \
                key: [OrderID]\n    disposition: merge\n    columns: {email: {pii: email}, zip: {type: text}}\n  \
                items: {path: [a.json, b.json]}\n";
    let sources = load(text).unwrap();
    let source = &sources[0];
    assert_eq!(
        (source.name(), source.schema(), source.streams()),
        ("shop", "raw_shop".into(), vec!["items", "orders"])
    );
    let orders = &source.options()["orders"];
    assert_eq!(orders.key(), ["order_id"]);
    assert_eq!(orders.declared("zip"), Some(&DataType::Utf8));
    assert!(load_sources(Path::new("/nowhere"), KINDS).unwrap().is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let stream = |text: &str| format!("kind: files\nstreams:\n  orders: {{path: a.csv, {text}}}\n");
    for (text, expected) in [
        ("kind: filez\nstreams: {}".to_owned(), "filez"),
        (stream("dispositon: merge"), "did you mean `disposition`"),
        (stream("disposition: merge"), "needs a key"),
        (stream("disposition: upsert"), "upsert"),
        (stream("csv: {delimiter: \"\\n\"}"), "delimiter"),
        (stream("csv: {decimal: \",\"}"), "decimal comma"),
        (stream("csv: {encoding: klingon}"), "klingon"),
        (stream("columns: {a: {type: money}}"), "money"),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("shop.yml"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn selections_name_a_source_or_a_stream() {
    let selection: Selection = "shop.orders".parse().unwrap();
    assert_eq!(
        selection,
        Selection {
            source: "shop".into(),
            stream: Some("orders".into())
        }
    );
    assert!("shop.".parse::<Selection>().is_err());
    assert!("".parse::<Selection>().is_err());
}
