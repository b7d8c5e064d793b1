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
        return if state.pages.saturating_add(1) < pages {
            Next::Page
        } else {
            Next::End
        };
    }
    if let (Some(total), Some(size)) = (total.and_then(|locator| number(&answer.locate(locator)?)), size) {
        // Pages are counted, not records: some that a page should have may be kept from us, even all of them. Or the
        // system gives fewer than it is asked for: the page after the last one tells.
        let is_last = state.pages.saturating_add(1).saturating_mul(size) >= total;
        let is_whole = state.records.saturating_add(answer.rows()) >= total;
        return match (is_last, is_whole || answer.rows() == 0) {
            (true, true) => Next::End,
            (true, false) => Next::Perhaps,
            (false, _) => Next::Page,
        };
    }
    by_offset(state, answer, size, total)
}

/// What follows a page that began after so many records.
pub(super) fn by_offset(state: &Position, answer: &Answer, size: Option<u64>, total: Option<&Locator>) -> Next {
    let rows = answer.rows();
    if let Some(total) = total.and_then(|locator| number(&answer.locate(locator)?)) {
        // A page without records is passed over where it is known how many it should have had.
        let passed = if rows == 0 { size } else { Some(rows) };
        return match passed {
            Some(passed) if state.offset.saturating_add(passed) < total => {
                is_there(size.is_some_and(|size| state.offset.saturating_add(size) >= total))
            }
            _ => Next::End,
        };
    }
    if rows == 0 {
        return Next::End;
    }
    short(rows, size).unwrap_or(Next::Page)
}

/// What a page means that has fewer records than were asked for; nothing if it has as many.
///
/// It may be the last one, or the system gives fewer than it is asked for, or keeps some to itself: the next page
/// tells.
pub(super) fn short(rows: u64, size: Option<u64>) -> Option<Next> {
    match size {
        _ if rows == 0 => Some(Next::End),
        Some(size) if rows < size => Some(Next::Perhaps),
        _ => None,
    }
}

/// The header that asks for records from `first` on.
pub(super) fn range(unit: &str, first: u64, size: u64) -> (HeaderName, String) {
    let last = first.saturating_add(size.saturating_sub(1));
    (RANGE, format!("{unit}={first}-{last}"))
}

/// What follows a page with `Content-Range: unit first-last/total`.
pub(super) fn by_range(state: &Position, answer: &Answer, size: u64) -> Next {
    let rows = answer.rows();
    let total = answer
        .header("content-range")
        .and_then(|range| range.rsplit_once('/')?.1.trim().parse::<u64>().ok());
    match total {
        _ if rows == 0 => Next::End,
        Some(total) if state.records.saturating_add(rows) < total => {
            is_there(state.records.saturating_add(size) >= total)
        }
        Some(_) => Next::End,
        None => short(rows, Some(size)).unwrap_or(Next::Page),
    }
}

/// What follows where the total says that there are more records: nothing may, if those that are missing should have been
/// on this page, as some are kept from us.
fn is_there(was_last: bool) -> Next {
    if was_last { Next::Perhaps } else { Next::Page }
}

/// A number, also as a text.
fn number(value: &Json) -> Option<u64> {
    match value {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    }
}
