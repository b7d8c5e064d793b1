//! Reports of Google Analytics 4, whose rows are values without names
//! (<https://developers.google.com/analytics/devguides/reporting/data/v1/rest/v1beta/properties/runReport>).

use std::borrow::Cow;

use cordada_core::Result;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::numbers::{is_fraction, is_whole};
use super::{malformed, push_string, without_mark};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    #[serde(borrow, default)]
    dimension_headers: Vec<Header<'a>>,
    #[serde(borrow, default)]
    metric_headers: Vec<Header<'a>>,
    #[serde(borrow, default)]
    rows: Vec<Row<'a>>,
    /// Left out where there are none.
    #[serde(default)]
    row_count: u64,
    /// What it is instead of a report.
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow, default)]
    dimension_values: Vec<Value<'a>>,
    #[serde(borrow, default)]
    metric_values: Vec<Value<'a>>,
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

/// The report as `{"rowCount": …, "rows": [{"date": "20260101", "sessions": 7}, …]}`.
pub(super) fn to_json(body: &[u8]) -> Result<Vec<u8>> {
    let wrong = |why: &str| malformed("a report of Google Analytics", why);
    let report: Report<'_> = serde_json::from_slice(without_mark(body)).map_err(|_| wrong("it is none"))?;
    let error = report
        .error
        .map(|error| format!("\"error\":{},", error.get()))
        .unwrap_or_default();
    let mut out = format!("{{{error}\"rowCount\":{},\"rows\":[", report.row_count).into_bytes();
    for (number, row) in report.rows.iter().enumerate() {
        if row.dimension_values.len() != report.dimension_headers.len()
            || row.metric_values.len() != report.metric_headers.len()
        {
            return Err(wrong("a row has more values than there are headers, or fewer").with("row", number));
        }
        out.extend_from_slice(if number == 0 { b"{" } else { b",{" });
        let headers = report.dimension_headers.iter().chain(&report.metric_headers);
        let values = row.dimension_values.iter().chain(&row.metric_values);
        for (at, (header, value)) in headers.zip(values).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_string(&mut out, &header.name);
            out.push(b':');
            let is_metric = at >= report.dimension_headers.len();
            match &value.value {
                Some(number) if is_metric && (is_whole(number) || is_fraction(number)) => {
                    out.extend_from_slice(number.as_bytes());
                }
                Some(text) => match day(&header.name, text) {
                    Some(day) => push_string(&mut out, &day),
                    None => push_string(&mut out, text),
                },
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// A day as others write it: Google writes `20260901`.
fn day(dimension: &str, text: &str) -> Option<String> {
    let is_day = matches!(dimension, "date" | "firstSessionDate") && text.len() == 8;
    let day = chrono::NaiveDate::parse_from_str(text, "%Y%m%d")
        .ok()
        .filter(|_| is_day)?;
    Some(day.to_string())
}
