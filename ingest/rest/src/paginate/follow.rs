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

/// What to send for the next page, if there is one. `more` says whether there is, `end` whether there is none.
pub(super) fn cursor(answer: &Answer, next: &Locator, more: Option<&Locator>, end: Option<&Locator>) -> Option<Json> {
    if let Some(more) = more
        && is_no(&answer.locate(more)?)
    {
        return None;
    }
    // Without the flag, what to send next decides.
    if let Some(end) = end.and_then(|end| answer.locate(end))
        && !is_no(&end)
    {
        return None;
    }
    let next = answer.locate(next)?;
    let is_none = match &next {
        Json::String(text) => text.is_empty(),
        Json::Bool(true) | Json::Number(_) => false,
        _ => true,
    };
    (!is_none).then_some(next)
}

/// Whether a page says by a flag that another one follows.
pub(super) fn promises(answer: &Answer, more: Option<&Locator>, end: Option<&Locator>) -> bool {
    let more = more.and_then(|more| answer.locate(more));
    let end = end.and_then(|end| answer.locate(end));
    let is_yes = |flag: &Json| !flag.is_null() && !is_no(flag);
    more.is_some_and(|more| is_yes(&more)) || end.is_some_and(|end| is_no(&end))
}

/// Whether a flag says no.
pub(super) fn is_no(flag: &Json) -> bool {
    match flag {
        Json::Bool(yes) => !yes,
        Json::String(text) => text.eq_ignore_ascii_case("false") || text.is_empty() || text == "0",
        Json::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
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
