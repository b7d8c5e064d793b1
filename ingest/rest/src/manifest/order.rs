//! Pages that are counted while what they are sorted by changes lose records.
//!
//! Whoever changes while page 1 is read moves behind the last page, and all after it move up by one: the first of
//! page 2 is on page 1 then, which has been read. A cursor by time does not find it again, as it has not changed.

use cordada_http::system::request::Request;
use serde_json::Value as Json;

use super::validate::{Validation, wrong};
use super::{CursorType, Incremental, Order, Paginate};

/// Parts of the names of columns that change with their records.
const CHANGES: [&str; 12] = [
    "activity",
    "change",
    "dateupd",
    "edited",
    "lastmod",
    "lastseen",
    "modif",
    "mtime",
    "popular",
    "revision",
    "update",
    "writedate",
];

/// That counted pages are not sorted by something that changes.
pub(super) fn validate(
    paginate: &Paginate,
    incremental: Option<&Incremental>,
    request: &Request,
    place: &str,
) -> Validation {
    let (Paginate::Page { stable: false, .. } | Paginate::Offset { stable: false, .. }) = paginate else {
        return Ok(());
    };
    let cursor = incremental.and_then(moving_cursor);
    let sorts = sorts(request);
    let is_cursor = |sort: &str, cursor: &str| {
        let direction = sort.strip_prefix(cursor);
        direction.is_some_and(|direction| ["", "asc", "desc", "ascending", "descending"].contains(&direction))
    };
    let moves = |sort: &String| {
        let is_change = CHANGES.iter().any(|change| sort.contains(change));
        is_change || cursor.as_ref().is_some_and(|cursor| is_cursor(sort, cursor))
    };
    let says_so = cursor.is_some() && incremental.is_some_and(|incremental| incremental.order == Order::Ascending);
    match says_so || sorts.iter().any(moves) {
        true => wrong(
            place,
            "records that change while pages are counted move to another page, and others are passed over",
            "sort by a key that stays, or go on after the last key (`kind: keyset`); `stable: true` if what it is \
             sorted by never changes",
        ),
        false => Ok(()),
    }
}

/// The position of a stream, as it is compared, if it is one that changes with the record.
fn moving_cursor(incremental: &Incremental) -> Option<String> {
    let cursor = plain(incremental.cursor.source().rsplit('.').next()?);
    let stays = ["creat", "added", "placed"].iter().any(|word| cursor.contains(word));
    let is_point = incremental.kind.is_time() && incremental.kind != CursorType::Date;
    (is_point && !stays && !cursor.is_empty() && !incremental.cursor.source().contains("{{")).then_some(cursor)
}

/// What a request asks to be sorted by.
fn sorts(request: &Request) -> Vec<String> {
    let mut sorts = Vec::new();
    for (name, value) in &request.params {
        collect(name, value, &mut sorts);
    }
    for body in [&request.json, &request.jsonrpc.as_ref().map(|call| call.params.clone())]
        .into_iter()
        .flatten()
    {
        collect("", body, &mut sorts);
    }
    for (name, value) in request.form.iter().flatten() {
        collect(name, value, &mut sorts);
    }
    if let Some(graphql) = &request.graphql {
        for (name, value) in &graphql.variables {
            collect(name, value, &mut sorts);
        }
        // Arguments in the query itself: `sortKey: UPDATED_AT`, `sort: {updatedAt: ASC}`.
        let words = graphql.query.source().split([' ', '(', ',', '\n']).collect::<Vec<_>>();
        let pairs = words
            .windows(2)
            .filter(|pair| pair[0].ends_with(':') && is_sort(pair[0]));
        sorts.extend(pairs.map(|pair| plain(pair[1])));
    }
    sorts
}

/// The texts and names within what is called a sort.
fn collect(name: &str, value: &Json, sorts: &mut Vec<String>) {
    if is_sort(name) {
        let text = value.to_string();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
        sorts.extend(words.map(|word| plain(word.rsplit('.').next().unwrap_or(word))));
        return;
    }
    match value {
        Json::Object(entries) => entries.iter().for_each(|(name, value)| collect(name, value, sorts)),
        Json::Array(items) => items.iter().for_each(|item| collect("", item, sorts)),
        _ => {}
    }
}

fn is_sort(name: &str) -> bool {
    let name = plain(name);
    name.contains("sort") || ["order", "orderby", "ordering", "orderbys"].contains(&name.as_str())
}

/// A name without what languages write differently: `updated_at` and `updatedAt` are the same.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}
