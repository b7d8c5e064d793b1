//! However many records a system has, however few it gives at a time, whatever it keeps to itself: every kind of
//! pagination reads each record once, as it was written.

use axum::body::Body;
use axum::http::Response;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use super::System;
use super::server::{ReceivedRequest, Server, json, reply};

/// A system: its records, numbered from 1, of which some may be hidden from us.
#[derive(Debug, Clone)]
struct Store {
    records: Vec<Json>,
    hidden: Vec<bool>,
    /// Records of a page, at most, however many are asked for.
    most: usize,
}

impl Store {
    /// Those of a place that are not hidden.
    fn seen(&self, from: usize, size: usize) -> Vec<Json> {
        let places = self.records.iter().zip(&self.hidden).skip(from).take(size);
        places
            .filter(|(_, hidden)| !**hidden)
            .map(|(record, _)| record.clone())
            .collect()
    }

    fn all(&self) -> Vec<Json> {
        self.seen(0, self.records.len())
    }

    fn answer(&self, seen: &ReceivedRequest) -> Response<Body> {
        let size = seen.number("size", usize::MAX).min(self.most);
        let shown = self.all();
        let from = |at: usize| shown.iter().skip(at).take(size).cloned().collect::<Vec<_>>();
        let total = self.records.len();
        match seen.path.as_str() {
            // Its pages are of places, so that what is hidden leaves gaps, and whole pages empty.
            "/page" => {
                let page = seen.number("page", 1);
                json(json!({"items": self.seen((page - 1) * size, size), "total": total}))
            }
            "/last" => {
                let page = seen.number("page", 1);
                json(json!({"items": self.seen((page - 1) * size, size), "pages": total.div_ceil(size)}))
            }
            "/offset" => json(json!(from(seen.number("offset", 0)))),
            "/cursor" => {
                let at = seen.number("after", 0);
                let next = (at + size < shown.len()).then(|| (at + size).to_string());
                json(json!({"items": from(at), "next": next}))
            }
            "/keyset" => {
                let after = seen.number("after", 0) as u64;
                let is_after = |record: &&Json| record["id"].as_u64() > Some(after);
                json(shown.iter().filter(is_after).take(size).cloned().collect())
            }
            "/link" => {
                let at = seen.number("at", 0);
                let next = format!("</link?at={}>; rel=\"next\"", at + size);
                let headers: &[(&str, &str)] = match at + size < total {
                    true => &[("link", &next)],
                    false => &[],
                };
                reply(200, headers, json!(self.seen(at, size)).to_string())
            }
            other => reply(404, &[], other.to_owned()),
        }
    }
}

const STREAMS: &str = r#"
streams:
  page:
    request: {path: /page}
    records: /items
    paginate: {kind: page, param: page, size_param: size, size: SIZE, total: {body: /total}}
  last: {request: {path: /last}, records: /items, paginate: {kind: page, param: page, size_param: size, size: SIZE, total_pages: {body: /pages}}}
  offset: {request: {path: /offset}, paginate: {kind: offset, param: offset, size_param: size, size: SIZE}}
  cursor: {request: {path: /cursor, params: {size: "SIZE"}}, records: /items, paginate: {kind: cursor, next: {body: /next}, param: after}}
  keyset: {request: {path: /keyset}, paginate: {kind: keyset, field: id, param: after, size_param: size, size: SIZE}}
  link: {request: {path: /link}, paginate: {kind: link_header}}
"#;

fn store() -> impl Strategy<Value = Store> {
    let record = (
        "\\PC{0,6}",
        any::<i64>(),
        any::<Option<bool>>(),
        prop::collection::vec(any::<u32>(), 0..3),
    );
    let records = prop::collection::vec((record, prop::bool::weighted(0.2)), 0..30);
    (records, 1usize..8).prop_map(|(records, most)| {
        let (records, hidden): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let record = |(at, (text, number, truth, list)): (usize, (String, i64, Option<bool>, Vec<u32>))| {
            json!({"id": at + 1, "text": text, "number": number, "truth": truth, "within": {"list": list}})
        };
        Store {
            records: records.into_iter().enumerate().map(record).collect(),
            hidden,
            most,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_record_is_read_once_as_it_is(store in store(), size in 1usize..10) {
        let expected = store.all();
        let read = Runtime::new().unwrap().block_on(async {
            let answering = store.clone();
            let server = Server::new(move |seen| answering.answer(seen)).await;
            let system = System::new(&STREAMS.replace("SIZE", &size.to_string()), &server.base);
            let mut read = Vec::new();
            for stream in system.prepared.keys() {
                read.push((stream.clone(), system.records(stream).await));
            }
            read
        });
        for (stream, records) in read {
            // A page of places whose size is not the one that was asked for is one that systems do not have.
            if matches!(stream.as_str(), "page" | "last") && size > store.most {
                continue;
            }
            let records = records.map_err(|error| TestCaseError::fail(format!("{stream}: {error}")))?;
            prop_assert_eq!(&records, &expected, "{}", stream);
        }
    }
}
