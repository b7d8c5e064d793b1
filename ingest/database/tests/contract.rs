//! What every source promises, kept by databases: by SQLite, which needs no server.

#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cordada_ingest_source::{Kind, Source};
use cordada_ingest_source_contract::{Fault, PERSONAL, System, source_contract};
use rusqlite::Connection;

source_contract!(Sqlite: typed);

/// A database with one table.
struct Sqlite(PathBuf);

impl Sqlite {
    fn database(&self) -> PathBuf {
        self.0.join("shop.db")
    }

    fn away(&self) -> PathBuf {
        self.0.join("away.db")
    }
}

#[async_trait]
impl System for Sqlite {
    const KIND: Kind = cordada_ingest_database::KIND;

    async fn new(project: &Path) -> Self {
        let sqlite = Self(project.to_owned());
        // Readers do not hold up the writer.
        let sql = "PRAGMA journal_mode = wal; CREATE TABLE orders (id INTEGER PRIMARY KEY, at TEXT, email TEXT)";
        Connection::open(sqlite.database()).unwrap().execute_batch(sql).unwrap();
        sqlite
    }

    fn configuration(&self) -> String {
        "kind: database\nconnection: sqlite:shop.db\nstreams:\n  \
         appended: {table: orders, cursor: [at, id]}\n  \
         compared: {table: orders, key: [id], disposition: merge, deletes: compare}\n  \
         merged: {table: orders, cursor: at, key: [id]}\n  \
         queried: {query: 'SELECT id, at, email FROM orders', cursor: [at, id]}\n  \
         replaced: {table: orders}\n"
            .to_owned()
    }

    async fn add(&self, _: &dyn Source, records: Range<u64>) {
        let sql = format!(
            "INSERT INTO orders SELECT value, datetime('2026-01-01', (value / 3) || ' minutes'), '{PERSONAL}' \
             FROM (WITH RECURSIVE numbers (value) AS (SELECT {} UNION ALL SELECT value + 1 FROM numbers LIMIT {}) \
             SELECT value FROM numbers)",
            records.start,
            records.end - records.start
        );
        Connection::open(self.database()).unwrap().execute_batch(&sql).unwrap();
    }

    async fn fail(&self, fault: Fault) -> Option<String> {
        if fault == Fault::Refusing {
            return None;
        }
        std::fs::rename(self.database(), self.away()).unwrap();
        if fault == Fault::Damaged {
            std::fs::write(self.database(), PERSONAL.repeat(1000)).unwrap();
        }
        Some("shop.db".to_owned())
    }

    async fn mend(&self) {
        std::fs::rename(self.away(), self.database()).unwrap();
    }
}
