//! Exports that the system prepares: submitted, polled, downloaded.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::System;
use super::server::{Server, json, reply};

/// A bulk operation as Shopify's: the result lies with somebody else.
const BULK: &str = r#"
auth: {kind: bearer, token: "{{ config.token }}"}
streams:
  lines:
    job:
      submit: {path: /run, json: {query: all}}
      id: /data/id
      poll: {path: "/jobs/{{ job.id }}"}
      every: 10s
      timeout: 1h
      status: /status
      done: [COMPLETED]
      failed: [FAILED]
      url: /url
    filter: record.__parentId
    disposition: replace
"#;

#[tokio::test]
async fn a_result_is_waited_for_and_read_without_credentials() {
    let storage = Server::new(|seen| {
        assert!(seen.header("authorization").is_none() && seen.get("signature") == Some("x"));
        // Children do not follow their parents.
        reply(
            200,
            &[],
            "{\"id\":1,\"__parentId\":\"o2\"}\n{\"id\":\"o1\"}\n{\"id\":2,\"__parentId\":\"o1\"}\n{\"id\":\"o2\"}\n",
        )
    })
    .await;
    let url = format!("{}/result.jsonl?signature=x", storage.base);
    let polls = AtomicUsize::new(0);
    let server = Server::new(move |seen| {
        assert_eq!(seen.header("authorization"), Some("Bearer s3cret"));
        match seen.path.as_str() {
            "/run" => json(json!({"data": {"id": "gid/1"}})),
            "/jobs/gid%2F1" if polls.fetch_add(1, Ordering::SeqCst) < 3 => {
                json(json!({"status": "RUNNING", "url": null}))
            }
            _ => json(json!({"status": "COMPLETED", "url": url})),
        }
    })
    .await;
    let system = System::new(BULK, &server.base);
    let landed = super::incremental::land(&system, "lines", None, &super::incremental::options("replace", &[]))
        .await
        .unwrap();
    assert_eq!(super::ids(&landed.records), [1, 2]);
    assert_eq!((system.clock.elapsed().as_secs(), storage.seen().len()), (40, 1));
}

#[tokio::test]
async fn jobs_that_fail_or_never_end_are_errors_and_empty_ones_are_not() {
    for (status, expected) in [
        ("FAILED", "the job ended as FAILED"),
        ("RUNNING", "not done after 3600 s"),
        ("COMPLETED", ""),
    ] {
        let server = Server::new(move |seen| match seen.path.as_str() {
            "/run" => json(json!({"data": {"id": 1}})),
            _ => json(json!({"status": status, "url": null})),
        })
        .await;
        let system = System::new(BULK, &server.base);
        match expected {
            "" => assert!(system.records("lines").await.unwrap().is_empty()),
            expected => assert!(system.error("lines").await.to_string().contains(expected)),
        }
    }
}

/// A query job as Salesforce's: CSV, part by part.
const QUERY: &str = r#"
streams:
  accounts:
    job:
      submit: {path: /jobs, json: {query: "since {{ cursor.start }}"}}
      id: /id
      poll: {path: "/jobs/{{ job.id }}"}
      status: /state
      done: [JobComplete]
      download: {path: "/jobs/{{ job.id }}/results", params: {locator: "{{ job.locator }}"}}
      locator_header: Sforce-Locator
      format: csv
    incremental: {cursor: Changed, initial: "2020-01-01T00:00:00Z"}
    key: [Id]
"#;

#[tokio::test]
async fn a_result_in_parts_is_read_to_its_end() {
    let broken = AtomicUsize::new(0);
    let server = Server::new(move |seen| match (seen.path.as_str(), seen.get("locator")) {
        ("/jobs", _) => {
            assert_eq!(seen.json(), json!({"query": "since 2020-01-01T00:00:00Z"}));
            json(json!({"id": "j1"}))
        }
        ("/jobs/j1", _) => json(json!({"state": "JobComplete"})),
        ("/jobs/j1/results", None) => reply(200, &[("sforce-locator", "MQ")], "Id,Changed\n1,2026-01-01T00:00:00Z\n"),
        // Half of it, once.
        ("/jobs/j1/results", Some("MQ")) if broken.fetch_add(1, Ordering::SeqCst) == 0 => {
            let half = bytes::Bytes::from_static(b"Id,Changed\n2,2026-01-02T00:00:00Z\n3,20");
            let parts = [Ok(half), Err(std::io::Error::other("broken"))];
            reply(
                200,
                &[("sforce-locator", "null")],
                axum::body::Body::from_stream(futures::stream::iter(parts)),
            )
        }
        ("/jobs/j1/results", Some("MQ")) => reply(
            200,
            &[("sforce-locator", "null")],
            "Id,Changed\n2,2026-01-02T00:00:00Z\n\"3\",2026-01-02T00:00:00Z\n",
        ),
        _ => reply(404, &[], ""),
    })
    .await;
    let system = System::new(QUERY, &server.base);
    let options = super::incremental::options("merge", &["Id"]);
    let landed = super::incremental::land(&system, "accounts", None, &options)
        .await
        .unwrap();
    let ids: Vec<_> = landed.records.iter().map(|record| record["Id"].clone()).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(landed.chunks[0].1, Some(json!({"cursor": "2026-01-02T00:00:00Z"})));
}

#[tokio::test]
async fn a_result_that_is_too_large_ends_at_the_limit() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/run" => json(json!({"data": {"id": 1}})),
        "/result" => reply(200, &[], "{\"id\": 1}\n".repeat(1000)),
        _ => json(json!({"status": "COMPLETED", "url": "/result"})),
    })
    .await;
    let small = BULK.replace("      every: 10s\n", "      every: 10s\n      max_result: 5kB\n");
    let error = System::new(&small, &server.base).error("lines").await;
    assert!(error.to_string().contains("larger than 5000 bytes"), "{error}");
}
