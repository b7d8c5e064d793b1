//! Loads that begin where the last one came to: from any state, nothing is skipped and nothing lands twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cordada_core::Result;
use cordada_core::progress::Silent;
use cordada_core::source_names::SourceNames;
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_source::extract::{Extraction, Rows, State};
use cordada_ingest_source::options::Options;
use cordada_ingest_source::transform::Transforms;
use serde_json::{Value as Json, json};

use super::System;
use super::server::{Server, json};
use crate::extraction::{ExtractionRequest, RestExtraction};

/// What a load extracted.
pub(super) struct LoadResult {
    pub(super) records: Vec<Json>,
    /// Of each chunk: how many records it has, and the state after it.
    pub(super) chunks: Vec<(usize, Option<State>)>,
}

pub(super) fn options(disposition: &str, key: &[&str]) -> Options {
    Options {
        disposition: Some(serde_json::from_value(json!(disposition)).unwrap()),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        ..Options::default()
    }
}

pub(super) async fn land(system: &System, stream: &str, state: Option<State>, options: &Options) -> Result<LoadResult> {
    land_in(system, stream, state, options, u64::MAX).await
}

/// Lands a stream in chunks of at least so many bytes.
async fn land_in(
    system: &System,
    stream: &str,
    state: Option<State>,
    options: &Options,
    chunk: u64,
) -> Result<LoadResult> {
    let request = ExtractionRequest {
        name: stream.to_owned(),
        state,
        replace: options.disposition() == cordada_ingest_source::options::Disposition::Replace,
        transforms: Arc::new(Transforms::new(options, None)?),
        records: Arc::new(Reading::of_records(
            options.declared_types(&SourceNames::default()),
            chrono_tz::UTC,
        )),
        task: Arc::new(Silent),
        personal_parents: false,
    };
    let mut extraction = RestExtraction::new(request, system.run.clone(), system.plan(stream), options)?;
    extraction.chunk = chunk;
    let mut extracted = LoadResult {
        records: Vec::new(),
        chunks: Vec::new(),
    };
    while let Some(chunk) = extraction.next().await? {
        let Rows::Records(spools) = chunk.rows else {
            panic!("these are not records");
        };
        let text: String = spools.into_iter().map(|spool| spool.text().unwrap()).collect();
        let records: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        extracted.chunks.push((records.len(), chunk.state));
        extracted.records.extend(records);
    }
    Ok(extracted)
}

/// Records `(id, minute of the day)` that a system has by now.
type Store = Arc<Mutex<Vec<(u64, u64)>>>;

fn at(minute: u64) -> String {
    format!(
        "2026-06-{:02}T{:02}:{:02}:00Z",
        1 + minute / 1440,
        minute / 60 % 24,
        minute % 60
    )
}

/// A system that answers with what changed from `since` on (and until `until`), two records a page, sorted or not.
async fn changes(store: &Store, sorted: bool) -> Server {
    let store = store.clone();
    Server::new(move |seen| {
        let mut rows = store.lock().unwrap().clone();
        if sorted {
            rows.sort_by_key(|(id, minute)| (*minute, *id));
        }
        let since = seen.get("since").unwrap_or_default().to_owned();
        let until = seen.get("until").unwrap_or("9").to_owned();
        let rows = rows
            .iter()
            .map(|(id, minute)| json!({"id": id, "info": {"at": at(*minute)}}));
        let fits = |row: &Json| {
            let at = row["info"]["at"].as_str().unwrap();
            at >= since.as_str() && at <= until.as_str()
        };
        let page = seen.number("page", 1);
        let rows: Vec<_> = rows.filter(fits).skip((page - 1) * 2).take(2).collect();
        json(json!(rows))
    })
    .await
}

const STREAMS: &str = r#"
defaults:
  request: {path: /a, params: {since: "{{ cursor.start }}"}}
  paginate: {kind: page, param: page, size: 2, stable: true}
