//! Pages that say where the next one is.

use cordada_core::{Error, Result};
use cordada_http::answer::Answer;
use cordada_ingest_formats::json::pointer::{Locator, Pointer};
use cordada_ingest_formats::json::scan;
use serde_json::Value as Json;

/// The address of the next page.
pub(super) fn address(answer: &Answer, body: Option<&Pointer>, header: Option<&str>) -> Option<String> {
    let of_body = body.and_then(|pointer| answer.value(pointer)?.as_str().map(str::to_owned));
    let address = of_body.or_else(|| answer.header(header?).map(str::to_owned))?;
    Some(address).filter(|address| !address.trim().is_empty())
}

/// What to send for the next page; none if there is none.
pub(super) fn cursor(answer: &Answer, next: &Locator, more: Option<&Locator>) -> Option<Json> {
    if let Some(more) = more {
        let more = answer.locate(more)?;
        let says_no = match &more {
            Json::Bool(more) => !more,
            Json::String(text) => text.eq_ignore_ascii_case("false") || text.is_empty(),
            Json::Number(number) => number.as_f64() == Some(0.0),
            _ => false,
        };
        if says_no {
            return None;
        }
    }
    let next = answer.locate(next)?;
    let is_none = match &next {
        Json::String(text) => text.is_empty(),
        Json::Bool(true) | Json::Number(_) => false,
        _ => true,
    };
    (!is_none).then_some(next)
}

/// The value in the last record that the next page begins after.
pub(super) fn last(answer: &Answer, field: &str) -> Result<Json> {
    let last = answer.last().unwrap_or_default();
    scan::value(last, &Pointer::dotted(field))
        .filter(|value| !value.is_null())
        .ok_or_else(|| {
            Error::failed("going on to the next page", format!("the last record has no `{field}`"))
                .hint("check `paginate.field` in the manifest")
        })
}
