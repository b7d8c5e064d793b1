//! The kind `database` against real servers; those that are not installed are skipped, loudly.

mod postgres;
mod server;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use cordada_lake::progress::Silent;
use cordada_lake::{Context, Result, yaml};
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::config::{Database, DatabaseStream};
use crate::extract::{Chunk, ExistingKeys, Request, Rows, State};
use crate::stream::Disposition;

/// What a load has read: the rows of all chunks, and the state after the last one.
pub(super) struct Load {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) state: Option<State>,
}

impl Load {
    /// The rows in pretty columns, sorted, without the frame.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for batch in &self.batches {
            let shown = arrow::util::pretty::pretty_format_batches(std::slice::from_ref(batch)).unwrap().to_string();
            let rows = shown.lines().skip(3).filter(|line| line.starts_with('|'));
            lines.extend(rows.map(|row| {
                let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
                cells.join(",")
            }));
        }
        lines.sort();
        lines
    }

    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The only value of the column in the only row.
    pub(super) fn text(&self, column: &str) -> String {
        let batch = concat_batches(&self.batches[0].schema(), &self.batches).unwrap();
        let column = batch.column_by_name(column).unwrap();
        arrow::util::display::array_value_to_string(column, 0).unwrap()
    }
}

/// A source and one stream of it, as YAML.
pub(super) struct Source {
    pub(super) database: Database,
    pub(super) stream: DatabaseStream,
    pub(super) project: std::path::PathBuf,
}

impl Source {
    pub(super) fn new(url: &str, stream: &str) -> Self {
        Self {
            database: parse(&format!("connection: '{url}'\nparallelism: 3\ntimeout: 10s\n")).unwrap(),
            stream: parse(stream).unwrap(),
            project: std::env::temp_dir(),
        }
    }

    pub(super) fn request(&self, state: Option<State>) -> Request<'_> {
        Request {
            project: &self.project,
            source: "erp",
            stream: "sales",
            state,
            replace: self.stream.disposition == Disposition::Replace,
            parallelism: 2,
            load_at: chrono::Utc::now(),
            known: None,
            existing_keys: None,
            task: Arc::new(Silent),
            cancel: CancellationToken::new(),
        }
    }

    /// One load after `state`.
    pub(super) async fn load(&self, state: Option<State>) -> Result<Load> {
        self.load_with(state, None).await
    }

    pub(super) async fn load_with(&self, state: Option<State>, existing: Option<ExistingKeys>) -> Result<Load> {
        let mut request = self.request(state.clone());
        request.existing_keys = existing;
        let mut extraction = super::open(&self.database, &self.stream, chrono_tz::Tz::UTC, request).await?;
        let mut load = Load {
            batches: Vec::new(),
            state,
        };
        while let Some(chunk) = extraction.next().await? {
            let Chunk { rows, state, .. } = chunk;
            let Rows::Typed { partitions, .. } = rows;
            for partition in partitions {
                let batches: Vec<_> = partition.try_collect().await.doing(|| "reading")?;
                load.batches.extend(batches);
            }
            load.state = state.or(load.state);
            extraction.landed().await?;
        }
        Ok(load)
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    yaml::parse(Path::new("erp.yml"), text)
}

/// The column's values, as text.
pub(super) fn column(load: &Load, name: &str) -> Vec<Option<String>> {
    let batch = concat_batches(&load.batches[0].schema(), &load.batches).unwrap();
    let column = arrow::compute::cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Utf8).unwrap();
    column.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (text, merge, append, expected) in [
        ("cursor: id", true, false, "neither a `table` nor a `query`"),
        ("{table: a, query: select 1}", true, false, "both"),
        ("{table: a, lag: 5m, cursor: t}", false, true, "`lag` needs"),
        ("{table: a, initial: 5}", true, false, "need a cursor"),
        ("{table: a, deletes: compare}", false, false, "`deletes: compare` needs"),
        ("{query: select 1, changes: logical}", true, false, "`table` alone"),
        ("{table: a, slot: b}", true, false, "belong to"),
        ("{table: a}", false, true, "append the whole table again"),
    ] {
        let stream: DatabaseStream = parse(text).unwrap();
        let (why, _) = stream.validate(merge, append).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
    assert!(parse::<DatabaseStream>("{table: a, lag: soon}").is_err());
    assert!(parse::<DatabaseStream>("{table: a, cursr: b}").unwrap_err().to_string().contains("did you mean `cursor`"));
    let stream: DatabaseStream = parse("{table: a, cursor: [t, id], initial: 7}").unwrap();
    assert_eq!((stream.cursor.len(), stream.initial.as_deref()), (2, Some("7")));
}
