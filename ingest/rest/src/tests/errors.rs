//! Answers that are errors, and what is made of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::System;
use super::server::{Server, json, reply};
use crate::check::Checked;
use crate::plan::look_up;

#[tokio::test]
async fn the_first_rule_that_matches_decides() {
    let asked = AtomicUsize::new(0);
    let server = Server::new(move |seen| match seen.path.as_str() {
        "/gone" => reply(410, &[], ""),
        "/throttled" if asked.fetch_add(1, Ordering::SeqCst) < 2 => {
            json(json!({"errors": [{"extensions": {"code": "THROTTLED"}}], "data": null}))
        }
        "/throttled" => json(json!({"data": [{"id": 1}]})),
        "/accepted" => reply(404, &[], r#"{"data": [{"id": 2}]}"#),
        "/denied" => json(json!({"errors": [{"extensions": {"code": "ACCESS_DENIED"}, "message": "ana@example.org"}]})),
        "/other" => json(json!({"errors": [{"message": "ana@example.org"}], "data": []})),
        "/none" => json(json!({"errors": [], "data": [{"id": 3}]})),
        _ => reply(
            400,
            &[],
            r#"{"error": {"code": "E17", "message": "field x is wrong\n", "text": "ana@example.org"}}"#,
        ),
    })
    .await;
    let system = System::new(
        r#"
errors:
  - {status: [404, 410], body: /data, action: accept}
  - {status: [404, 410], action: ignore}
  - {status: 200, body: /errors/0/extensions/code, equals: [THROTTLED, BUSY], action: retry, wait: 3s}
  - {body: /errors/0/extensions/code, contains: DENIED, action: fail, hint: ask for access}
error_body: {code: /error/code, message: /error/message}
defaults: {records: /data}
streams:
  gone: {request: {path: /gone}}
  throttled: {request: {path: /throttled, graphql: {query: "{ a }"}}}
  accepted: {request: {path: /accepted}}
  denied: {request: {path: /denied, graphql: {query: "{ a }"}}}
  other: {request: {path: /other, graphql: {query: "{ a }"}}}
  none: {request: {path: /none, graphql: {query: "{ a }"}}}
  wrong: {request: {path: /wrong}}
"#,
        &server.base,
    );
    assert_eq!(system.ids("gone").await.unwrap(), Vec::<u64>::new());
    assert_eq!(system.ids("throttled").await.unwrap(), [1]);
    assert_eq!(system.clock.elapsed().as_secs(), 6);
    assert_eq!(system.ids("accepted").await.unwrap(), [2]);
    assert_eq!(system.ids("none").await.unwrap(), [3]);
    let denied = system.error("denied").await.to_string();
    assert!(
        denied.contains("; ask for access") && !denied.contains("ana@"),
        "{denied}"
    );
    let other = system.error("other").await.to_string();
    assert!(
        other.contains("answers with an error") && !other.contains("ana@"),
        "{other}"
    );
    let wrong = system.error("wrong").await.to_string();
    assert!(
        wrong.ends_with("/wrong: the system answers 400 Bad Request: E17: field x is wrong"),
        "{wrong}"
    );
}

#[tokio::test]
async fn failures_that_pass_are_waited_out_and_others_are_not() {
    for (status, requests, code) in [
        (500, 6, 3),
        (502, 6, 3),
        (408, 6, 3),
        (400, 1, 1),
        (404, 1, 1),
        (403, 1, 2),
        (304, 1, 1),
    ] {
        let server = Server::new(move |_| reply(status, &[], "")).await;
        let system = System::new("streams: {a: {request: {path: /a}}}\n", &server.base);
        let error = system.error("a").await;
        assert_eq!((server.seen().len(), error.exit_code()), (requests, code), "{error}");
        assert!(error.to_string().contains(&format!("{status}")), "{error}");
    }
}

#[tokio::test]
async fn a_web_page_is_not_a_data() {
    for (content_type, body) in [
        ("text/html; charset=utf-8", "ana@example.org"),
        ("application/json", " <!DOCTYPE html><html>ana@"),
    ] {
        let server = Server::new(move |_| reply(200, &[("content-type", content_type)], body)).await;
        let error = System::new("streams: {a: {request: {path: /a}}}\n", &server.base)
            .error("a")
            .await
            .to_string();
        assert!(
            error.contains("a web page instead of data") && !error.contains("ana@"),
            "{error}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_where_the_records_should_be_is_an_error() {
    let server = Server::new(|_| json(json!({"rows": [5, "ana@example.org"], "none": null}))).await;
    let system = System::new(
        "streams:\n  missing: {request: {path: /a}, records: /items}\n  \
         optional: {request: {path: /a}, records: {at: /items, optional: true}}\n  \
         none: {request: {path: /a}, records: /none}\n",
        &server.base,
    );
    assert!(
        system
            .error("missing")
            .await
            .to_string()
            .contains("there is nothing at /items")
    );
    assert!(system.records("optional").await.unwrap().is_empty());
    assert!(system.records("none").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_empty_answer_has_no_records() {
    let server = Server::new(|_| reply(204, &[], "")).await;
    let system = System::new("streams: {a: {request: {path: /a}, records: /items}}\n", &server.base);
    assert!(system.records("a").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_look_up_that_a_stream_can_do_without_may_be_refused() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/fields" => reply(403, &[], ""),
        _ => json(json!([{"id": 1}])),
    })
    .await;
    let lookup = |optional: bool| {
        format!(
            "streams:\n  a:\n    lookups: {{fields: {{request: {{path: /fields}}, at: /x, optional: {optional}}}}}\n    \
             request: {{path: /a, params: {{fields: '{{{{ lookup.fields }}}}'}}}}\n"
        )
    };
    let mut system = System::new(&lookup(true), &server.base);
    system.looked_up = look_up(&system.run, &system.prepared, "a").await.unwrap();
    assert_eq!(system.ids("a").await.unwrap(), [1]);
    let system = System::new(&lookup(false), &server.base);
    assert!(look_up(&system.run, &system.prepared, "a").await.is_err());
}

#[tokio::test]
async fn a_check_that_failed_for_a_moment_is_asked_again_and_one_that_was_answered_is_not() {
    let asked = AtomicUsize::new(0);
    let server = Server::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => reply(503, &[], ""),
        _ => json(json!({})),
    })
    .await;
    let manifest = "retry: {attempts: 1}\ncheck: {path: /ping}\nstreams: {a: {request: {path: /a}}}\n";
    let system = System::new(manifest, &server.base);
    let checked = Checked::default();
    assert_eq!(checked.system(&system.run).await.unwrap_err().exit_code(), 3);
    for _ in 0..2 {
        checked.system(&system.run).await.unwrap();
    }
    assert_eq!(server.seen().len(), 2);
}
