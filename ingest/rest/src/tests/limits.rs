//! A system is never asked more than it allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cordada_http::decode::Format;
use cordada_http::outgoing::Addition;
use futures::future::try_join_all;
use serde_json::json;
use tokio::sync::Barrier;

use super::System;
use super::server::{Server, json, reply};

#[tokio::test]
async fn never_more_requests_are_in_flight_than_allowed() {
    let (in_flight, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // Nobody is answered before three are there, so that there are three, and a fourth would be seen.
    let three = Arc::new(Barrier::new(3));
    let counted = most.clone();
    let server = Server::with(move |_| {
        let (in_flight, most, three) = (in_flight.clone(), counted.clone(), three.clone());
        Box::pin(async move {
            most.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            three.wait().await;
            in_flight.fetch_sub(1, Ordering::SeqCst);
            json(json!([]))
        })
    })
    .await;
    let system = System::new(
        "limits: {concurrency: 3}\nstreams: {a: {request: {path: /a}}}\n",
        &server.base,
    );
    let (run, plan) = (&system.run, system.plan("a"));
    let outgoing = run
        .engine
        .outgoing(&plan.request, &plan.scope(run.load_at), &Addition::default())
        .unwrap();
    let options = Arc::new(run.engine.answer_options(Format::Json, None, []));
    try_join_all((0..12).map(|_| run.engine.ask(&outgoing, &options, &run.cancel)))
        .await
        .unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(server.seen().len(), 12);
}

#[tokio::test]
async fn budgets_are_kept_over_all_pages() {
    let server = Server::new(|seen| {
        let page = seen.number("page", 1);
        json(json!(if page <= 9 {
            vec![json!({"id": page})]
        } else {
            Vec::new()
        }))
    })
    .await;
    let streams = "streams: {a: {request: {path: /a}, paginate: {kind: page, param: page}}}\n";
    for (window, seconds) in [("moving", 30), ("fixed", 30)] {
        let limits = format!("limits: {{budgets: [{{requests: 3, per: 10s, window: {window}}}]}}\n{streams}");
        let system = System::new(&limits, &server.base);
        assert_eq!(system.ids("a").await.unwrap().len(), 9);
        // Ten requests, three in ten seconds.
        assert_eq!(system.clock.elapsed().as_secs(), seconds, "{window}");
    }
}

#[tokio::test]
async fn a_storm_of_429_is_waited_out_as_the_system_says() {
    let asked = AtomicUsize::new(0);
    let server = Server::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => reply(429, &[("retry-after", "120")], ""),
        // Virtual time began at 2024-10-04T00:00:00Z, and two minutes of it have passed.
        1 => reply(429, &[("retry-after", "Fri, 04 Oct 2024 00:05:00 GMT")], ""),
        2 => reply(503, &[("retry-after", "30")], ""),
        3 => reply(429, &[], ""),
        _ => json(json!([{"id": 1}])),
    })
    .await;
    let system = System::new("streams: {a: {request: {path: /a}}}\n", &server.base);
    assert_eq!(system.ids("a").await.unwrap(), [1]);
    let waited = system.clock.elapsed().as_secs();
    assert!((330..=338).contains(&waited), "{waited}");
}

#[tokio::test]
async fn a_system_that_goes_on_refusing_is_unavailable() {
    let server = Server::new(|_| reply(429, &[("retry-after", "7")], "")).await;
    let system = System::new(
        "retry: {attempts: 4}\nstreams: {a: {request: {path: /a}}}\n",
        &server.base,
    );
    let error = system.error("a").await;
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().ends_with("attempts=4"), "{error}");
    assert_eq!((server.seen().len(), system.clock.elapsed().as_secs()), (4, 21));
}

