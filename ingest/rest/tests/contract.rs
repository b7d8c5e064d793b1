//! What every source promises, kept by systems that are asked over HTTP.

#![allow(clippy::unwrap_used)]

#[path = "../src/tests/server.rs"]
#[allow(dead_code, reason = "some of it only the tests of the kind itself use")]
mod server;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Response;
use chrono::SecondsFormat;
use cordada_ingest_source::{Kind, Source};
use cordada_ingest_source_contract::remote::Remote;
use cordada_ingest_source_contract::{Fault, PERSONAL, System, came_at, source_contract};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::server::{ReceivedRequest, Server, reply};

source_contract!(Store: spooled, remote);

const MANIFEST: &str = r#"
title: Store
config: {base_url: {}, token: {secret: true}}
base_url: "{{ config.base_url }}"
auth: {kind: bearer, token: "{{ config.token }}"}
retry: {attempts: 1}
defaults: {paginate: {kind: page, param: page, stable: true}}
streams:
  appended:
    request: &changed {path: /orders, params: {since: "{{ cursor.start }}", until: "{{ cursor.end }}"}}
    incremental: &windows {cursor: at, initial: "2026-01-01T00:00:00Z", window: 5d}
    key: [id]
    disposition: append
  merged: {request: *changed, incremental: *windows, key: [id]}
  sorted: {request: *changed, incremental: {cursor: at, order: ascending}}
  replaced: {request: {path: /orders}}
  withheld: {request: *changed, incremental: *windows, key: [id], columns: {email: {transform: drop}}}
"#;

/// A server that answers for a store.
struct Store {
    server: Server,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    records: Mutex<u64>,
    mood: Mutex<Mood>,
    /// Told of each request that is not answered.
    unanswered: Notify,
}

/// How the store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    Failing(Fault),
    Silent,
}

/// Records of a page.
const PAGE: usize = 4;

fn order(number: u64) -> Value {
    let at = came_at(number).to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({"id": number, "at": at, "email": PERSONAL})
}

impl State {
    async fn answer(&self, seen: &ReceivedRequest) -> Response<Body> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => {
                assert_eq!(seen.header("authorization"), Some("Bearer s3cret"));
                reply(200, &[("content-type", "application/json")], self.page(seen))
            }
            Mood::Failing(Fault::Gone) => reply(503, &[], PERSONAL),
            Mood::Failing(Fault::Refusing) => reply(401, &[], PERSONAL),
            // In the middle of a load.
            Mood::Failing(Fault::Damaged) if seen.number("page", 1) > 1 => reply(200, &[], self.page(seen) + PERSONAL),
            Mood::Failing(Fault::Damaged) => reply(200, &[], self.page(seen)),
            Mood::Silent => {
                self.unanswered.notify_one();
                std::future::pending().await
            }
        }
    }

    fn page(&self, seen: &ReceivedRequest) -> String {
        let records = *self.records.lock().unwrap();
        let (since, until) = (seen.get("since").unwrap_or_default(), seen.get("until").unwrap_or("9"));
        let asked = |order: &Value| {
            let at = order["at"].as_str().unwrap();
            at >= since && at <= until
        };
        let before = (seen.number("page", 1) - 1) * PAGE;
        let orders = (0..records).map(order).filter(asked).skip(before).take(PAGE);
        orders.collect::<Value>().to_string()
    }
}

#[async_trait]
impl System for Store {
    const KIND: Kind = cordada_ingest_rest::KIND;
    const SECRET: Option<&'static str> = Some("s3cret");

    async fn new(project: &Path) -> Self {
        std::fs::write(project.join("store.yml"), MANIFEST).unwrap();
        let state: Arc<State> = Arc::default();
        let answering = state.clone();
        let server = Server::with(move |seen| {
            let state = answering.clone();
            Box::pin(async move { state.answer(&seen).await })
        });
        Self {
            server: server.await,
            state,
        }
    }

    fn configuration(&self) -> String {
        format!(
            "kind: rest\nmanifest: store.yml\nconfig: {{base_url: \"{}\", token: s3cret}}\n",
            self.server.base
        )
    }

    async fn add(&self, _: &dyn Source, records: Range<u64>) {
        *self.state.records.lock().unwrap() = records.end;
    }

    async fn fail(&self, fault: Fault) -> Option<String> {
        *self.state.mood.lock().unwrap() = Mood::Failing(fault);
        Some(format!("{}/orders", self.server.base))
    }

    async fn mend(&self) {
        *self.state.mood.lock().unwrap() = Mood::Well;
    }
}

#[async_trait]
impl Remote for Store {
    async fn fall_silent(&self) {
        *self.state.mood.lock().unwrap() = Mood::Silent;
    }

    async fn asked(&self) {
        self.state.unanswered.notified().await;
    }
}