streams:
  plain: {incremental: {cursor: info.at}}
  lagging: {incremental: {cursor: info.at, lag: 10m}}
  sorted: {incremental: {cursor: info.at, order: ascending}}
  windows:
    request: {params: {until: "{{ cursor.end }}"}}
    incremental: {cursor: info.at, initial: "2026-06-01T00:00:00Z", window: 10d, format: "%Y-%m-%dT%H:%M:%SZ"}
"#;

#[tokio::test]
async fn only_what_changed_is_read_and_lands_once() {
    let store: Store = Arc::new(Mutex::new(vec![(1, 10), (2, 20), (3, 20), (4, 15)]));
    for sorted in [false, true] {
        let server = changes(&store, sorted).await;
        let system = System::new(STREAMS, &server.base);
        let append = options("append", &["id"]);
        let first = land(&system, "plain", None, &append).await.unwrap();
        assert_eq!(first.records.len(), 4);
        let state = first.chunks[0].1.clone();
        assert_eq!(state.as_ref().unwrap()["cursor"], "2026-06-01T00:20:00Z");
        assert_eq!(state.as_ref().unwrap()["known"].as_array().unwrap().len(), 2);
        // Nothing new: the two at the boundary are read again and dropped, and there is nothing to commit.
        let second = land(&system, "plain", state.clone(), &append).await.unwrap();
        assert!(second.chunks.is_empty());
        assert_eq!(server.seen().last().unwrap().get("since"), Some("2026-06-01T00:20:00Z"));
        // One more at the boundary, one changed, one new.
        *store.lock().unwrap() = vec![(1, 30), (2, 20), (3, 20), (4, 15), (5, 20), (6, 40)];
        let third = land(&system, "plain", state, &append).await.unwrap();
        let mut ids = super::ids(&third.records);
        ids.sort_unstable();
        assert_eq!(ids, [1, 5, 6]);
        *store.lock().unwrap() = vec![(1, 10), (2, 20), (3, 20), (4, 15)];
    }
}

#[tokio::test]
async fn late_records_are_found_within_the_lag() {
    let store: Store = Arc::new(Mutex::new(vec![(1, 10), (2, 20)]));
    let server = changes(&store, false).await;
    let system = System::new(STREAMS, &server.base);
    let append = options("append", &["id"]);
    let first = land(&system, "lagging", None, &append).await.unwrap();
    store.lock().unwrap().extend([(3, 12), (4, 9)]);
    let second = land(&system, "lagging", first.chunks[0].1.clone(), &append)
        .await
        .unwrap();
    assert_eq!(super::ids(&second.records), [3]);
    // Merged rows are one row however often they are read.
    let merge = options("merge", &["id"]);
    let merged = land(
        &system,
        "lagging",
        Some(json!({"cursor": "2026-06-01T00:20:00Z"})),
        &merge,
    )
    .await
    .unwrap();
    assert_eq!(super::ids(&merged.records), [1, 2, 3]);
    assert!(merged.chunks[0].1.as_ref().unwrap().get("known").is_none());
}

#[tokio::test]
async fn a_sorted_stream_can_be_cut_and_goes_on_from_every_cut() {
    let rows: Vec<_> = (0..9).map(|id| (id, 10 + id / 2)).collect();
    let store: Store = Arc::new(Mutex::new(rows));
    let server = changes(&store, true).await;
    let system = System::new(STREAMS, &server.base);
    for (disposition, key) in [("append", &["id"][..]), ("append", &[]), ("merge", &["id"])] {
        let options = options(disposition, key);
        let whole = land_in(&system, "sorted", None, &options, 1).await.unwrap();
        assert!(whole.chunks.len() >= 4, "{}", whole.chunks.len());
        let mut before = 0;
        // Whatever was committed when the process was killed, what follows is the rest.
        for (rows, state) in &whole.chunks {
            before += rows;
            let rest = land_in(&system, "sorted", state.clone(), &options, 1).await.unwrap();
            let landed = whole.records[..before].iter().chain(&rest.records);
            let mut times: BTreeMap<u64, usize> = BTreeMap::new();
            landed.for_each(|record| *times.entry(record["id"].as_u64().unwrap()).or_default() += 1);
            assert_eq!(times.len(), 9, "{disposition}");
            assert!(
                disposition == "merge" || times.values().all(|times| *times == 1),
                "{disposition}: {times:?}"
            );
        }
    }
}