#[tokio::test]
async fn headers_that_tell_the_rest_of_a_budget_are_heeded() {
    let server = Server::new(|seen| {
        let page = seen.number("page", 1);
        let left = if page == 2 { "0" } else { "5" };
        let body = if page < 4 { json!([{"id": page}]) } else { json!([]) };
        reply(200, &[("x-left", left), ("x-reset", "45")], body.to_string())
    })
    .await;
    let system = System::new(
        "limits: {remaining_header: X-Left, reset_header: X-Reset}\n\
         streams: {a: {request: {path: /a}, paginate: {kind: page, param: page}}}\n",
        &server.base,
    );
    assert_eq!(system.ids("a").await.unwrap(), [1, 2, 3]);
    assert_eq!(system.clock.elapsed().as_secs(), 45);
}

#[tokio::test]
async fn a_graphql_bucket_is_left_to_fill() {
    let server = Server::new(|seen| {
        let after = seen.json()["variables"]["after"].as_u64().unwrap_or(0);
        let throttle = json!({"currentlyAvailable": 40, "restoreRate": 10});
        json(json!({
            "data": {"items": [{"id": after}], "next": (after < 2).then_some(after + 1)},
            "extensions": {"cost": {"requestedQueryCost": 100, "throttleStatus": throttle}},
        }))
    })
    .await;
    let system = System::new(
        "limits: {graphql_cost: {requested: /extensions/cost/requestedQueryCost, \
         available: /extensions/cost/throttleStatus/currentlyAvailable, \
         restore_rate: /extensions/cost/throttleStatus/restoreRate}}\n\
         streams: {a: {request: {path: /g, graphql: {query: \"{ a }\"}}, records: /data/items, \
         paginate: {kind: cursor, next: /data/next, into: variables.after}}}\n",
        &server.base,
    );
    assert_eq!(system.ids("a").await.unwrap(), [0, 1, 2]);
    // Twice 60 are missing, at 10 a second.
    assert_eq!(system.clock.elapsed().as_secs(), 12);
}

#[tokio::test]
async fn cancelling_ends_a_wait() {
    let server = Server::new(|_| reply(429, &[("retry-after", "60")], "")).await;
    let system = System::new("streams: {a: {request: {path: /a}}}\n", &server.base);
    system.run.cancel.cancel();
    assert!(system.error("a").await.to_string().contains("cancelled"));
}

#[tokio::test]
async fn a_budget_that_is_used_up_for_hours_is_an_error() {
    let server = Server::new(|seen| {
        let left = if seen.number("page", 1) == 1 { "0" } else { "5" };
        reply(
            200,
            &[("x-left", left), ("x-reset", "40000")],
            json!([{"id": 1}]).to_string(),
        )
    })
    .await;
    let system = System::new(
        "limits: {remaining_header: X-Left, reset_header: X-Reset}\n\
         streams: {a: {request: {path: /a}, paginate: {kind: page, param: page}}}\n",
        &server.base,
    );
    let error = system.error("a").await;
    assert_eq!((error.exit_code(), system.clock.elapsed().as_secs()), (3, 0), "{error}");
    assert!(error.to_string().contains("used up for 40000 s"), "{error}");
}

#[tokio::test]
async fn what_the_system_is_busy_with_is_waited_for_as_long_as_a_rule_says() {
    for (busy, expected) in [(60, Ok(())), (200, Err(()))] {
        let asked = AtomicUsize::new(0);
        let server = Server::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) < busy {
            true => json(json!({"code": "OPERATION_IN_PROGRESS", "data": []})),
            false => json(json!({"data": [{"id": 1}]})),
        })
        .await;
        let rule = "{status: 200, body: /code, equals: OPERATION_IN_PROGRESS, action: retry, wait: 30s, for: 1h}";
        let streams = "streams: {a: {request: {path: /a}, records: /data}}\n";
        let system = System::new(&format!("errors: [{rule}]\n{streams}"), &server.base);
        assert_eq!(system.ids("a").await.map(drop).map_err(drop), expected);
        assert_eq!(system.clock.elapsed().as_secs(), (busy as u64 * 30).min(3600));
    }
}
