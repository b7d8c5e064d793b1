#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use reqwest::{Client, Response};
use serde_json::Value;

use super::*;
use crate::calendar::Moment;
use crate::documents::{self, Documents};

const QUIET: Limits = Limits {
    per_second: 1_000_000,
    overloaded_every: 0,
    broken_every: 0,
};

/// A shop with 250 orders, of which three at a time changed in the same second, and one cart.
async fn shop(limits: Limits) -> (tempfile::TempDir, Server) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let database = documents::create(dir.path().join("shop.db")).unwrap();
    let mut records = Documents::new(&database).unwrap();
    for id in 1..=250 {
        let second = 36_000 + (250 - id as i32) / 3;
        records
            .order(id, Moment { day: 10, second }, &format!("{{\"id\":{id}}}"))
            .unwrap();
    }
    records
        .cart(1, Moment { day: 3, second: 1 }, "{\"id\":\"C1\"}")
        .unwrap();
    drop(records);
    documents::finish(database).unwrap();
    let server = Server::start(dir.path(), 0, limits).await.unwrap();
    (dir, server)
}

async fn get(server: &Server, path: &str, key: Option<&str>) -> Response {
    let request = Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(format!("http://{}{path}", server.address()));
    let request = key
        .iter()
        .fold(request, |request, key| request.header("X-Api-Key", *key));
    request.send().await.unwrap()
}

async fn body(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// The ids of all pages that begin with `path`, in order.
async fn all_pages(server: &Server, path: &str) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut page = path.to_owned();
    loop {
        let answer = body(get(server, &page, Some(API_KEY)).await).await;
        ids.extend(
            answer["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|order| order["id"].as_u64().unwrap()),
        );
        assert_eq!(
            answer["page"]["has_more"].as_bool().unwrap(),
            !answer["page"]["next"].is_null()
        );
        match answer["page"]["next"].as_str() {
            Some(next) => page = format!("{path}&cursor={next}"),
            None => return ids,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_record_once_ordered_by_change() {
    let (_dir, server) = shop(QUIET).await;
    for limit in [1, 7, 100, 250, 500] {
        let ids = all_pages(&server, &format!("/api/v1/orders?limit={limit}")).await;
        assert_eq!(ids.len(), 250);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 250);
        // The highest numbers changed first; of those in the same second the lower comes first.
        assert_eq!(ids[..4], [248, 249, 250, 245]);
    }
    let page = body(get(&server, "/api/v1/orders", Some(API_KEY)).await).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 100);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_since_a_time_include_that_time() {
    let (_dir, server) = shop(QUIET).await;
    let since = Moment {
        day: 10,
        second: 36_000 + 82,
    }
    .utc()
    .to_string();
    let ids = all_pages(&server, &format!("/api/v1/orders?limit=2&updated_since={since}")).await;
    assert_eq!(ids, [2, 3, 4, 1]);
    // The same time in another zone, escaped as clients do.
    let zoned = since.replace('Z', "%2B00%3A00");
    assert_eq!(
        all_pages(&server, &format!("/api/v1/orders?updated_since={zoned}")).await,
        [2, 3, 4, 1]
    );
    assert!(
        all_pages(&server, "/api/v1/orders?updated_since=2030-01-01T00:00:00Z")
            .await
            .is_empty()
    );
    assert_eq!(
        body(get(&server, "/api/v1/carts", Some(API_KEY)).await).await["data"][0]["id"],
        "C1"
    );
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said() {
    let (_dir, server) = shop(QUIET).await;
    for (path, key, status, code) in [
        ("/api/v1/orders", None, 401, "unauthorized"),
        ("/api/v1/orders", Some("guess"), 401, "unauthorized"),
        ("/api/v1/sqlite_master", Some(API_KEY), 404, "not_found"),
        ("/api/v2/orders", Some(API_KEY), 404, "not_found"),
        ("/api/v1/orders?limit=0", Some(API_KEY), 400, "bad_request"),
        ("/api/v1/orders?limit=501", Some(API_KEY), 400, "bad_request"),
        ("/api/v1/orders?limit=many", Some(API_KEY), 400, "bad_request"),
        (
            "/api/v1/orders?updated_since=yesterday",
            Some(API_KEY),
            400,
            "bad_request",
        ),
        ("/api/v1/orders?cursor=1%20or%201", Some(API_KEY), 400, "bad_request"),
        ("/api/v1/orders?pages=2", Some(API_KEY), 400, "bad_request"),
    ] {
        let answer = get(&server, path, key).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(body(answer).await["error"]["code"], code, "{path}");
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_again() {
    let (_dir, server) = shop(Limits { per_second: 0, ..QUIET }).await;
    let answer = get(&server, "/api/v1/orders", Some(API_KEY)).await;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(server.answered().later, 1);
    // Who has no key does not use up the limit of those who have.
    assert_eq!(get(&server, "/api/v1/orders", None).await.status(), 401);
    assert_eq!(server.answered().requests, 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_moment_passes() {
    let (_dir, server) = shop(Limits {
        broken_every: 9,
        ..QUIET
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(get(&server, "/api/v1/orders", Some(API_KEY)).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 500, 200, 200]);
    assert_eq!(server.answered().broken, 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn open_data_is_paged_as_ckan_does() {
    let (_dir, server) = shop(QUIET).await;
    let search = "/api/3/action/datastore_search?resource_id=provincias";
    let whole = body(get(&server, search, None).await).await;
    let records = whole["result"]["records"].as_array().unwrap();
    assert_eq!((records.len(), &whole["result"]["total"]), (52, &Value::from(52)));
    assert_eq!((&records[0]["_id"], &records[0]["Código"]), (&1.into(), &"01".into()));
    let mut paged = Vec::new();
    for offset in [0, 20, 40, 60] {
        let page = body(get(&server, &format!("{search}&limit=20&offset={offset}"), None).await).await;
        paged.extend(page["result"]["records"].as_array().unwrap().clone());
    }
    assert_eq!(&paged, records);
    let catalogue = body(get(&server, "/api/3/action/package_search?rows=0", None).await).await;
    assert_eq!(
        (&catalogue["success"], &catalogue["result"]["count"]),
        (&true.into(), &1.into())
    );
    let missing = get(&server, "/api/3/action/datastore_search?resource_id=alcaldes", None).await;
    assert_eq!(missing.status(), 404);
    assert_eq!(body(missing).await["success"], false);
    let wrong = get(&server, &format!("{search}&limit=all"), None).await;
    assert_eq!(wrong.status(), 409);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said() {
    let (dir, server) = shop(QUIET).await;
    let error = Server::start(dir.path(), server.address().port(), QUIET)
        .await
        .err()
        .unwrap();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("another program listens"), "{error}");
    server.stop().await.unwrap();
}
