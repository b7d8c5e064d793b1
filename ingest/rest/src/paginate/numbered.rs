//! Pages that are counted.

use cordada_http::answer::Answer;
use cordada_ingest_formats::json::pointer::Locator;
use reqwest::header::{HeaderName, RANGE};
use serde_json::Value as Json;

use super::{Next, Position};

/// What follows a page with a number.
pub(super) fn by_page(
    state: &Position,
    answer: &Answer,
    size: Option<u64>,
    total_pages: Option<&Locator>,
    total: Option<&Locator>,
) -> Next {
    if let Some(pages) = total_pages.and_then(|locator| number(&answer.locate(locator)?)) {
        return if state.pages + 1 < pages { Next::Page } else { Next::End };
    }
    by_offset(state, answer, size, total)
}

/// What follows a page that began after so many records.
pub(super) fn by_offset(state: &Position, answer: &Answer, size: Option<u64>, total: Option<&Locator>) -> Next {
    let rows = answer.rows();
    if rows == 0 {
        return Next::End;
    }
    if let Some(total) = total.and_then(|locator| number(&answer.locate(locator)?)) {
        return if state.records + rows < total {
            Next::Page
        } else {
            Next::End
        };
    }
    short(state, rows, size).unwrap_or(Next::Page)
}

/// What a page means that has fewer records than were asked for; nothing if it has as many.
///
/// It is the last one, unless the system gives fewer than it is asked for: then all are short. Before a longer one has
/// been seen, a round number of records may be such a limit, and the next page tells.
pub(super) fn short(state: &Position, rows: u64, size: Option<u64>) -> Option<Next> {
    if rows == 0 {
        return Some(Next::End);
    }
    let is_short = size.is_some_and(|size| rows < size);
    is_short.then_some(match rows < state.longest || !rows.is_multiple_of(5) {
        true => Next::End,
        false => Next::Perhaps,
    })
}

/// The header that asks for records from `first` on.
pub(super) fn range(unit: &str, first: u64, size: u64) -> (HeaderName, String) {
    (RANGE, format!("{unit}={first}-{}", first + size.saturating_sub(1)))
}

/// What follows a page with `Content-Range: unit first-last/total`.
pub(super) fn by_range(state: &Position, answer: &Answer, size: u64) -> Next {
    let rows = answer.rows();
    let total = answer
        .header("content-range")
        .and_then(|range| range.rsplit_once('/')?.1.trim().parse::<u64>().ok());
    match total {
        _ if rows == 0 => Next::End,
        Some(total) if state.records + rows < total => Next::Page,
        Some(_) => Next::End,
        None => short(state, rows, Some(size)).unwrap_or(Next::Page),
    }
}

/// A number, also as a text.
fn number(value: &Json) -> Option<u64> {
    match value {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    }
}
