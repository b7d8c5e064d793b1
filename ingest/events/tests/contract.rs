//! What every source promises, and every listener, kept by the collector of events.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cordada_core::ErrorKind;
use cordada_ingest_source::{Kind, Source};
use cordada_ingest_source_contract::listening::{NoLake, Sender, collect};
use cordada_ingest_source_contract::{Fault, PERSONAL, System, source_contract};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

source_contract!(Tracker: spooled, listening);

/// A site whose visitors are tracked.
struct Tracker(PathBuf);

#[async_trait]
impl System for Tracker {
    const KIND: Kind = cordada_ingest_events::KIND;
    const COLUMN: &'static str = "event_id";
    const SECRET: Option<&'static str> = Some("s3cret");
    const CHUNKS: usize = 3;

    async fn new(project: &Path) -> Self {
        Self(project.to_owned())
    }

    fn configuration(&self) -> String {
        "kind: events\nlisten: 127.0.0.1:0\nflush: 20ms\nstreams:\n  \
         appended: {protocol: segment, paths: [/appended], write_keys: [s3cret]}\n  \
         withheld: {protocol: segment, paths: [/withheld], columns: {user_id: {transform: drop}}}\n"
            .to_owned()
    }

    /// What has been added waits in the logs, as after a collector that could not land it.
    async fn add(&self, source: &dyn Source, records: Range<u64>) {
        let visit = async |to| self.send(to, records).await;
        let ended = collect(source, &self.0, &NoLake, visit).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    async fn fail(&self, fault: Fault) -> Option<String> {
        if fault != Fault::Gone {
            return None;
        }
        // Where the folder should be is something else.
        std::fs::rename(self.0.join(".cordada"), self.0.join("away")).unwrap();
        std::fs::write(self.0.join(".cordada"), "").unwrap();
        Some(".cordada/events".to_owned())
    }

    async fn mend(&self) {
        std::fs::remove_file(self.0.join(".cordada")).unwrap();
        std::fs::rename(self.0.join("away"), self.0.join(".cordada")).unwrap();
    }
}

#[async_trait]
impl Sender for Tracker {
    async fn send(&self, to: SocketAddr, records: Range<u64>) {
        let messages: Vec<_> = records
            .map(|record| json!({"type": "page", "messageId": record.to_string(), "userId": PERSONAL}))
            .collect();
        for path in ["/appended", "/withheld"] {
            let body = json!({"batch": messages, "writeKey": "s3cret"}).to_string();
            let answer = post(to, path, &body).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
}

/// The answer to a request on a connection of its own.
async fn post(to: SocketAddr, path: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(to).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}
