use arrow::array::{Int64Array, MapBuilder, StringBuilder};

use super::*;
use crate::options::ColumnOptions;

pub(super) fn key() -> PiiKey {
    PiiKey::new("correct horse battery staple").unwrap()
}

pub(super) fn transforms(columns: &[(&str, Transform, Option<&str>)]) -> Transforms {
    let column = |(name, transform, pii): &(&str, Transform, Option<&str>)| {
        let options = ColumnOptions {
            transform: Some(*transform),
            pii: pii.map(str::to_owned),
            ..ColumnOptions::default()
        };
        ((*name).to_owned(), options)
    };
    let options = Options {
        columns: columns.iter().map(column).collect(),
        ..Options::default()
    };
    Transforms::new(&options, Some(&key())).unwrap()
}

#[test]
fn hashes_are_stable_keyed_and_of_one_form() {
    assert_eq!(key().hash("a").len(), 64);
    assert_eq!(key().hash("a"), key().hash("a"));
    assert_ne!(
        key().hash("a"),
        PiiKey::new("another secret altogether").unwrap().hash("a")
    );
    let emails = transforms(&[("email", Transform::Hash, Some("email"))]);
    let one = emails.apply_json(br#"{"email":" Ana@Example.ORG"}"#).unwrap();
    let other = emails.apply_json(br#"{"email":"ana@example.org"}"#).unwrap();
    assert_eq!(one, other);
}

#[test]
fn tokens_come_back_with_the_key_alone() {
    for value in ["", "Begoña", "600 123 123"] {
        let token = key().token(value).unwrap();
        assert_eq!(token, key().token(value).unwrap());
        assert_eq!(key().reveal(&token).unwrap(), value);
        let stranger = PiiKey::new("another secret altogether").unwrap();
        assert!(stranger.reveal(&token).is_err());
    }
    for wrong in ["tok_", "tok_AAAA", "abc", "tok_!!!"] {
        assert!(key().reveal(wrong).is_err());
    }
    assert!(PiiKey::new("short").is_err());
}

#[test]
fn json_and_columns_become_the_same() {
    let transforms = transforms(&[
        ("phone", Transform::Hash, None),
        ("customer.email", Transform::Drop, None),
        ("customer.tags", Transform::Hash, None),
    ]);
    let json = transforms
        .apply_json(br#"{"phone": 600, "id": 1, "customer": {"email": "x", "tags": ["a", null], "name": "n"}}"#);
    let json: serde_json::Value = serde_json::from_slice(&json.unwrap().unwrap()).unwrap();
    assert_eq!(json["customer"].get("email"), None);
    assert_eq!(json["customer"]["name"], "n");

    let tags = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>([Some(vec![Some(1), None])]);
    let customer = StructArray::from(vec![
        (
            Arc::new(Field::new("email", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["x"])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("tags", tags.data_type().clone(), true)),
            Arc::new(tags) as ArrayRef,
        ),
    ]);
    let batch = RecordBatch::try_from_iter([
        ("phone", Arc::new(Int64Array::from(vec![600])) as ArrayRef),
        ("customer", Arc::new(customer) as ArrayRef),
    ])
    .unwrap();
    let batch = transforms.apply(&batch).unwrap();
    assert_eq!(batch.schema(), transforms.schema(&batch.schema()));
    assert_eq!(batch.column(0).as_string::<i32>().value(0), json["phone"]);
    let customer = batch.column(1).as_struct();
    assert_eq!(customer.column_names(), ["tags"]);
    let tags: &ListArray = customer.column(0).as_list();
    assert_eq!(tags.values().as_string::<i32>().value(0), key().hash("1"));
    assert!(tags.values().is_null(1));
}

#[test]
fn what_only_becomes_the_same_name_is_not_touched_and_twice_the_same_is() {
    let transforms = transforms(&[("Score %", Transform::Hash, None), ("Score #", Transform::Drop, None)]);
    let alone = transforms.apply_json(br#"{"Score %":1,"Score #":2,"Score":3,"score":4}"#);
    let hash = key().hash("1");
    let expected = format!(r#"{{"Score %":"{hash}","Score":3,"score":4}}"#);
    assert_eq!(String::from_utf8(alone.unwrap().unwrap()).unwrap(), expected);
    let mut names = SourceNames::default();
    let sources = ["Score", "Score #", "Score %", "Score %"].map(str::to_owned);
    let columns = names.assign(&sources);
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter(columns.iter().map(|name| (name, one.clone()))).unwrap();
    let batch = transforms.named(&names).apply(&batch).unwrap();
    let types: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| column.data_type().clone())
        .collect();
    assert_eq!(types, [DataType::Int64, DataType::Utf8, DataType::Utf8]);
}

#[test]
fn what_is_there_in_the_place_of_a_record_is_hidden() {
    let transforms = transforms(&[("customer.email", Transform::Hash, None)]);
    for value in ["\"a@b\"", "600", "true", "[\"a@b\"]", "{\"x\":{\"email\":1}}", "null"] {
        let json = transforms.apply_json(format!("{{\"customer\":{value}}}").as_bytes());
        let json = String::from_utf8(json.unwrap().unwrap()).unwrap();
        let stays = value == "null" || value.starts_with('{');
        assert_eq!(json == format!("{{\"customer\":{value}}}"), stays, "{json}");
        assert!(!json.contains("a@b"), "{json}");
    }
    let texts: ArrayRef = Arc::new(StringArray::from(vec![
        "a@b",
        "[\"a@b\"]",
        "{\"email\":\"a@b\",\"n\":1}",
    ]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(600), None, Some(1)]));
    for column in [texts, numbers] {
        let batch = RecordBatch::try_from_iter_with_nullable([("customer", column, true)]).unwrap();
        let batch = transforms.apply(&batch).unwrap();
        assert_eq!(batch.schema(), transforms.schema(&batch.schema()));
        let texts = batch.column(0).as_string::<i32>();
        assert!(
            texts
                .iter()
                .flatten()
                .all(|text| !text.contains("a@b") && text != "600")
        );
    }
}

#[test]
fn a_column_with_a_dot_hides_nothing_of_another() {
    let transforms = transforms(&[("customer.email", Transform::Hash, None)]);
    let json = transforms
        .apply_json(br#"{"customer":7,"customer.email":"x"}"#)
        .unwrap();
    let expected = format!(r#"{{"customer":7,"customer.email":"{}"}}"#, key().hash("x"));
    assert_eq!(String::from_utf8(json.unwrap()).unwrap(), expected);
    let mut names = SourceNames::default();
    let columns = names.assign(&["customer".to_owned(), "customer.email".to_owned()]);
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter(columns.iter().map(|name| (name, one.clone()))).unwrap();
    let batch = transforms.named(&names).apply(&batch).unwrap();
    assert_eq!(batch.column(0).data_type(), &DataType::Int64);
    assert_eq!(batch.column(1).as_string::<i32>().value(0), key().hash("1"));
}

#[test]
fn records_and_maps_are_hidden_as_json_and_within() {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for (key, value) in [
        ("Email", Some("a@b")),
        ("phone", Some("6")),
        ("x", Some("y")),
        ("z", None),
    ] {
        maps.keys().append_value(key);
        maps.values().append_option(value);
    }
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    let maps: ArrayRef = Arc::new(maps.finish());
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let record: ArrayRef = Arc::new(StructArray::try_from(vec![("a", number)]).unwrap());
    let batch = RecordBatch::try_from_iter([("m", maps.clone()), ("whole", maps), ("r", record)]).unwrap();
    let transforms = transforms(&[
        ("m.email", Transform::Hash, None),
        ("m.phone", Transform::Drop, None),
        ("whole", Transform::Hash, None),
        ("r", Transform::Hash, None),
    ]);
    let hidden = transforms.apply(&batch).unwrap();
    assert_eq!(hidden.schema(), transforms.schema(&batch.schema()));
    let text = spelling::text(hidden.column(0), &Spelling::Canonical).unwrap();
    let expected = format!(r#"{{"Email":"{}","x":"y","z":null}}"#, key().hash("a@b"));
    assert_eq!((text.value(0), text.is_null(1)), (expected.as_str(), true));
    let whole = hidden.column(1).as_string::<i32>();
    assert_eq!(
        whole.value(0),
        key().hash(r#"{"Email":"a@b","phone":"6","x":"y","z":null}"#)
    );
    assert_eq!(hidden.column(2).as_string::<i32>().value(1), key().hash(r#"{"a":2}"#));
}

#[test]
fn a_hash_needs_a_key() {
    let options = Options {
        columns: [(
            "email".to_owned(),
            ColumnOptions {
                transform: Some(Transform::Hash),
                ..ColumnOptions::default()
            },
        )]
        .into(),
        ..Options::default()
    };
    let error = Transforms::new(&options, None).unwrap_err();
    assert!(error.to_string().contains("pii_key"), "{error}");
}