#[tokio::test]
async fn long_ranges_are_read_window_by_window() {
    let day = 1440;
    // One on the edge of two windows, none in the third.
    let store: Store = Arc::new(Mutex::new(vec![
        (1, day),
        (2, 10 * day),
        (3, 10 * day + 1),
        (4, 29 * day),
    ]));
    let server = changes(&store, false).await;
    let system = System::at(STREAMS, &server.base, "2026-07-10T12:00:00Z");
    let append = options("append", &["id"]);
    let whole = land(&system, "windows", None, &append).await.unwrap();
    assert_eq!(super::ids(&whole.records), [1, 2, 3, 4]);
    let states: Vec<_> = whole
        .chunks
        .iter()
        .map(|(_, state)| state.as_ref().unwrap()["cursor"].clone())
        .collect();
    assert_eq!(states[..2], ["2026-06-11T00:00:00Z", "2026-06-21T00:00:00Z"]);
    let asked: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| seen.number("page", 1) == 1)
        .map(|seen| seen.get("since").unwrap().to_owned())
        .collect();
    assert_eq!(
        asked,
        [
            "2026-06-01T00:00:00Z",
            "2026-06-11T00:00:00Z",
            "2026-06-21T00:00:00Z",
            "2026-07-01T00:00:00Z"
        ]
    );
    let mut before = 0;
    for (rows, state) in &whole.chunks {
        before += rows;
        let rest = land(&system, "windows", state.clone(), &append).await.unwrap();
        let landed: Vec<_> = whole.records[..before].iter().chain(&rest.records).cloned().collect();
        assert_eq!(super::ids(&landed), [1, 2, 3, 4]);
    }
    // A replacement is not cut by windows, and remembers nothing.
    let replaced = land(&system, "windows", None, &options("replace", &[])).await.unwrap();
    assert_eq!(replaced.chunks.len(), 1);
    assert_eq!(replaced.chunks[0].1, None);
}

#[tokio::test]
async fn what_has_no_cursor_is_rejected_where_it_could_land_twice() {
    let server = Server::new(|_| json(json!([{"id": 1}, {"id": 2, "info": {"at": "2026-06-01"}}]))).await;
    let streams = "streams: {a: {request: {path: /a}, incremental: {cursor: info.at}}}\n";
    let system = System::new(streams, &server.base);
    let appended = land(&system, "a", None, &options("append", &["id"])).await.unwrap();
    assert_eq!(super::ids(&appended.records), [2]);
    let merged = land(&system, "a", None, &options("merge", &["id"])).await.unwrap();
    assert_eq!(super::ids(&merged.records), [1, 2]);
}

#[tokio::test]
async fn an_emptied_source_is_a_chunk_of_a_replacement_only() {
    let server = Server::new(|_| json(json!([]))).await;
    let system = System::new("streams: {a: {request: {path: /a}}}\n", &server.base);
    assert_eq!(
        land(&system, "a", None, &options("replace", &[])).await.unwrap().chunks,
        [(0, None)]
    );
    assert!(
        land(&system, "a", None, &options("merge", &["id"]))
            .await
            .unwrap()
            .chunks
            .is_empty()
    );
}

#[tokio::test]
async fn filters_and_transforms_apply_before_anything_is_written() {
    let server =
        Server::new(|_| json(json!([{"id": 1, "email": "a@x"}, {"id": 2, "status": "draft"}, {"id": 3.10}]))).await;
    let system = System::new(
        "streams: {a: {request: {path: /a}, filter: record.status != 'draft'}}\n",
        &server.base,
    );
    let mut options = options("replace", &[]);
    options.columns = serde_json::from_value(json!({"email": {"pii": "email", "transform": "drop"}})).unwrap();
    let landed = land(&system, "a", None, &options).await.unwrap();
    assert_eq!(landed.records, [json!({"id": 1}), json!({"id": 3.10})]);
}

