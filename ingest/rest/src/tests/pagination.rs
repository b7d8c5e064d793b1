//! Every kind of pagination reads every record once, and none goes on for ever.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value as Json, json};

use super::System;
use super::server::{ReceivedRequest, Server, json, reply};

/// Records of the tests, numbered from 1.
const ROWS: usize = 23;

fn items(from: usize, size: usize) -> Vec<Json> {
    (1..=ROWS).skip(from).take(size).map(|id| json!({"id": id})).collect()
}

/// One system with every kind of pagination.
fn answer(seen: &ReceivedRequest) -> Response<Body> {
    let size = seen.number("size", 10);
    let page = seen.number("page", 1);
    match seen.path.as_str() {
        "/one" => json(json!(items(0, ROWS))),
        "/page" => json(json!({"items": items((page - 1) * size, size)})),
        "/page0" => json(json!({"items": items(page * size, size), "pages": ROWS.div_ceil(size).to_string()})),
        // Past the end it repeats its last page.
        "/repeats" => {
            let page = page.min(ROWS.div_ceil(size));
            json(json!({"items": items((page - 1) * size, size), "total_count": ROWS}))
        }
        "/offset" => json(json!(items(seen.number("offset", 0), size))),
        // Whatever it is asked for, it gives 5 at most.
        "/capped" => json(json!(items(seen.number("offset", 0), size.min(5)))),
        "/link" => {
            let next = format!(
                "<{}?page={}&size=10>; rel=\"next\", </>; rel=\"first\"",
                seen.path,
                page + 1
            );
            let headers: &[(&str, &str)] = if page < 3 { &[("link", &next)] } else { &[] };
            reply(200, headers, json!(items((page - 1) * size, size)).to_string())
        }
        "/next" => {
            let next = (page < 3).then(|| format!("next?page={}", page + 1));
            json(json!({"d": {"results": items((page - 1) * 10, 10), "__next": next}}))
        }
        "/absolute" => {
            let next = format!("http://{}/absolute?page={}", seen.header("host").unwrap(), page + 1);
            json(
                json!({"value": items((page - 1) * 10, 10), "@odata.nextLink": if page < 3 { next } else { String::new() }}),
            )
        }
        "/cursor" => {
            let from = seen.number("after", 0);
            json(json!({"items": items(from, 10), "paging": {"next": (from + 10 < ROWS).then_some(from + 10)}}))
        }
        "/header" => {
            let from = seen.number("after", 0);
            let next = (from + 10).to_string();
            let headers: &[(&str, &str)] = if from + 10 < ROWS { &[("x-next", &next)] } else { &[] };
            reply(200, headers, json!(items(from, 10)).to_string())
        }
        "/keyset" => json(json!(items(seen.number("since", 0), 10))),
        "/range" => {
            let range = seen.header("range").unwrap().strip_prefix("items=").unwrap();
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let total = format!("items {first}-{}/{ROWS}", last.min(ROWS - 1));
            reply(
                206,
                &[("content-range", &total)],
                json!(items(first, last + 1 - first)).to_string(),
            )
        }
        "/graphql" => {
            let variables = &seen.json()["variables"];
            let from = variables["after"].as_str().map_or(0, |after| after.parse().unwrap());
            let edges: Vec<_> = items(from, 10).into_iter().map(|node| json!({"node": node})).collect();
            let page = json!({"hasNextPage": from + 10 < ROWS, "endCursor": (from + 10).to_string()});
            json(json!({"data": {"orders": {"edges": edges, "pageInfo": page}}}))
        }
        "/rpc" => {
            let call = seen.json();
            json(
                json!({"jsonrpc": "2.0", "id": 1, "result": items(call["params"][0]["offset"].as_u64().unwrap() as usize, 10)}),
            )
        }
        other => reply(404, &[], other.to_owned()),
    }
}

