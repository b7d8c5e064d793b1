//! OData's JSON, without what is about records rather than in them.
//!
//! V2: <https://www.odata.org/documentation/odata-version-2-0/json-format/>, V4: OData JSON Format 4.01. Decimals are
//! strings in V2, as is a document's number: which are which, the manifest says.

use chrono::{DateTime, SecondsFormat};
use serde_json::value::RawValue;

use super::rewrite::{Member, Members, Notation, Replacement};

/// V2, also called verbose JSON.
pub(super) struct V2;

/// V4, and V3's light JSON.
pub(super) struct V4;

impl Notation for V2 {
    const NAME: &'static str = "OData V2";

    fn member(&self, _depth: usize, key: &str, value: &RawValue) -> Member {
        // A navigation that was not expanded is only its address.
        let deferred =
            || serde_json::from_str::<Members<'_>>(value.get()).is_ok_and(|it| it.get("__deferred").is_some());
        match key == "__metadata" || (value.get().starts_with('{') && deferred()) {
            true => Member::Goes,
            false => Member::Stays,
        }
    }

    fn object<'a>(&self, depth: usize, members: &Members<'a>) -> Replacement<'a> {
        // Within a record: an expanded collection.
        match members.get("results") {
            Some(results) if depth > 1 && members.len() == 1 => Replacement::Value(results),
            _ => Replacement::Itself,
        }
    }

    fn string(&self, text: &str) -> Option<String> {
        let ticks = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
        let digits = ticks.trim_start_matches('-').find(['+', '-']);
        let sign = ticks.len() - ticks.trim_start_matches('-').len();
        let (millis, offset) = ticks.split_at(digits.map_or(ticks.len(), |at| at + sign));
        let minutes: i64 = if offset.is_empty() { 0 } else { offset.parse().ok()? };
        // The ticks of a time with an offset are those of its wall clock.
        let millis = millis.parse::<i64>().ok()?.checked_sub(minutes.checked_mul(60_000)?)?;
        let time = DateTime::from_timestamp_millis(millis)?;
        Some(format!("\"{}\"", time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
    }
}

/// The same answer with its records at `/d/results`: one record, or the array of OData V1, comes without `results`.
pub(super) fn results(answer: Vec<u8>) -> Vec<u8> {
    let Ok(root) = serde_json::from_slice::<Members<'_>>(&answer) else {
        return answer;
    };
    let Some(d) = root.get("d").map(RawValue::get) else {
        return answer;
    };
    let has_results = || serde_json::from_str::<Members<'_>>(d).is_ok_and(|it| it.get("results").is_some());
    match d.as_bytes().first() {
        Some(b'[') => format!("{{\"d\":{{\"results\":{d}}}}}").into_bytes(),
        Some(b'{') if !has_results() => format!("{{\"d\":{{\"results\":[{d}]}}}}").into_bytes(),
        _ => answer,
    }
}

/// The same answer with its records at `/value`: a single entity comes without.
pub(super) fn value(answer: Vec<u8>) -> Vec<u8> {
    let is_entity = serde_json::from_slice::<Members<'_>>(&answer)
        .is_ok_and(|root| root.len() > 0 && root.get("value").is_none() && root.get("error").is_none());
    match is_entity {
        true => [b"{\"value\":[", &answer[..], b"]}"].concat(),
        false => answer,
    }
}

impl Notation for V4 {
    const NAME: &'static str = "OData V4";

    fn member(&self, depth: usize, key: &str, _value: &RawValue) -> Member {
        // Names have no `@`: with one it is an annotation, `@odata.etag` or `Price@odata.type`. Pages need the
        // answer's.
        let of_the_answer = ["count", "nextLink", "deltaLink"];
        let kept = |name: &str| depth == 0 && of_the_answer.contains(&name.trim_start_matches("odata."));
        match key.split_once('@') {
            Some((of, name)) if !(of.is_empty() && kept(name)) => Member::Goes,
            _ => Member::Stays,
        }
    }
}