/// Two parents with positions of their own, and children that follow their parents' position.
const FAMILIES: &str = r#"
streams:
  shops: {request: {path: /shops, params: {since: "{{ cursor.start }}"}}, incremental: {cursor: at, type: counter}}
  sales:
    request: {path: "/sales/{{ parent.shop }}", params: {since: "{{ cursor.start }}"}}
    parent: {stream: shops, fields: {shop: id}, include: [shop]}
    incremental: {cursor: at, type: counter, per_parent: true}
  staff:
    request: {path: "/staff/{{ parent.shop }}"}
    parent: {stream: shops, fields: {shop: id}, incremental: true}
    key: [id]
"#;

async fn family(newest: &Arc<Mutex<u64>>) -> Server {
    let newest = newest.clone();
    Server::new(move |seen| {
        let newest = *newest.lock().unwrap();
        let since = seen.get("since").map_or(0, |since| since.parse::<u64>().unwrap());
        let from = |rows: Vec<Json>| {
            json(
                rows.into_iter()
                    .filter(|row| row["at"].as_u64().unwrap() >= since)
                    .collect(),
            )
        };
        match seen.path.as_str() {
            "/shops" => from(vec![
                json!({"id": "north", "at": 1}),
                json!({"id": "south", "at": newest}),
            ]),
            "/sales/north" => from(vec![json!({"id": 1, "at": 100}), json!({"id": 2, "at": 100 + newest})]),
            "/sales/south" => from(vec![json!({"id": 3, "at": 5})]),
            "/staff/north" => json(json!([{"id": 1}])),
            _ => json(json!([{"id": 2}, {"id": 3}])),
        }
    })
    .await
}

#[tokio::test]
async fn each_parent_may_have_a_position_of_its_own() {
    let newest = Arc::new(Mutex::new(2));
    let server = family(&newest).await;
    let system = System::new(FAMILIES, &server.base);
    let append = options("append", &["id"]);
    let first = land(&system, "sales", None, &append).await.unwrap();
    assert_eq!(first.records.len(), 3);
    assert_eq!(
        first.records.iter().filter(|record| record["shop"] == "north").count(),
        2
    );
    let state = first.chunks[0].1.clone();
    let parents = &state.as_ref().unwrap()["parents"];
    assert_eq!(parents[r#"{"shop":"north"}"#]["cursor"], "102");
    assert_eq!(parents[r#"{"shop":"south"}"#]["cursor"], "5");
    *newest.lock().unwrap() = 3;
    let second = land(&system, "sales", state, &append).await.unwrap();
    assert_eq!(super::ids(&second.records), [2]);
    let last = |path: &str| {
        server
            .seen()
            .iter()
            .rfind(|seen| seen.path == path)
            .unwrap()
            .get("since")
            .map(str::to_owned)
    };
    assert_eq!(
        (last("/sales/north").as_deref(), last("/sales/south").as_deref()),
        (Some("102"), Some("5"))
    );
}

#[tokio::test]
async fn children_may_follow_the_position_of_their_parents() {
    let newest = Arc::new(Mutex::new(2));
    let server = family(&newest).await;
    let system = System::new(FAMILIES, &server.base);
    let merge = options("merge", &["id"]);
    let first = land(&system, "staff", None, &merge).await.unwrap();
    assert_eq!(first.records.len(), 3);
    assert_eq!(first.chunks[0].1, Some(json!({"parent": {"cursor": "2"}})));
    *newest.lock().unwrap() = 7;
    let second = land(&system, "staff", first.chunks[0].1.clone(), &merge).await.unwrap();
    assert_eq!(super::ids(&second.records), [2, 3]);
    assert_eq!(second.chunks[0].1, Some(json!({"parent": {"cursor": "7"}})));
    assert_eq!(server.count("/staff/north"), 1);
}