const STREAMS: &str = r#"
streams:
  one: {request: {path: /one}}
  page: {request: {path: /page}, records: /items, paginate: {kind: page, param: page, size_param: size, size: 10}}
  page_without_size: {request: {path: /page}, records: /items, paginate: {kind: page, param: page}}
  page0:
    request: {path: /page0}
    records: /items
    paginate: {kind: page, param: page, start: 0, size_param: size, size: 5, total_pages: {body: /pages}}
  repeats:
    request: {path: /repeats, params: {page: "{{ page.number }}"}}
    records: /items
    paginate: {kind: page, size_param: size, size: 10, total: {body: /total_count}}
  offset: {request: {path: /offset}, paginate: {kind: offset, param: offset, size_param: size, size: 10}}
  capped: {request: {path: /capped}, paginate: {kind: offset, param: offset, size_param: size, size: 10}}
  link: {request: {path: /link}, paginate: {kind: link_header, size_param: size, size: 10}}
  next: {request: {path: /next}, records: /d/results, paginate: {kind: next_url, body: /d/__next}}
  absolute: {request: {path: /absolute}, records: /value, paginate: {kind: next_url, body: "/@odata.nextLink"}}
  cursor: {request: {path: /cursor}, records: /items, paginate: {kind: cursor, next: {body: /paging/next}, param: after}}
  header: {request: {path: /header}, paginate: {kind: cursor, next: {header: X-Next}, param: after}}
  keyset: {request: {path: /keyset}, paginate: {kind: keyset, field: id, param: since, size: 10}}
  keyset_by_template:
    request: {path: /keyset, params: {since: "{{ page.after }}"}}
    paginate: {kind: keyset, field: id, start: 0}
  range: {request: {path: /range}, paginate: {kind: content_range, size: 10}}
  graphql:
    request: {path: /graphql, graphql: {query: "{ orders }", variables: {first: 10}}}
    records: /data/orders/edges/*/node
    paginate:
      kind: cursor
      next: {body: /data/orders/pageInfo/endCursor}
      more: {body: /data/orders/pageInfo/hasNextPage}
      into: variables.after
  rpc:
    request: {path: /rpc, jsonrpc: {method: read, params: [{limit: 10, offset: 0}]}}
    records: /result
    paginate: {kind: offset, into: params.0.offset, size: 10}
"#;

#[tokio::test]
async fn every_kind_reads_every_record_once() {
    let server = Server::new(answer).await;
    let system = System::new(STREAMS, &server.base);
    let expected: Vec<u64> = (1..=ROWS as u64).collect();
    for stream in system.prepared.keys() {
        let ids = system
            .ids(stream)
            .await
            .unwrap_or_else(|error| panic!("{stream}: {error}"));
        assert_eq!(ids, expected, "{stream}");
    }
    // A page that is shorter than asked for need not be the last one: the next one tells.
    assert_eq!(server.count("/offset"), 4);
}

/// Systems whose pages never end, each in its own way.
fn endless(seen: &ReceivedRequest) -> Response<Body> {
    let page = seen.number("page", 1);
    let offset = seen.number("offset", 0);
    match seen.path.as_str() {
        "/same" => reply(
            200,
            &[("link", "</same?page=2>; rel=next")],
            json!([{"id": 1}, {"id": 2}]).to_string(),
        ),
        "/circle" => {
            let next = format!("</circle?page={}>; rel=next", page % 3 + 1);
            reply(200, &[("link", &next)], json!([{"id": page}]).to_string())
        }
        "/cursor" => json(json!({"items": [{"id": page + offset}], "next": (offset + 1) % 4})),
        "/new" => json(json!({"items": [{"id": offset}], "next": offset + 1})),
        "/stuck" => json(json!([{"id": 7, "at": page}, {"id": 8, "at": 7}])),
        other => reply(404, &[], other.to_owned()),
    }
}

#[tokio::test]
async fn no_kind_goes_on_for_ever() {
    let server = Server::new(endless).await;
    let streams = r#"
limits: {max_pages: 20}
streams:
  page: {request: {path: /same}, paginate: {kind: page, param: p}}
  offset: {request: {path: /same}, paginate: {kind: offset, param: o, size: 2}}
  range: {request: {path: /same}, paginate: {kind: content_range, size: 2}}
  link: {request: {path: /same}, paginate: {kind: link_header}}
  circle: {request: {path: /circle}, paginate: {kind: link_header}}
  cursor: {request: {path: /cursor}, records: /items, paginate: {kind: cursor, next: {body: /next}, param: offset}}
  new: {request: {path: /new}, records: /items, paginate: {kind: cursor, next: {body: /next}, param: offset}}
  keyset: {request: {path: /stuck}, paginate: {kind: keyset, field: at, param: since}}
  keyset_without: {request: {path: /stuck}, paginate: {kind: keyset, field: none, param: since}}
"#;
    let system = System::new(streams, &server.base);
    for (stream, expected) in [
        ("page", "same as the page before"),
        ("offset", "same as the page before"),
        ("range", "same as the page before"),
        ("link", "same as the page before"),
        ("circle", "has been read already"),
        ("cursor", "has been read already"),
        ("new", "more than 20 pages"),
        ("keyset", "same as the page before"),
        ("keyset_without", "the last record has no `none`"),
    ] {
        let error = system.error(stream).await;
        assert!(error.to_string().contains(expected), "{stream}: {error}");
    }
}

#[tokio::test]
async fn a_next_page_on_another_host_is_refused() {
    let other = Server::new(|_| json(json!([]))).await;
    let next = format!("{}/?key=s3cret", other.base);
    let server = Server::new(move |_| json(json!({"items": [{"id": 1}], "next": next}))).await;
    let system = System::new(
        "auth: {kind: bearer, token: \"{{ config.token }}\"}\n\
         streams: {a: {request: {path: /a}, records: /items, paginate: {kind: next_url, body: /next}}}\n",
        &server.base,
    );
    let error = system.error("a").await;
    assert!(error.to_string().contains("another host: 127.0.0.1"), "{error}");
    assert!(other.seen().is_empty());
}

/// Pages that say less than they seem to: short ones and empty ones in the middle, flags that mean the end, cursors
/// that stay.
fn sparse(seen: &ReceivedRequest) -> Response<Body> {
    let page = seen.number("page", 1);
    let offset = seen.number("offset", 0);
    let some = |ids: &[u64]| ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>();
    match seen.path.as_str() {
        // Five are asked for, and some of a page are kept from us.
        "/short" => json(json!(
            [&[1, 2, 3, 4, 5][..], &[6, 7], &[8, 9, 10, 11, 12], &[13], &[]]
                .get(page - 1)
                .map_or_else(Vec::new, |ids| some(ids))
        )),
        "/beyond" if page > 2 => reply(404, &[], r#"{"detail": "Invalid page."}"#),
        "/beyond" => json(json!(some(if page == 1 { &[1, 2, 3, 4, 5] } else { &[6, 7] }))),
        "/counted" => {
            let ids: &[u64] = [&[1, 2, 3, 4, 5][..], &[], &[11, 12]]
                .get(page - 1)
                .copied()
                .unwrap_or_default();
            json(json!({"items": some(ids), "total": 12}))
        }
        "/offset" => {
            let ids: &[u64] = match offset {
                0 => &[1, 2, 3, 4, 5],
                10 => &[11, 12],
                _ => &[],
            };
            json(json!({"items": some(ids), "total": 12}))
        }
        "/end" => {
            let ids: &[u64] = [&[1, 2][..], &[], &[3]]
                .get(seen.number("cursor", 0))
                .copied()
                .unwrap_or_default();
            let next = seen.number("cursor", 0) + 1;
            json(json!({"items": some(ids), "after": next.to_string(), "end_of_stream": next == 3}))
        }
        // It begins with the last one of the page before.
        "/inclusive" => {
            let all = [1, 2, 3, 4];
            let from = seen.number("since", 1) as u64;
            json(json!(some(
                &all.into_iter().filter(|id| *id >= from).take(3).collect::<Vec<_>>()
            )))
        }
        "/alternating" => {
            let (id, next) = match seen.get("cursor") {
                None => (1, "a"),
                Some("a") => (2, "b"),
                Some(_) => (3, "a"),
            };
            json(json!({"items": some(&[id]), "next": next}))
        }
        "/two" => json(json!(some(if page % 2 == 1 { &[1, 2] } else { &[3, 4] }))),
        other => reply(404, &[], other.to_owned()),
    }
}

#[tokio::test]
async fn pages_say_less_than_they_seem_to() {
    let server = Server::new(sparse).await;
    let streams = r#"
streams:
  short: {request: {path: /short}, paginate: {kind: page, param: page, size: 5}}
  beyond: {request: {path: /beyond}, paginate: {kind: page, param: page, size: 5}}
  counted: {request: {path: /counted}, records: /items, paginate: {kind: page, param: page, size: 5, total: /total}}
  offset: {request: {path: /offset}, records: /items, paginate: {kind: offset, param: offset, size: 5, total: /total}}
  end: {request: {path: /end}, records: /items, paginate: {kind: cursor, next: /after, end: /end_of_stream, param: cursor}}
  inclusive: {request: {path: /inclusive}, paginate: {kind: keyset, field: id, param: since, size: 3}}
  alternating: {request: {path: /alternating}, records: /items, paginate: {kind: cursor, next: /next, param: cursor}}
  two: {request: {path: /two}, paginate: {kind: page, param: page}}
"#;
    let system = System::new(streams, &server.base);
    for (stream, expected) in [
        ("short", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13][..]),
        ("beyond", &[1, 2, 3, 4, 5, 6, 7]),
        ("counted", &[1, 2, 3, 4, 5, 11, 12]),
        ("offset", &[1, 2, 3, 4, 5, 11, 12]),
        ("end", &[1, 2, 3]),
        ("inclusive", &[1, 2, 3, 3, 4, 4]),
    ] {
        assert_eq!(system.ids(stream).await.unwrap(), expected, "{stream}");
    }
    for stream in ["alternating", "two"] {
        let error = system.error(stream).await.to_string();
        assert!(error.contains("has been read already"), "{stream}: {error}");
    }
}

#[tokio::test]
async fn an_error_in_place_of_a_page_is_not_its_end() {
    for body in [
        r#"{"error": {"code": "ACCESS_DENIED", "message": "the token ran out"}}"#,
        r#"{"message": "Unauthorized", "code": 401}"#,
        r#"{"success": false}"#,
        r#"[{"errorCode": "EXPIRED", "message": "log in again"}]"#,
        r#"{"id": 9}"#,
    ] {
        let server = Server::new(move |seen| match seen.number("page", 1) {
            1 => json(json!([{"id": 1}, {"id": 2}])),
            _ => reply(200, &[], body),
        })
        .await;
        let system = System::new(
            "streams: {a: {request: {path: /a}, key: [id], paginate: {kind: page, param: page, size: 3}}}\n",
            &server.base,
        );
        let error = system.error("a").await.to_string();
        assert!(error.contains("the status is 200, but"), "{body}: {error}");
        assert!(!error.contains("ran out") && !error.contains("log in"), "{error}");
    }
}

#[tokio::test]
async fn a_next_page_on_a_trusted_host_is_followed() {
    let other = Server::new(|seen| {
        assert_eq!(seen.header("authorization"), Some("Bearer s3cret"));
        json(json!({"items": [{"id": 2}]}))
    })
    .await;
    let next = format!("{}/", other.base);
    let trusted = next.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let server = Server::new(move |_| json(json!({"items": [{"id": 1}], "next": next}))).await;
    let system = System::new(
        &format!(
            "trusted_hosts: [\"{trusted}\"]\nauth: {{kind: bearer, token: \"{{{{ config.token }}}}\"}}\n\
             streams: {{a: {{request: {{path: /a}}, records: /items, paginate: {{kind: next_url, body: /next}}}}}}\n"
        ),
        &server.base,
    );
    assert_eq!(system.ids("a").await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn records_that_are_kept_from_us_do_not_fail_the_load() {
    // The last of them is counted and not shown, and what lies behind the last page is refused.
    let server = Server::new(|seen| {
        let size = seen.number("size", 10);
        let (begin, end) = match seen.path.as_str() {
            "/page" => ((seen.number("page", 1) - 1) * size, ROWS),
            _ => (seen.number("offset", 0), ROWS - 1),
        };
        if begin >= end {
            return reply(404, &[], "");
        }
        let mut shown = items(begin, size);
        shown.retain(|item| item["id"] != ROWS);
        json(json!({"items": shown, "total": ROWS}))
    })
    .await;
    let system = System::new(
        r#"
errors: [{status: 404, action: fail, hint: there is no such list}]
defaults: {records: /items}
streams:
  page: {request: {path: /page}, paginate: {kind: page, param: page, size_param: size, size: 10, total: {body: /total}}}
  offset: {request: {path: /offset}, paginate: {kind: offset, param: offset, size_param: size, size: 10, total: {body: /total}}}
"#,
        &server.base,
    );
    let shown: Vec<_> = (1..ROWS as u64).collect();
    for stream in ["page", "offset"] {
        assert_eq!(system.ids(stream).await.unwrap(), shown, "{stream}");
    }
}
