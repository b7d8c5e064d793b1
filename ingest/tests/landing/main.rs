//! Landing from end to end, on lakes in temporary folders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod any_rows;
mod chunks;
mod concurrent;
mod dispositions;
mod events;
mod evolution;
mod formats;
mod logs;
mod names;
mod online_retail;
mod privacy;
mod recorded;
mod rejecting;
mod rest;
mod seen;
#[path = "../../rest/src/tests/server.rs"]
#[allow(dead_code, reason = "some of it only the tests of the kind itself use")]
mod server;
mod sources;
mod web;
mod workbooks;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use cordada_core::Result;
use cordada_core::progress::Silent;
use cordada_ingest_source::Kind;
use cordada_lake::{Lake, Settings};
use proptest::prelude::ProptestConfig;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use cordada_ingest::{IngestReport, JOURNALS, Selection, ingest, load_sources};

/// The kinds of sources that are tested here.
const KINDS: &[Kind] = &[
    cordada_ingest_events::KIND,
    cordada_ingest_files::KIND,
    cordada_ingest_logs::KIND,
    cordada_ingest_rest::KIND,
];

/// How the lakes are opened.
fn settings() -> Settings {
    Settings {
        journals: JOURNALS.to_vec(),
        ..Settings::default()
    }
}

/// A project with a lake.
struct Project {
    dir: TempDir,
    lake: Lake,
}

impl Project {
    /// A project whose source `shop` is `streams` (YAML, the value of `streams:`).
    async fn new(streams: &str) -> Project {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().join("lake");
        let lake = Lake::open(&location.to_string_lossy(), &settings()).await.unwrap();
        let project = Project { dir, lake };
        project.configure(&format!("kind: files\nstreams: {streams}\n"));
        project
    }

    fn configure(&self, source: &str) {
        self.write("sources/shop.yml", source);
    }

    /// The project as the next process finds it.
    async fn reopened(self) -> Project {
        let location = self.dir.path().join("lake");
        let lake = Lake::open(&location.to_string_lossy(), &settings()).await.unwrap();
        Project { dir: self.dir, lake }
    }

    /// Takes a release away, as if nobody had come to publish it.
    fn unpublish(&self, number: u64) {
        let file = format!("lake/_cordada/releases/{number:020}.json");
        std::fs::remove_file(self.path().join(file)).unwrap();
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    async fn try_ingest(&self, select: &[Selection]) -> Result<IngestReport> {
        let sources = load_sources(&self.path().join("sources"), KINDS)?;
        ingest(
            &self.lake,
            self.path(),
            &sources,
            select,
            None,
            Arc::new(Silent),
            CancellationToken::new(),
        )
        .await
    }

    async fn ingest(&self) -> IngestReport {
        self.try_ingest(&[]).await.unwrap()
    }

    /// The rows of a query on the newest release, each as its values with `|` between them.
    async fn sql(&self, query: &str) -> Vec<String> {
        let release = self.lake.releases().newest().await.unwrap();
        let session = self.lake.session(&release);
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in &batches {
            let options = FormatOptions::new().with_null("null");
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                rows.push(
                    columns
                        .iter()
                        .map(|column| column.value(row).to_string())
                        .collect::<Vec<_>>()
                        .join("|"),
                );
            }
        }
        rows
    }

    /// The columns of a table with their types, those of the load left out.
    async fn columns(&self, table: &str) -> Vec<String> {
        let table = table.parse().unwrap();
        let version = self.lake.latest_version(&table).await.unwrap().unwrap();
        let snapshot = self.lake.snapshot(&self.lake.path_of(&table), version).await.unwrap();
        let fields = snapshot
            .schema()
            .fields()
            .iter()
            .filter(|field| !cordada_ingest_source::provenance::is_ours(field.name()));
        fields
            .map(|field| format!("{} {}", field.name(), field.data_type()))
            .collect()
    }
}

/// So many cases of a property, or as many as `PROPTEST_CASES` says.
fn cases(few: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = std::env::var("PROPTEST_CASES").map_or(few, |_| default.cases);
    ProptestConfig {
        cases,
        max_shrink_iters: 60,
        ..default
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}
