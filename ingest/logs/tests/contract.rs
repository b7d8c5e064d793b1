//! What every source promises, kept by access logs.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cordada_ingest_source::{Kind, Source};
use cordada_ingest_source_contract::{Fault, PERSONAL, System, source_contract};

source_contract!(AccessLog: spooled);

/// A log to which a server writes.
struct AccessLog(PathBuf);

impl AccessLog {
    fn damaged(&self) -> PathBuf {
        self.0.join("log/access.log.1")
    }
}

#[async_trait]
impl System for AccessLog {
    const KIND: Kind = cordada_ingest_logs::KIND;
    const COLUMN: &'static str = "path";
    const CHUNKS: usize = 3;
    /// A chunk ends with so many lines that are none.
    const REJECTED: usize = 10_000;

    async fn new(project: &Path) -> Self {
        std::fs::create_dir(project.join("log")).unwrap();
        Self(project.to_owned())
    }

    fn configuration(&self) -> String {
        "kind: logs\nstreams:\n  \
         appended: {path: 'log/*'}\n  \
         merged: {path: 'log/*', key: [path], disposition: merge}\n  \
         replaced: {path: 'log/*', disposition: replace}\n  \
         withheld: {path: 'log/*', columns: {user: {transform: drop}}}\n"
            .to_owned()
    }

    fn value(record: u64) -> String {
        format!("/{record}")
    }

    async fn add(&self, _: &dyn Source, records: Range<u64>) {
        let mut text = String::new();
        for record in records {
            let time = format!("10/Feb/2012:16:{:02}:{:02} +0000", record / 60 % 60, record % 60);
            writeln!(
                text,
                "1.2.3.4 - {PERSONAL} [{time}] \"GET /{record} HTTP/1.1\" 200 5 \"-\" \"M\""
            )
            .unwrap();
        }
        text.push_str(&format!("{PERSONAL}\n").repeat(Self::REJECTED));
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.0.join("log/access.log"));
        log.unwrap().write_all(text.as_bytes()).unwrap();
    }

    async fn fail(&self, fault: Fault) -> Option<String> {
        match fault {
            Fault::Gone => {
                std::fs::rename(self.0.join("log"), self.0.join("away")).unwrap();
                Some("log/*".to_owned())
            }
            Fault::Refusing => None,
            Fault::Damaged => {
                std::fs::write(self.damaged(), format!("{PERSONAL}\n").repeat(10)).unwrap();
                Some("log/access.log.1".to_owned())
            }
        }
    }

    async fn mend(&self) {
        let away = self.0.join("away");
        if away.exists() {
            std::fs::rename(away, self.0.join("log")).unwrap();
        }
        if self.damaged().exists() {
            std::fs::remove_file(self.damaged()).unwrap();
        }
    }
}
