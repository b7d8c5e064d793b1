//! Rows of the Google Ads API, each an object for every resource that the query names
//! (<https://developers.google.com/google-ads/api/rest/common/search>): flat, under the names of the query.

use cordada_core::Result;
use cordada_core::names::snake_case;
use serde_json::value::RawValue;

use super::numbers::{is_fraction, is_whole};
use super::rewrite::Members;
use super::{malformed, push_string};

/// The answer with `results` as `[{"campaign_id": "1", "metrics_clicks": 7}, …]`. Whole numbers of 64 bits are strings:
/// metrics become numbers, identifiers stay.
pub(super) fn to_json(body: &[u8]) -> Result<Vec<u8>> {
    let wrong = |why: &str| malformed("rows of Google Ads", why);
    let answer: Members<'_> = serde_json::from_slice(body).map_err(|_| wrong("it is not an object"))?;
    let mut out = vec![b'{'];
    for (name, value) in answer.iter() {
        if out.len() > 1 {
            out.push(b',');
        }
        push_string(&mut out, name);
        out.push(b':');
        if name != "results" {
            out.extend_from_slice(value.get().as_bytes());
            continue;
        }
        let rows: Vec<Members<'_>> = serde_json::from_str(value.get()).map_err(|_| wrong("a row is not an object"))?;
        out.push(b'[');
        for (number, row) in rows.iter().enumerate() {
            out.extend_from_slice(if number == 0 { b"{" } else { b",{" });
            let mut first = true;
            flat(row, "", &mut first, &mut out)?;
            out.push(b'}');
        }
        out.push(b']');
    }
    // The last page of a query without rows has no results.
    if answer.get("results").is_none() {
        out.extend_from_slice(if out.len() > 1 {
            b",\"results\":[]"
        } else {
            b"\"results\":[]"
        });
    }
    out.push(b'}');
    Ok(out)
}

fn flat(members: &Members<'_>, prefix: &str, first: &mut bool, out: &mut Vec<u8>) -> Result<()> {
    for (name, value) in members.iter() {
        let name = format!("{prefix}{}", snake_case(name));
        if value.get().starts_with('{') {
            let inner: Members<'_> =
                serde_json::from_str(value.get()).map_err(|_| malformed("rows of Google Ads", "it is not JSON"))?;
            flat(&inner, &format!("{name}_"), first, out)?;
            continue;
        }
        if !std::mem::take(first) {
            out.push(b',');
        }
        push_string(out, &name);
        out.push(b':');
        out.extend_from_slice(number(prefix, value).unwrap_or(value.get()).as_bytes());
    }
    Ok(())
}

/// A metric that is a number in a string.
fn number<'a>(prefix: &str, value: &'a RawValue) -> Option<&'a str> {
    let text = value.get().strip_prefix('"')?.strip_suffix('"')?;
    (prefix == "metrics_" && (is_whole(text) || is_fraction(text))).then_some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_flat() {
        let body = r#"{"results":[{"campaign":{"resourceName":"customers/1/campaigns/2","id":"2"},
            "metrics":{"clicks":"7","costMicros":"1230000","conversions":1.50},"segments":{"date":"2026-01-01"}}],
            "nextPageToken":"x"}"#;
        let expected = r#"{"results":[{"campaign_resource_name":"customers/1/campaigns/2","campaign_id":"2","#
            .to_owned()
            + r#""metrics_clicks":7,"metrics_cost_micros":1230000,"metrics_conversions":1.50,"#
            + r#""segments_date":"2026-01-01"}],"nextPageToken":"x"}"#;
        assert_eq!(String::from_utf8(to_json(body.as_bytes()).unwrap()).unwrap(), expected);
        assert_eq!(to_json(b"{}").unwrap(), b"{\"results\":[]}");
        assert_eq!(to_json(b"{\"a\":1}").unwrap(), b"{\"a\":1,\"results\":[]}");
        assert!(to_json(b"{\"results\":[1]}").is_err());
    }
}
