//! Any text is JSON or is not, as another reader says, and no path into it panics.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::canonical::canonical;
use super::path::Path;
use super::scan::{Kind, Value};

proptest! {
    #[test]
    fn what_is_json_is_what_another_reader_says(text in r#"[\[\]{}":,0-9a-fnrtulse.+\\ ñ-]{0,40}"#) {
        let other = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        prop_assert_eq!(Value::read(&text).is_some(), other, "{}", text);
    }

    #[test]
    fn no_path_panics(text in r#"[$.\[\]*"'a-c0-9#?(@=><&)! -]{0,24}"#) {
        let value = Value::read(r#"{"a": [1, {"b": "c"}], "b": null}"#).unwrap();
        if let Ok(path) = Path::parse(&text) {
            let all = path.find_all(value);
            prop_assert_eq!(path.find(value), all.first().copied());
        }
    }
}

#[test]
fn strings_are_read_with_their_escapes() {
    let value = Value::read(r#" "a\n\"\u00f1\ud83d\ude00\ud800" "#).unwrap();
    assert_eq!(value.text(), "a\n\"ñ😀\u{fffd}");
}

#[test]
fn the_last_of_several_names_is_meant_and_numbers_keep_their_spelling() {
    let value = Value::read(r#"{"b": 1, "a": 1.10, "b": 12345678901234567890.5}"#).unwrap();
    assert_eq!(value.member("b").unwrap().raw(), "12345678901234567890.5");
    assert_eq!(canonical(value), r#"{"a": 1.10, "b": 12345678901234567890.5}"#);
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(Value::read(&deep(400)).unwrap().kind(), Kind::Array);
    assert!(Value::read(&deep(100_000)).is_none());
}

#[test]
fn conditions_of_paths_are_postgresqls() {
    let value = Value::read(r#"{"a": [{"n": 1, "s": "x"}, {"n": 2.5, "s": "xy"}, {"n": null}, {"m": 1}], "least": 2}"#)
        .unwrap();
    for (path, right) in [
        (r"$.a[*] ? (@.n > 1)", vec![r#"{"n": 2.5, "s": "xy"}"#]),
        (r"$.a ? (@.n > $.least).s", vec![r#""xy""#]),
        (r#"$.a[*] ? (@.s starts with "x" && @.n < 2).n"#, vec!["1"]),
        (r"$.a[*] ? (@.n == null).n", vec!["null"]),
        (r"$.a[*]?(exists(@.m)).m", vec!["1"]),
        (r"$.a[*] ? (!(@.n > 0)).n", vec!["null"]),
        (r#"$.a[*] ? ((@.s > 0) is unknown).n"#, vec!["1", "2.5"]),
        (r"$.a.n", vec!["1", "2.5", "null"]),
        (r"strict $.a.n", vec![]),
        (r"$.least[0]", vec!["2"]),
    ] {
        let found = Path::parse(path).unwrap().find_lax(value);
        let found: Vec<_> = found.into_iter().map(Value::raw).collect();
        assert_eq!(found, right, "{path}");
    }
    assert!(Path::parse("$.a ? (@.n >)").is_err());
}
